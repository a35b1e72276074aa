"""What a layer is: a name, weights, and a call recorded in the model's DAG of layer calls."""

from __future__ import annotations

import functools
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphc import constraints, initializers, ops, regularizers
from graphc.eager import compute
from graphc.ir.types import DTYPES, Size, TensorType, short_dtype
from graphc.random import next_seed
from graphc.trace import Tensor, Trace, Variable, current, users_line
from graphc.tree import flatten, map_structure, unflatten
from graphc.utils import snake_case

_counts: Counter[str] = Counter()
_WEIGHT_OPTION = re.compile(
    "(kernel|bias|recurrent|depthwise|pointwise|embeddings|beta|gamma|alpha)"
    "_(regularizer|constraint)"
)


def automatic_name(class_name: str) -> str:
    """Keras's names: Dense -> dense, dense_1 ...; ReLU -> re_lu."""
    snake = snake_case(class_name)
    count = _counts[snake]
    _counts[snake] += 1
    return f"{snake}_{count}" if count else snake


class SymbolicTensor:
    """What a layer call returns while a model is put together: a shape, a dtype, and the call.

    `shape` has None where a dimension is known only when the model runs; the first is the batch.
    """

    __array_ufunc__ = None  # NumPy arrays leave mixed arithmetic to this class

    def __init__(
        self, type_: TensorType, call: LayerCall, index: int, name: str | None = None
    ) -> None:
        self.type = type_
        self.call = call
        self.index = index
        self.name = name or call.layer.name

    @property
    def shape(self) -> tuple[int | None, ...]:
        return tuple(None if isinstance(d, Size) else d for d in self.type.shape)

    @property
    def ndim(self) -> int:
        return self.type.rank

    @property
    def dtype(self) -> str:
        return DTYPES[self.type.dtype].name

    @staticmethod
    def record_op(
        function: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> SymbolicTensor:
        """A call of a `graphc.ops` function on symbolic tensors becomes a layer of the model."""
        layer = OpLayer(function)
        return layer._record(args, kwargs)

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __bool__(self) -> bool:
        raise TypeError("a symbolic tensor has no truth value; use ops.where")

    if TYPE_CHECKING:

        def _binary(self, other: object) -> SymbolicTensor: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _binary
        __truediv__ = __rtruediv__ = __pow__ = __matmul__ = __rmatmul__ = _binary

        def __neg__(self) -> SymbolicTensor: ...

        __abs__ = __neg__

        def __getitem__(self, key: object) -> SymbolicTensor: ...


for _name in [
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "pow",
    "rpow",
    "matmul",
    "rmatmul",
    "neg",
    "abs",
    "lt",
    "le",
    "gt",
    "ge",
    "getitem",
]:
    setattr(SymbolicTensor, f"__{_name}__", getattr(Tensor, f"__{_name}__"))


@dataclass(eq=False)
class LayerCall:
    """One call of a layer: a node of the model's DAG. A layer called twice has two."""

    layer: Layer
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    where: str
    outputs: Any = None


class Layer:
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
        kernel_regularizer, bias_regularizer, recurrent_regularizer, ..., kernel_constraint, ...: a
            penalty on the weight of this name, and what each step of training holds it to.

    Raises:
        TypeError: for an unknown argument.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        if dtype not in (None, "float32"):
            raise ValueError(f"{type(self).__name__}: dtype must be 'float32', got {dtype!r}")
        self.name = name or automatic_name(type(self).__name__)
        self.trainable = trainable
        self.dtype = "float32"
        self.built = False
        self.supports_masking = type(self).compute_mask is not Layer.compute_mask
        self.input_shape_given: tuple[int | None, ...] | None = None
        if "input_shape" in kwargs:
            given = kwargs.pop("input_shape")
            self.input_shape_given = (given,) if isinstance(given, int) else tuple(given)
        elif "batch_input_shape" in kwargs:
            self.input_shape_given = tuple(kwargs.pop("batch_input_shape"))[1:]
        elif "input_dim" in kwargs:
            self.input_shape_given = (kwargs.pop("input_dim"),)
        self.activity_regularizer = regularizers.get(kwargs.pop("activity_regularizer", None))
        self._weight_options = {
            name: kwargs.pop(name) for name in list(kwargs) if _WEIGHT_OPTION.fullmatch(name)
        }
        for key, option in self._weight_options.items():  # so that unknown names fail here
            (regularizers if key.endswith("regularizer") else constraints).get(option)
        if kwargs:
            raise TypeError(
                f"{type(self).__name__}: unknown argument {', '.join(map(repr, sorted(kwargs)))}"
            )
        self._own_weights: list[Variable] = []

        self._calls: list[LayerCall] = []

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

    def build(self, input_shape: Any) -> None:
        """Makes the weights, once the input's shape (or shapes) is known."""

    def call(self, inputs: Any) -> Any:
        """The layer's results, from tensors, with `graphc.ops`."""
        raise TypeError(f"{type(self).__name__} must define call(self, inputs)")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The results' masks, from the inputs' and theirs; asked if `supports_masking`."""
        return previous_mask

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal layer with."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = self.activity_regularizer
        return config | self._weight_options

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """A layer from `get_config`'s result."""
        return cls(**config)

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
        value = initializers.get(initializer)(shape, dtype=dtype or "float32")
        weight = Variable(value, f"{self.name}/{name}", trainable, dtype or "float32")
        given = {
            key.rpartition("_")[2]: option
            for key, option in self._weight_options.items()
            if name.rpartition("/")[2].startswith(key.rpartition("_")[0])
        }
        weight.regularizer = regularizers.get(regularizer or given.get("regularizer"))
        weight.constraint = constraints.get(constraint or given.get("constraint"))
        self._own_weights.append(weight)
        return weight

    @property
    def weights(self) -> list[Variable]:
        """All weights: own trainable ones, own others, then those of sublayers."""
        own = sorted(self._own_weights, key=lambda w: not w.trainable)
        nested = [w for layer in self._sublayers for w in layer.weights]
        return list(dict.fromkeys([*own, *nested]))

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

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights' values, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[object]) -> None:
        """Copies values into the weights.

        Raises:
            ValueError: when number or shapes differ; then no weight is changed.
        """
        own = self.weights
        if len(weights) != len(own):
            raise ValueError(
                f"{self.name!r}.set_weights: expected {len(own)} arrays, got {len(weights)}"
            )
        arrays = [np.asarray(w) for w in weights]
        for variable, array in zip(own, arrays, strict=True):
            if variable.shape != array.shape:
                raise ValueError(
                    f"{self.name!r}.set_weights: weight {variable.name!r} has shape "
                    f"{variable.shape}, got {array.shape}"
                )
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array)

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
        return self.trace_call(args, kwargs, where)

    def ensure_built(self, args: tuple[Any, ...]) -> None:
        """Builds the layer from the types of its call's arguments."""
        if self.built:
            return
        first = args[0] if args else None
        shapes = map_structure(
            lambda t: tuple(None if isinstance(d, Size) else d for d in t.type.shape), first
        )
        self.build(shapes)
        self.built = True

    def trace_call(self, args: tuple[Any, ...], kwargs: dict[str, Any], where: str) -> Any:
        """Adds the call's nodes to the current trace."""
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

        def stand_in(leaf: object) -> object:
            if isinstance(leaf, SymbolicTensor):
                return Tensor(trial.graph.add("input", (), {"role": "data"}, type=leaf.type))
            return leaf

        inside = map_structure(stand_in, (args, kwargs))
        try:
            with trial:
                results = self.trace_call(inside[0], inside[1], call.where)
        except ValueError as error:
            source = _sources(args)
            text = f"layer {self.name!r} ({type(self).__name__}) cannot take {source}: {error}"
            raise ValueError(text) from None
        flat = flatten(results)
        outputs = {id(t): SymbolicTensor(t.type, call, at) for at, t in enumerate(flat)}
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


