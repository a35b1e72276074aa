"""Model and Sequential: DAGs of layer calls, as in `keras.models`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from . import ops
from .data import as_array, select_inputs
from .layers.base import Input, InputLayer, Layer, LayerCall, SymbolicTensor
from .programs import run_layers
from .summary import print_summary
from .trace import Tensor, Variable
from .training import Trainer
from .tree import flatten, map_structure
from .weights_file import load_weights, save_weights


class Model(Trainer):
    """A model from its input tensors to its output tensors, as `keras.Model(inputs, outputs)`.

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
        super().__init__(name=name, **kwargs)
        self._layers: list[Layer] = []
        if type(self) is Model or inputs is not None or outputs is not None:
            self._connect(inputs, outputs)

    def _connect(self, inputs: Any, outputs: Any) -> None:
        for argument, given in (("inputs", inputs), ("outputs", outputs)):
            parts = flatten(given)
            wrong = next((p for p in parts if not isinstance(p, SymbolicTensor)), None)
            if given is None or wrong is not None or not parts:
                raise ValueError(
                    f"Model: {argument} must be tensors that layers.Input or layer calls returned, "
                    f"got {type(given if wrong is None else wrong).__name__}"
                )
        self.inputs = flatten(inputs)
        self.outputs = flatten(outputs)
        one = isinstance(outputs, (list, tuple)) and len(outputs) == 1
        self._output_structure = outputs[0] if one else outputs  # as Keras does
        self.input_keys = list(
            inputs if isinstance(inputs, dict) else (t.name for t in self.inputs)
        )
        for tensor in self.inputs:
            if not isinstance(tensor.call.layer, InputLayer):
                raise ValueError(
                    f"Model: inputs must come from layers.Input; {tensor.name!r} is the output of "
                    f"layer {tensor.call.layer.name!r}"
                )
        self._layers = _layers_by_depth(self.inputs, self.outputs)

        self.built = True
        self._programs = {}
        self._fast: Any = None

    @property
    def layers(self) -> list[Layer]:
        """The layers, inputs first, by depth."""
        return list(self._layers)

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
        if not self.built:
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
            return self._compute(first)
        leaves = flatten(first)
        if any(isinstance(leaf, (SymbolicTensor, Tensor)) for leaf in leaves):
            self.prepare(first)
            return super().__call__(*args, **kwargs)
        if training:
            return self.predict_in_training(first)
        return self.predict(first, verbose=0)

    def _compute(self, x: np.ndarray) -> Any:
        """`predict` on one array without its checks, when they passed for the last such array."""
        fast = self._fast
        if fast is not None and fast.fits(x):
            return fast(x)
        result = self.predict(x, verbose=0)
        if len(self.inputs) == len(self.outputs) == 1 and isinstance(result, np.ndarray):
            self._fast = _FastCall.of(self, x)
        return result

    def prepare(self, x: object) -> None:
        """Nothing to do: shapes are known since the tensors are."""
        if not self.built:
            raise ValueError(f"model {self.name!r} has no layers yet")

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Callable[[str], object] | None = None,
    ) -> None:
        """Prints a table of layers, shapes and parameters.

        Args:
            line_length: width of the table; that of the terminal, up to 80, by default.
            print_fn: called with the text; print by default.
        """
        if not self.layers:
            raise ValueError(f"summary: model {self.name!r} has no layers")
        print_summary(self, line_length, print_fn)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Writes the weights to an HDF5 file in the layout of Keras's .weights.h5."""
        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any) -> None:
        """Reads weights that `save_weights` or Keras wrote."""
        load_weights(self, filepath)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "trainable": self.trainable}


class _FastCall:
    """One-array prediction with everything prepared: what a one-row loop pays for."""

    def __init__(self, program: Any, x: np.ndarray, columns: tuple[int, ...]) -> None:
        self.program = program
        self.dtype, self.shape, self.strides = x.dtype, x.shape, x.strides
        self.result_shape = (x.shape[0], *columns)
        self.result_dtype, _ = program.output_types()["output/0"]

    @staticmethod
    def of(model: Model, x: np.ndarray) -> _FastCall | None:
        columns = model.outputs[0].shape[1:]
        fixed = all(c is not None for c in columns) and not model._needs_symbols()
        if not fixed or x.shape[1:] != model.inputs[0].shape[1:] or as_array(x, "x") is not x:
            return None
        program = model.program_for(x)
        return _FastCall(program, x, tuple(c or 0 for c in columns))

    def fits(self, x: np.ndarray) -> bool:
        return x.shape == self.shape and x.dtype == self.dtype and x.strides == self.strides

    def __call__(self, x: np.ndarray) -> np.ndarray:
        result = np.empty(self.result_shape, self.result_dtype)
        addresses = {
            "x/0": x.__array_interface__["data"][0],
            "output/0": result.__array_interface__["data"][0],
        }
        rows = self.shape[0]
        self.program.run(addresses, 1, rows, rows)
        return result


