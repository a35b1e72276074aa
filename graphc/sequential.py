"""Sequential: a model that is a chain of layers, as `keras.Sequential`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self

from .data import as_array
from .layers.base import Layer
from .layers.configured import as_shapes
from .layers.inputs import Input, InputLayer
from .layers.symbolic import SymbolicTensor
from .model import Model
from .registration import CustomObjectScope
from .saving.model_file import load_model, save_model  # noqa: F401 (as `keras.models` has it)
from .serialization import (
    deserialize_each,
    serialize_keras_object,
)
from .trace import Tensor, Variable


class Sequential(Model):
    """A chain of layers, as `keras.Sequential`.

    Args:
        layers: added one after another. The first may be a `layers.Input`, or a layer with
            `input_shape`; otherwise shapes are known when data comes.
        name: "sequential" and so on by default.
    """

    chained = True

    def __init__(
        self, layers: Iterable[Any] | None = None, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self._chain: list[Layer] = []
        self._start: SymbolicTensor | None = None
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
        if self._start is None and not self._chain and layer.batch_shape_given is not None:
            self._start = Input(batch_shape=layer.batch_shape_given)
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

    def get_config(self) -> dict[str, Any]:
        """The layers one after another, and the input's shape if it is known."""
        start = [] if self._start is None else [self._start.call.layer]
        layers = [serialize_keras_object(layer) for layer in (*start, *self._chain)]
        config = {**Layer.get_config(self), "layers": layers}
        return config if self._start is None else {**config, "build_input_shape": self.input_shape}

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        options = {k: config[k] for k in ("name", "trainable", "dtype") if k in config}
        with CustomObjectScope(custom_objects):
            model = cls(deserialize_each(config["layers"]), **options)
        shape = config.get("build_input_shape")
        if shape is not None:
            model.build(as_shapes(shape))
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._start is None else {"input_shape": self.input_shape}

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
        start = output = Input(batch_shape=tuple(input_shape))
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
            Layer.ensure_built(self, args)