class OpLayer(Layer):
    """A call of a `graphc.ops` function in a functional model."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__(name=automatic_name(function.__name__))
        self.function = function

    def ensure_built(self, args: tuple[Any, ...]) -> None:
        """There is nothing to build."""

    def call(self, *args: Any, **kwargs: Any) -> Tensor:
        return self.function(*args, **kwargs)


class InputLayer(Layer):
    """The source of a model's DAG; made by `Input`."""

    def __init__(
        self,
        shape: Iterable[int | None] | None = None,
        dtype: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name or automatic_name("InputLayer"))
        if shape is None or isinstance(shape, int):
            raise ValueError(f"Input: shape must be a tuple such as (784,), got {shape!r}")
        dims: list[int | Size] = [Size(("batch",))]
        for axis, dim in enumerate(shape, 1):
            if dim is not None and (not isinstance(dim, (int, np.integer)) or dim < 1):
                raise ValueError(
                    f"Input: shape must have ints of at least 1 or None, got {tuple(shape)}"
                )
            symbol = "time" if axis == 1 else f"dim{axis}"
            dims.append(Size((symbol,)) if dim is None else int(dim))
        self.built = True
        call = LayerCall(self, (), {}, users_line())
        type_ = TensorType(short_dtype(dtype or "float32"), tuple(dims))
        call.outputs = SymbolicTensor(type_, call, 0, self.name)
        self._calls.append(call)


def Input(
    shape: Iterable[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
) -> Any:
    """A symbolic tensor to call layers on, as `keras.Input`.

    Args:
        shape: without the batch dimension; None for a dimension known only when the model runs.
        batch_size: accepted and not needed: models run on any batch size.
        dtype: float32 by default.
        name: "input_layer" and so on by default.
    """
    return InputLayer(shape, dtype, name).output
