"""Layers around a layer, as in `keras.layers`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar, Self

from graphc import initializers, ops
from graphc.serialization import serialize_keras_object, with_objects
from graphc.trace import Tensor, Variable, current

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


class Wrapper(Layer):
    """Base of layers around one layer (`keras.layers.Wrapper`).

    Args:
        layer: the layer.
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__}: expected a layer, got {layer!r}")
        self.layer = layer

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "layer"))


class TimeDistributed(Wrapper):
    """A layer on each step of sequences: (batch, steps, ...) to (batch, steps, ...).

    Args:
        layer: works on (batch, ...), each row by itself.
    """

    default_training: ClassVar[bool | None] = None

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
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


class SpectralNormalization(Wrapper):
    """In training, a layer with its kernel divided by its largest singular value.

    As `keras.layers.SpectralNormalization` on JAX (Miyato et al. 2018): the value is found by power
    iteration, which goes on from step to step; gradients go through the division; the kernel itself
    stays as it is, and is used as it is outside of training.

    Args:
        layer: with a `kernel` or `embeddings`; (..., features).
        power_iterations: how many a step; 1 by default.

    Weights: the layer's kernel, vector_u (1, features), the layer's others.
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        if not isinstance(power_iterations, int) or power_iterations < 1:
            raise ValueError(
                "SpectralNormalization: power_iterations must be an int of at least 1, got "
                f"{power_iterations!r}"
            )
        self.power_iterations = power_iterations

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
            self.layer.built = True
        names = [name for name in ("kernel", "embeddings") if hasattr(self.layer, name)]
        if not names:
            raise ValueError(f"layer {self.layer.name!r} has neither a kernel nor embeddings")
        self.kernel_name = names[0]
        kernel = getattr(self.layer, self.kernel_name)
        self._own_weights.append(kernel)  # as in Keras, first among the weights
        features = kernel.shape[-1]
        first = initializers.TruncatedNormal(stddev=0.02)
        self.vector_u = self.add_weight((1, features), first, trainable=False, name="vector_u")

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training:
            return self.layer(inputs)
        kernel = getattr(self.layer, self.kernel_name)
        setattr(self.layer, self.kernel_name, self._normalized(kernel))
        try:
            return self.layer(inputs)
        finally:
            setattr(self.layer, self.kernel_name, kernel)

    def _normalized(self, kernel: Variable) -> Tensor:
        """The kernel over its largest singular value; 0 stays 0."""
        matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
        u = ops.convert_to_tensor(self.vector_u)
        for _ in range(self.power_iterations):
            v = ops.normalize(ops.matmul(u, ops.transpose(matrix)), epsilon=1e-12)
            u = ops.normalize(ops.matmul(v, matrix), epsilon=1e-12)
        u, v = ops.stop_gradient(u), ops.stop_gradient(v)
        some = ops.any(ops.not_equal(kernel, 0.0))
        current().assign(self.vector_u, ops.where(some, u, self.vector_u))
        sigma = ops.reshape(ops.matmul(ops.matmul(v, matrix), ops.transpose(u)), ())
        return ops.divide(kernel, ops.where(some, sigma, 1.0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}
