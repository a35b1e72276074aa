"""What a layer is: a name, weights, and a call recorded in the model's DAG of layer calls."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from graphc import constraints, initializers, ops, regularizers
from graphc.budget import claim, claim_call
from graphc.dtype_policy import checked_policy
from graphc.eager import compute
from graphc.ir.types import TensorType
from graphc.random import next_seed
from graphc.serialization import same
from graphc.trace import Tensor, Trace, Variable, assign_all, current, users_line
from graphc.tree import flatten, map_structure, unflatten
from graphc.utils import automatic_name

from .configured import Configured, shape_of
from .symbolic import LayerCall, SymbolicTensor


class Layer(Configured):
    """Base of all layers, as `keras.layers.Layer`.

    A layer of one's own defines `build(input_shape)`, which makes weights with `add_weight`, and
    `call(inputs)`, written with `graphc.ops`; both compile like built-in ones.

    Args:
        name: unique within a model; made from the class name by default.
        trainable: whether `fit` changes the weights.
        dtype: of weights and results; only "float32".
        input_shape, input_dim, batch_input_shape: Keras 2's way of giving the first layer of a
            Sequential its input's shape (without, without, and with the batch dimension).
        activity_regularizer: a penalty on the results, divided by the batch size.

    Layers with weights take, for those in `weight_options`, kernel_regularizer, bias_regularizer,
    ..., kernel_constraint, ...: a penalty on the weight, and what each step of training holds it
    to.

    Raises:
        TypeError: for an unknown argument.
        ValueError: for an option of Keras's that only its default is supported of.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        self.dtype_policy = checked_policy(type(self).__name__, dtype)
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(
                f"{type(self).__name__}: name must be a string without '/', got {name!r}"
            )
        self.name = name or automatic_name(type(self).__name__)
        self.trainable = trainable
        self.dtype = self.dtype_policy.name
        self.built = False
        self.supports_masking = type(self).compute_mask is not Layer.compute_mask
        self.batch_shape_given: tuple[int | None, ...] | None = None
        if "input_shape" in kwargs:
            given = kwargs.pop("input_shape")
            self.batch_shape_given = (None, *([given] if isinstance(given, int) else given))
        elif "batch_input_shape" in kwargs:
            self.batch_shape_given = tuple(kwargs.pop("batch_input_shape"))
        elif "input_dim" in kwargs:
            self.batch_shape_given = (None, kwargs.pop("input_dim"))
        self.activity_regularizer = regularizers.get(kwargs.pop("activity_regularizer", None))
        for option in self.weight_options.values():
            for kind, module in (("regularizer", regularizers), ("constraint", constraints)):
                setattr(self, f"{option}_{kind}", module.get(kwargs.pop(f"{option}_{kind}", None)))
        self._refuse_others(kwargs)
        if kwargs:
            raise TypeError(
                f"{type(self).__name__}: unknown argument {', '.join(map(repr, sorted(kwargs)))}"
            )
        self._own_weights: list[Variable] = []
        self.result_types: list[TensorType] = []  # of the last call
        self._build_shape: Any = None
        self._calls: list[LayerCall] = []

    def _refuse_others(self, options: dict[str, Any]) -> None:
        """Takes options out that have the one value that is supported."""
        for name, default in {**self.unwritten_defaults, **self.only_defaults}.items():
            if not same(options.pop(name, default), default):
                raise ValueError(f"{type(self).__name__}: {name} must be {default!r}")

    def attached(self) -> dict[str, Layer | list[Layer]]:
        """The layers among the attributes, and in lists and dicts that are attributes, by name."""
        found: dict[str, Layer | list[Layer]] = {}
        for name, value in vars(self).items():
            parts = [p for p in flatten(value) if isinstance(p, Layer) and p is not self]
            if parts:
                found[name] = value if isinstance(value, Layer) else parts
        return found

    @property
    def _sublayers(self) -> list[Layer]:
        return list(dict.fromkeys(flatten(self.attached())))

    # What subclasses define.

    def call(self, inputs: Any) -> Any:
        """The layer's results, from tensors, with `graphc.ops`."""
        raise TypeError(f"{type(self).__name__} must define call(self, inputs)")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The results' masks, from the inputs' and theirs; asked if `supports_masking`."""
        return previous_mask

    # Weights.

    def add_weight(
        self,
        shape: Sequence[int] | None = None,
        initializer: object = "glorot_uniform",
        dtype: str | None = None,
        trainable: bool = True,
        name: str = "weight",
        regularizer: object = None,
        constraint: object = None,
        **_ignored: object,
    ) -> Variable:
        """A new weight.

        Args:
            shape: () by default.
            initializer: name, instance or function of shape and dtype.
            dtype: float32 by default.
            trainable: whether `fit` differentiates with respect to it.
            name: shown as "<layer>/<name>".
            regularizer: a penalty in the loss; constraint: what each step of training ends with.
                By default those that the layer's arguments give for this name.
        """
        shape = tuple(shape or ())
        initializer = "glorot_uniform" if initializer is None else initializer
        if any(not isinstance(d, (int, np.integer)) or d < 0 for d in shape):
            raise ValueError(f"layer {self.name!r}: weight {name!r} cannot have shape {shape}")
        dtype = dtype or "float32"
        what = f"layer {self.name!r}: weight {name!r} of shape {shape}"
        if claim(math.prod(shape), what):
            value = initializers.get(initializer)(shape, dtype=dtype)
            weight = Variable(value, f"{self.name}/{name}", trainable, dtype)
        else:
            weight = Variable.blank(shape, f"{self.name}/{name}", trainable, dtype)
        option = self.weight_options.get(name.rpartition("/")[2])
        if option is not None:
            regularizer = regularizer or getattr(self, f"{option}_regularizer")
            constraint = constraint or getattr(self, f"{option}_constraint")
        weight.regularizer = regularizers.get(regularizer)
        weight.constraint = constraints.get(constraint)
        self._own_weights.append(weight)
        return weight

    @property
    def weights(self) -> list[Variable]:
        """All weights: own trainable ones, own others, then those of sublayers."""
        nested = [w for layer in self._sublayers for w in layer.weights]
        return list(dict.fromkeys([*self._own_in_order, *nested]))

    @property
    def _own_in_order(self) -> list[Variable]:
        return sorted(self._own_weights, key=lambda w: not w.trainable)

    @property
    def trainable_weights(self) -> list[Variable]:
        """Weights that `fit` changes."""
        if not self.trainable:
            return []
        own = [w for w in self._own_weights if w.trainable]
        return list(
            dict.fromkeys([*own, *(w for s in self._sublayers for w in s.trainable_weights)])
        )

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """Weights that `fit` does not differentiate with respect to."""
        trainable = set(self.trainable_weights)
        return [w for w in self.weights if w not in trainable]

    trainable_variables = trainable_weights
    variables = weights

    @property
    def unlisted_variables(self) -> list[Variable]:
        """Own ones that are no weights, and that files keep all the same."""
        return []

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights' values, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[object]) -> None:
        """Copies values into the weights.

        Raises:
            ValueError: when number or shapes differ; then no weight is changed.
        """
        assign_all(f"{self.name!r}.set_weights", self.weights, weights)

    def save_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        """Puts what a file is to keep of this layer, without its sublayers', into a dict.

        By default its weights as "0", "1" and so on: the trainable ones, then the others.
        """
        store.update({str(at): w.value for at, w in enumerate(self._own_in_order)})

    def load_own_variables(self, store: Mapping[str, np.ndarray]) -> None:
        """Takes back what `save_own_variables` put into a dict.

        Raises:
            ValueError: when number or shapes differ; then no weight is changed.
        """
        read = getattr(store, "stored", store.__getitem__)  # a file's need not be read at once
        values = [read(str(at)) for at in range(len(store))]
        assign_all(f"layer {self.name!r}", self._own_in_order, values)

    def count_params(self) -> int:
        """The number of elements of all weights."""
        return sum(w.value.size for w in self.weights)

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar to the loss that training minimises; to be called in call()."""
        current().losses.append(ops.cast(ops.convert_to_tensor(loss), "float32"))

    # Calls.

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves = flatten((args, kwargs))
        if any(isinstance(leaf, SymbolicTensor) for leaf in leaves):
            return self._record(args, kwargs)
        if any(isinstance(leaf, Tensor) for leaf in leaves):
            return self.trace_call(args, kwargs, users_line())
        if any(isinstance(leaf, np.ndarray) for leaf in leaves):
            programs = vars(self).setdefault("_eager_programs", {})
            call = functools.partial(self._trace_eager, users_line())
            return compute(call, self.name, programs, args, kwargs, _RANDOM_STATE)
        raise TypeError(
            f"layer {self.name!r} is called on layers.Input's tensors, on arrays, or inside "
            f"another layer's call(); got {type(leaves[0]).__name__ if leaves else 'nothing'}"
        )

    def _trace_eager(self, where: str, *args: Any, **kwargs: Any) -> Any:
        training = inspect.signature(self.call).parameters.get("training")
        if training is not None and training.default is True:  # as of layers that augment data
            kwargs.setdefault("training", True)
        return self.trace_call(args, kwargs, where)

    def ensure_built(self, args: tuple[Any, ...]) -> None:
        """Builds the layer from the types of its call's arguments."""
        if self.built:
            return
        shapes = map_structure(shape_of, args[0] if args else None)
        self.build(shapes)
        self.built = True
        if type(self).build is not Configured.build or self.attached():
            self._build_shape = shapes

    def trace_call(self, args: tuple[Any, ...], kwargs: dict[str, Any], where: str) -> Any:
        """Adds the call's nodes to the current trace."""
        claim_call(self.name)
        self.ensure_built(args)
        kwargs = dict(kwargs)
        given = kwargs.pop("training", None)
        parameters = inspect.signature(self.call).parameters
        first = args[0] if args else next(iter(kwargs.values()), None)
        mask = kwargs.get("mask")
        if mask is None:
            mask = map_structure(lambda t: getattr(t, "mask", None), first)
            if "mask" in parameters and len(args) <= list(parameters).index("mask"):
                kwargs["mask"] = mask
        with current().scope(self.name, where=where), current().mode(given):
            if "training" in parameters:
                kwargs["training"] = current().training
            results = self.call(*args, **kwargs)
            if self.activity_regularizer is not None:
                for result in flatten(results):
                    rows = Tensor(current().builder.node("size", dim=result.shape[0], dtype="f32"))
                    self.add_loss(ops.divide(self.activity_regularizer(result), rows))
            self.result_types = [result.type for result in flatten(results)]
            return self._masked(first, mask, results)

    def _masked(self, inputs: Any, mask: Any, results: Any) -> Any:
        """The results with the masks that `compute_mask` gives them."""
        if not self.supports_masking:
            return results
        masks = flatten(self.compute_mask(inputs, mask))
        pairs = zip(flatten(results), [*masks, *[None] * len(flatten(results))], strict=False)
        whole = [Tensor(t.node, m) if m is not None and t.mask is None else t for t, m in pairs]
        return unflatten(results, iter(whole))

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Adds the call to the model's DAG, with its results' shapes from a trial trace."""
        call = LayerCall(self, args, kwargs, users_line())
        trial = Trace(f"shape_of_{self.name}", random_state=_RANDOM_STATE)
        trial.shapes_only = True

        def stand_in(leaf: object) -> object:
            if isinstance(leaf, SymbolicTensor):
                return Tensor(trial.graph.add("input", (), {"role": "data"}, type=leaf.type))
            return leaf

        sources = [t for t in flatten((args, kwargs)) if isinstance(t, SymbolicTensor)]
        trial.batch_size = next((t.batch_size for t in sources if t.batch_size), None)
        inside = map_structure(stand_in, (args, kwargs))
        try:
            with trial:
                results = self.trace_call(inside[0], inside[1], call.where)
        except ValueError as error:
            source = _sources(args)
            text = f"layer {self.name!r} ({type(self).__name__}) cannot take {source}: {error}"
            raise ValueError(text) from None
        flat = flatten(results)
        outputs = {
            id(t): SymbolicTensor(t.type, call, at, batch_size=trial.batch_size)
            for at, t in enumerate(flat)
        }
        call.outputs = map_structure(lambda t: outputs[id(t)], results)
        self._calls.append(call)
        return call.outputs

    @property
    def input(self) -> Any:
        """The tensors that the layer was called on; an input layer's is its own."""
        call = self._only_call()
        return call.args[0] if call.args else call.kwargs.get("inputs", call.outputs)

    @property
    def output(self) -> Any:
        """The tensors that the layer's call returned."""
        return self._only_call().outputs

    def _only_call(self) -> LayerCall:
        if len(self._calls) != 1:
            raise AttributeError(
                f"layer {self.name!r} was called {len(self._calls)} times; input and output are "
                "defined for one call"
            )
        return self._calls[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


_RANDOM_STATE = (
    Variable(next_seed(), "random/seed", False, "int32"),
    Variable(0, "random/step", False, "int32"),
)


def _sources(args: tuple[Any, ...]) -> str:
    tensors = [leaf for leaf in flatten(args) if isinstance(leaf, SymbolicTensor)]
    return " and ".join(f"the output of {t.call.layer.name!r} of shape {t.shape}" for t in tensors)
