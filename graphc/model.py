"""Model: a DAG of layer calls, as `keras.Model`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from . import ops
from .dag import from_inputs, layers_by_depth, run_layers
from .data import as_array, select_inputs
from .functional import graph_config, graph_from_config
from .layers.base import Layer
from .layers.inputs import Input
from .layers.symbolic import SymbolicTensor
from .registration import CustomObjectScope
from .saving.backup import load_training_state, save_training_state
from .saving.model_file import load_model, save_model  # noqa: F401 (as `keras.models` has it)
from .saving.weights import load_weights, save_weights
from .serialization import (
    serialize_keras_object,
)
from .summary import Options, print_summary
from .trace import Tensor
from .training import Trainer
from .tree import flatten, map_structure
from .utils import automatic_name


class Model(Trainer):
    """A model from its input tensors to its output tensors, as `keras.Model(inputs, outputs)`.

    Or a class of one's own that derives from it, makes layers in `__init__` and calls them in
    `call(inputs)`; such a model is traced when data tells its inputs' shapes.

    Args:
        inputs: a tensor of `layers.Input`, or a list or dict of them.
        outputs: tensors that layer calls on them returned, in any structure.
        name: "functional" and so on by default.

    Raises:
        ValueError: when an output does not follow from the inputs alone, naming the layer where
            the chain breaks, or when two layers have one name.
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any
    ) -> None:
        if type(self) is Model:
            name = name or automatic_name("Functional")
        super().__init__(name=name, **kwargs)
        self._layers: list[Layer] = []
        if type(self) is Model or inputs is not None or outputs is not None:
            self._connect(inputs, outputs)

    chained: ClassVar[bool] = False  # whether the layers are a chain: Sequential
    default_training: ClassVar[bool | None] = None
    functional = False  # whether it is a graph of layers, not only a chain

    def _connect(self, inputs: Any, outputs: Any) -> None:
        for argument, given in (("inputs", inputs), ("outputs", outputs)):
            parts = flatten(given)
            wrong = next((p for p in parts if not isinstance(p, SymbolicTensor)), None)
            if given is None or wrong is not None or not parts:
                raise ValueError(
                    f"Model: {argument} must be tensors that layers.Input or layer calls returned, "
                    f"got {type(given if wrong is None else wrong).__name__}"
                )
        inputs, outputs = from_inputs(inputs, outputs)
        self.inputs = flatten(inputs)
        self.outputs = flatten(outputs)
        one = isinstance(outputs, (list, tuple)) and len(outputs) == 1
        self._output_structure = outputs[0] if one else outputs  # as Keras does
        self.functional = not (self.chained or self._own_call)
        self.structures = inputs, outputs  # as the user gave them
        self.input_keys = list(
            inputs if isinstance(inputs, dict) else (t.name for t in self.inputs)
        )
        self._layers = layers_by_depth(self.inputs, self.outputs) if self.functional else []
        self.built = True
        self.forget_programs()
        self.fast = None

    @property
    def _own_call(self) -> bool:
        """Whether the model is what its class's `call` says, not a DAG of layer calls."""
        return type(self).call is not Model.call

    @property
    def outputs_known(self) -> bool:
        return self._connected or not self._own_call

    @property
    def _connected(self) -> bool:
        return "inputs" in vars(self)

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs first, by depth."""
        return super()._sublayers if self._own_call else list(self._layers)

    @property
    def _sublayers(self) -> list[Layer]:
        return self.layers

    @property
    def output_structure(self) -> Any:
        return self._output_structure

    @property
    def input(self) -> Any:
        """The input tensors: one, or a list of them.

        Raises:
            AttributeError: before the model is built.
        """
        return self._tensors("inputs")

    @property
    def output(self) -> Any:
        """The output tensors: one, or a list of them.

        Raises:
            AttributeError: before the model is built.
        """
        return self._tensors("outputs")

    def _tensors(self, kind: str) -> Any:
        if not self._connected:
            raise AttributeError(
                f"model {self.name!r} has no {kind} yet: give the first layer an input_shape, or "
                "call the model on data"
            )
        tensors = self.inputs if kind == "inputs" else self.outputs
        return tensors[0] if len(tensors) == 1 else list(tensors)

    @property
    def input_shape(self) -> Any:
        """The input's shape, None for the batch; a list for several inputs."""
        shapes = [t.shape for t in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """The output's shape, None for the batch; a list for several outputs."""
        shapes = [t.shape for t in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or place.

        Raises:
            ValueError: when there is none, with the names there are.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ValueError("get_layer: pass either a name or an index")
        for at, layer in enumerate(layers):
            if index in (at, at - len(layers)) or layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        if index is not None:
            raise ValueError(f"get_layer: no layer at index {index}; there are {len(layers)}")
        raise ValueError(f"get_layer: no layer {name!r}; there are {names}")

    def call(self, inputs: Any) -> Any:
        """The layers' results on tensors: a model is a layer too."""
        if isinstance(inputs, dict):
            inputs = select_inputs(inputs, self.inputs, self.input_keys, self.name)
        values = [ops.convert_to_tensor(value) for value in flatten(inputs)]
        if len(values) != len(self.inputs):
            raise ValueError(f"expected {len(self.inputs)} inputs, got {len(values)}")
        for at, tensor in enumerate(self.inputs):
            if not _shape_fits(values[at], tensor):
                raise ValueError(
                    f"input {tensor.name!r} expects shape {tensor.shape}, got "
                    f"{list(values[at].shape)}"
                )
            values[at] = ops.cast(values[at], tensor.dtype)
        results = iter(run_layers(self.inputs, values, self.outputs))
        return map_structure(lambda _: next(results), self._output_structure)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        first = args[0] if args else kwargs.get("inputs")
        training = bool(kwargs.get("training"))
        if isinstance(first, np.ndarray) and not training:
            return self.predict(first, verbose=0)
        leaves = flatten(first)
        if any(isinstance(leaf, (SymbolicTensor, Tensor)) for leaf in leaves):
            self.prepare(first)
            return super().__call__(*args, **kwargs)
        if training:
            return self.predict_in_training(first)
        return self.predict(first, verbose=0)

    def prepare(self, x: object) -> None:
        """Traces a model whose class defines `call` for data like x, once."""
        if self._connected:
            return
        if not self._own_call:
            raise ValueError(f"model {self.name!r} has neither tensors nor a call(self, inputs)")

        def like(leaf: Any) -> Any:
            symbolic = isinstance(leaf, (SymbolicTensor, Tensor))
            array = leaf if symbolic else as_array(leaf, "x")
            shape = [d if isinstance(d, int) else None for d in array.shape[1:]]
            whole = array.dtype in ("int32", "int64")
            return Input(shape, dtype="int32" if whole else "float32")

        self._trace_own_call(map_structure(like, x))

    def build(self, input_shape: Any = None) -> None:
        """Traces a model whose class defines `call`.

        Args:
            input_shape: with the batch dimension, which may be None; or a list or dict of such.
        """
        if not self._connected and self._own_call and input_shape is not None:
            self._trace_own_call(_inputs_of(input_shape))

    def _trace_own_call(self, inputs: Any) -> None:
        self._connect(inputs, Layer.__call__(self, inputs))

    def ensure_built(self, args: tuple[Any, ...]) -> None:
        if not self.built and type(self).build is not Model.build:
            super().ensure_built(args)
        self.built = True

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], object] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
        show_memory: bool = False,
        show_flops: bool = False,
    ) -> None:
        """Prints a table of layers, shapes and parameters, as `keras.Model.summary`.

        Args:
            line_length: width of the table; what its columns need, up to that of the terminal, by
                default.
            positions: where the columns end, as parts of the width or in characters; by default
                as their texts need.
            print_fn: called with the text; print by default.
            expand_nested: whether the layers of models within the model are shown too.
            show_trainable: whether a column says which layers are trained.
            layer_range: names, or regular expressions, of the first and last layer to show.
            show_memory: whether columns say how many bytes a layer's weights take, and its result
                for one row (not in Keras).
            show_flops: whether a column says how many multiplications and additions of matrix
                products and convolutions a layer takes to predict one row (not in Keras).

        Where the number of steps of a row is open, both are of one step.

        Raises:
            ValueError: for a model without layers, a layer that there is not, or positions that do
                not fit the columns; of show_flops for a model that is not built.
        """
        if not self.layers:
            raise ValueError(f"summary: model {self.name!r} has no layers")
        options = Options(
            positions, expand_nested, show_trainable, layer_range, show_memory, show_flops
        )
        print_summary(self, line_length, print_fn, options)

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Writes the whole model: layers, weights, what it is compiled for, optimizer's state.

        Args:
            filepath: ends in .keras, the format of Keras 3; or an open binary file.
            overwrite: whether a file that is there may be replaced.
        """
        save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Writes the weights and, if the model is compiled, the optimizer's state.

        Args:
            filepath: ends in .weights.h5, whose layout is Keras's.
            overwrite: whether a file that is there may be replaced.
        """
        save_weights(self, filepath, overwrite)

    def load_weights(
        self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False
    ) -> None:
        """Reads weights that `save_weights` or Keras wrote, and the optimizer's state.

        Args:
            filepath: ends in .weights.h5, or in another way that `saving.load_weights` tells of.
            skip_mismatch: whether layers that the file's weights do not fit keep theirs.
            by_name: whether only layers are read that are called the same, from a file of Keras 2.
        """
        load_weights(self, filepath, skip_mismatch, by_name)

    def save_training_state(self, path: Any, note: dict[str, Any]) -> None:
        """Writes the state of a run, with a note: what `BackupAndRestore` calls."""
        save_training_state(self, path, note)

    def load_training_state(self, path: Any) -> dict[str, Any]:
        """Puts a state of `save_training_state` back, and returns the note."""
        return load_training_state(self, path)

    @classmethod
    def _leaves_config(cls) -> bool:
        return cls.get_config is Model.get_config and cls.call is not Model.call

    def get_config(self) -> dict[str, Any]:
        """The layers and how they are connected, as Keras's functional models.

        Of a class with a `call` of its own, the constructor's arguments.
        """
        if self._own_call:
            return super().get_config()
        graph = graph_config(self._layers, *self.structures)
        return {"name": self.name, "trainable": self.trainable, **graph}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """A new model of `get_config`'s result, or Keras's.

        Args:
            custom_objects: a user's own classes and functions, by name.

        Raises:
            ValueError: naming all that is not supported.
        """
        if "input_layers" not in config:
            return cls(**config)
        options = {k: config[k] for k in ("name", "trainable") if config.get(k) is not None}
        with CustomObjectScope(custom_objects):
            model: Self = graph_from_config(config, cls, options)
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        """The inputs' shapes of a class with a `call` of its own; else they follow from the layers.

        As Keras has it, the shape is None then.
        """
        if not self._own_call:
            return {"input_shape": None}
        inputs = self.structures[0] if self._connected else None
        return None if inputs is None else {"input_shape": map_structure(_shape, inputs)}

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON; `model_from_json` makes a new model of it.

        Args:
            kwargs: of `json.dumps`.
        """
        return json.dumps(serialize_keras_object(self), **kwargs)


def _shape(tensor: SymbolicTensor) -> tuple[int | None, ...]:
    return tensor.shape


def _inputs_of(shapes: Any) -> Any:
    """Inputs for shapes with a batch dimension, in a structure of any depth."""
    if isinstance(shapes, dict):
        return {name: _inputs_of(shape) for name, shape in shapes.items()}
    if any(isinstance(part, (list, tuple, dict)) for part in shapes):
        return [_inputs_of(shape) for shape in shapes]
    return Input(batch_shape=tuple(shapes))


def _shape_fits(value: Tensor, tensor: SymbolicTensor) -> bool:
    """Whether a value's shape is what an input asks for, its batch aside."""
    return value.ndim == tensor.ndim and all(
        wanted is None or wanted == got
        for wanted, got in zip(tensor.shape[1:], value.shape[1:], strict=True)
    )