class Sequential(Model):
    """A chain of layers, as `keras.Sequential`.

    Args:
        layers: added one after another. The first may be a `layers.Input`, or a layer with
            `input_shape`; otherwise shapes are known when data comes.
        name: "sequential" and so on by default.
    """

    def __init__(
        self, layers: Iterable[Any] | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._chain: list[Layer] = []
        self._start: SymbolicTensor | None = None
        self._fast = None
        for layer in layers or ():
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Appends a layer.

        Raises:
            ValueError: when it cannot take the output of the one before, naming both.
        """
        if isinstance(layer, SymbolicTensor) and isinstance(layer.call.layer, InputLayer):
            layer = layer.call.layer
        if not isinstance(layer, Layer):
            raise ValueError(f"Sequential.add: expected a layer, got {type(layer).__name__}")
        if isinstance(layer, InputLayer):
            if self._chain or self._start is not None:
                raise ValueError("Sequential.add: Input must come first")
            self._start = layer.output
            return
        if any(layer.name == other.name for other in self._chain):
            raise ValueError(f"Sequential.add: there already is a layer named {layer.name!r}")
        if self._start is None and not self._chain and layer.input_shape_given is not None:
            self._start = Input(layer.input_shape_given)
        if self._start is not None:
            output = layer(self.outputs[0] if self._chain else self._start)
            self._chain.append(layer)
            self._connect(self._start, output)
        else:
            self._chain.append(layer)

    def pop(self) -> Layer:
        """Removes and returns the last layer."""
        if not self._chain:
            raise ValueError("Sequential.pop: there are no layers")
        last = self._chain.pop()
        if self._start is not None and self._chain:
            self._connect(self._start, self.outputs[0].call.args[0])
        else:
            self.built = False
        return last

    @property
    def layers(self) -> list[Layer]:
        return list(self._chain)

    @property
    def weights(self) -> list[Variable]:
        return [w for layer in self._chain for w in layer.weights]

    def build(self, input_shape: Any = None) -> None:
        """Connects the layers for an input shape, batch dimension included."""
        if self.built or input_shape is None:
            return
        if not self._chain:
            raise ValueError(f"model {self.name!r} has no layers")
        start = output = Input(tuple(input_shape)[1:])
        for layer in self._chain:
            output = layer(output)
        self._start = start
        self._connect(start, output)

    def prepare(self, x: object) -> None:
        """Builds the model for the shape of the first data that comes."""
        if self.built:
            return

        if isinstance(x, (list, tuple)) and len(x) == 1 and hasattr(x[0], "shape"):
            (x,) = x
        symbolic = isinstance(x, (SymbolicTensor, Tensor))
        shape = x.shape if symbolic else as_array(x, "x").shape  # type: ignore[attr-defined]
        self.build((None, *(d if isinstance(d, int) else None for d in shape[1:])))

    def ensure_built(self, args: tuple[Any, ...]) -> None:
        if not self.built:
            super().ensure_built(args)


def _layers_by_depth(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]
) -> list[Layer]:
    """Layers from the inputs to the outputs, deepest first, then in order of traversal, as Keras.

    Raises:
        ValueError: when an output needs a tensor that the inputs do not lead to.
    """
    calls = _calls_in_order(inputs, outputs)
    depth = dict.fromkeys(calls, 0)
    for call in reversed(calls):
        for tensor in _arguments(call):
            depth[tensor.call] = max(depth[tensor.call], depth[call] + 1)
    layer_depth: dict[Layer, int] = {}
    for call in calls:
        layer_depth[call.layer] = max(layer_depth.get(call.layer, 0), depth[call])
    order = {layer: at for at, layer in enumerate(layer_depth)}
    layers = sorted(layer_depth, key=lambda layer: (-layer_depth[layer], order[layer]))
    names = [layer.name for layer in layers]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise ValueError(f"Model: layers must have different names; {double} repeat")
    return layers


def _shape_fits(value: Tensor, tensor: SymbolicTensor) -> bool:
    """Whether a value's shape is what an input asks for, its batch aside."""
    return value.ndim == tensor.ndim and all(
        wanted is None or wanted == got
        for wanted, got in zip(tensor.shape[1:], value.shape[1:], strict=True)
    )


def _arguments(call: LayerCall) -> list[SymbolicTensor]:
    return [t for t in flatten((call.args, call.kwargs)) if isinstance(t, SymbolicTensor)]


def _calls_in_order(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]
) -> list[LayerCall]:
    """All calls that the outputs need, arguments before users."""
    sources = {t.call for t in inputs}
    order: dict[LayerCall, None] = dict.fromkeys(sources) if not outputs else {}
    stack = [(t.call, False) for t in reversed(outputs)]
    while stack:
        call, ready = stack.pop()
        if call in order:
            continue
        if ready or call in sources:
            order[call] = None
            continue
        arguments = _arguments(call)
        if not arguments:
            raise ValueError(
                f"Model: the outputs need the tensor of {call.layer.name!r} ({call.where}), which "
                f"is not among the inputs {[t.name for t in inputs]}"
            )
        stack.append((call, True))
        stack.extend((t.call, False) for t in reversed(arguments))
    unused = [t.name for t in inputs if t.call not in order]
    if unused:
        raise ValueError(f"Model: the outputs do not depend on the inputs {unused}")
    return list(order)
