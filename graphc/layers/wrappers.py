"""Layers around a layer: Bidirectional and TimeDistributed, as in `keras.layers`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar, Self

from graphc import ops
from graphc.serialization import serialize_keras_object, with_objects
from graphc.trace import Tensor

from .base import Layer
from .recurrent import RNN, _CellLayer

MERGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda y, z: ops.concatenate([y, z], axis=-1),
    "sum": ops.add,
    "ave": lambda y, z: ops.divide(ops.add(y, z), 2.0),
    "mul": ops.multiply,
}


class Bidirectional(Layer):
    """A recurrent layer over a sequence, and a second one over it from the end.

    Args:
        layer: an RNN; the two are new layers with its arguments.
        merge_mode: "concat" (default), "sum", "mul", "ave", or None for both results.
        backward_layer: for the second direction; by default like `layer` with `go_backwards`
            turned around.

    Raises:
        ValueError: when the two do not fit together.
    """

    default_training: ClassVar[bool | None] = None

    def __init__(
        self,
        layer: RNN,
        merge_mode: str | None = "concat",
        weights: object = None,
        backward_layer: RNN | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, RNN):
            raise ValueError(f"Bidirectional: layer must be an RNN, LSTM or GRU, got {layer!r}")
        if merge_mode is not None and merge_mode not in MERGES:
            raise ValueError(
                f"Bidirectional: merge_mode must be one of {', '.join(MERGES)} or None, got "
                f"{merge_mode!r}"
            )
        self.merge_mode = merge_mode
        self.forward_layer = _like(layer, f"forward_{layer.name.removeprefix('forward_')}")
        if backward_layer is None:
            backward_layer = _like(
                layer, f"backward_{layer.name.removeprefix('backward_')}", go_backwards=True
            )
        self.backward_layer = backward_layer
        self._check()
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        for one in (self.forward_layer, self.backward_layer):
            one.zero_output_for_mask = one.return_sequences

    def _check(self) -> None:
        one, other = self.forward_layer, self.backward_layer
        if one.go_backwards == other.go_backwards:
            raise ValueError(
                "Bidirectional: layer and backward_layer must have different go_backwards, both "
                f"have {one.go_backwards}"
            )
        for name in ("return_sequences", "return_state"):
            if getattr(one, name) != getattr(other, name):
                raise ValueError(
                    f"Bidirectional: layer and backward_layer must have the same {name}, got "
                    f"{getattr(one, name)} and {getattr(other, name)}"
                )

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The steps' mask for results that have steps."""
        mask = previous_mask if self.return_sequences else None
        return [mask, mask] if self.merge_mode is None else mask

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None) -> Any:
        first = second = None
        if initial_state is not None:
            half = len(initial_state) // 2
            first, second = initial_state[:half], initial_state[half:]
        y = self.forward_layer(sequences, initial_state=first, mask=mask)
        z = self.backward_layer(sequences, initial_state=second, mask=mask)
        states: list[Any] = []
        if self.return_state:
            states, y, z = [*y[1:], *z[1:]], y[0], z[0]
        if self.return_sequences:
            z = ops.flip(z, 1)
        merged = [y, z] if self.merge_mode is None else [MERGES[self.merge_mode](y, z)]
        results = [*merged, *states]
        return results if len(results) > 1 else results[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "layer", "backward_layer"))


def _like(layer: RNN, name: str, **changes: Any) -> RNN:
    """A new layer with another one's arguments."""
    if isinstance(layer, _CellLayer):
        return type(layer)(**{**layer.get_config(), "name": name, **changes})
    if layer.built:
        raise ValueError(
            f"Bidirectional: {layer.name!r} has weights already; pass a new layer, and "
            "backward_layer where the two are to differ"
        )
    made = copy.deepcopy(layer)
    for key, value in {"name": name, **changes}.items():
        setattr(made, key, value)
    return made


class TimeDistributed(Layer):
    """A layer on each step of sequences: (batch, steps, ...) to (batch, steps, ...).

    Args:
        layer: works on (batch, ...), each row by itself.
    """

    default_training: ClassVar[bool | None] = None

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"TimeDistributed: expected a layer, got {layer!r}")
        self.layer = layer
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if inputs.ndim < 3:
            raise ValueError(
                f"expected an input of shape (batch, steps, ...), got {list(inputs.shape)}"
            )
        # All steps at once: rows of one large batch.
        rows = ops.reshape(inputs, (inputs.shape[0] * inputs.shape[1], *inputs.shape[2:]))
        results = self.layer(rows)
        return ops.reshape(results, (*inputs.shape[:2], *results.shape[1:]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "layer"))
