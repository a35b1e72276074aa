"""Dense, Embedding, Activation, Masking, Flatten, Dropout and others of `keras.layers`."""

from __future__ import annotations

from typing import Any, ClassVar

from graphc import activations, initializers, ops, regularizers
from graphc.ops.convolution import channels_last
from graphc.random import given_seed
from graphc.trace import Tensor, current

from .base import Layer


class Dense(Layer):
    """activation(inputs @ kernel + bias) over the last axis.

    Args:
        units: size of the result's last axis.
        activation: name or function; linear by default.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: Glorot uniform and zeros by default.

    Weights: kernel (features, units), bias (units,). Input (batch, ..., features); result
    (batch, ..., units).
    """

    weight_options: ClassVar[dict[str, str]] = {"kernel": "kernel", "bias": "bias"}
    only_defaults: ClassVar[dict[str, Any]] = {"quantization_config": None}

    def __init__(
        self,
        units: int,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(units, int) or isinstance(units, bool) or units < 1:
            raise ValueError(f"Dense: units must be an int of at least 1, got {units!r}")
        self.supports_masking = True
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)

    def build(self, input_shape: Any) -> None:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                f"expected an input of shape (batch, ..., features) with features known, got "
                f"{input_shape}; flatten images with layers.Flatten()"
            )
        self.features = input_shape[-1]
        self.kernel = self.add_weight(
            (self.features, self.units), self.kernel_initializer, name="kernel"
        )
        self.bias = (
            self.add_weight((self.units,), self.bias_initializer, name="bias")
            if self.use_bias
            else None
        )

    def call(self, inputs: Any) -> Tensor:
        shape = inputs.shape
        if shape[-1] != self.features:
            raise ValueError(
                f"expected {self.features} features (the kernel has shape {self.kernel.shape}), "
                f"got {shape[-1]}"
            )
        # As a matrix, so that bias and activation are the product's epilogue.
        rows = ops.reshape(inputs, (-1, self.features))
        result = ops.matmul(rows, self.kernel)
        if self.bias is not None:
            result = ops.add(result, self.bias)
        if len(shape) == 2:
            return self.activation(result)
        return self.activation(ops.reshape(result, (*shape[:-1], self.units)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


class Activation(Layer):
    """An activation function as a layer. Shapes: any, and the same.

    Args:
        activation: name or function.
    """

    def __init__(self, activation: object, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Tensor:
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Embedding(Layer):
    """A row of a table for each integer: (batch, ...) to (batch, ..., output_dim).

    Args:
        input_dim: rows of the table; integers are below. Others give NaN.
        output_dim: size of a row.
        embeddings_initializer: uniform by default.
        mask_zero: whether 0 stands for a step that does not count.
        weights: the table itself, optional.

    Weights: embeddings (input_dim, output_dim).
    """

    weight_options: ClassVar[dict[str, str]] = {"embeddings": "embeddings"}
    only_defaults: ClassVar[dict[str, Any]] = {"quantization_config": None}
    writes_activity_regularizer = True

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: object = "uniform",
        mask_zero: bool = False,
        weights: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("input_length", None)  # of Keras 2, and never needed
        super().__init__(**kwargs)
        for name, value in (("input_dim", input_dim), ("output_dim", output_dim)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"Embedding: {name} must be an int of at least 1, got {value!r}")
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.mask_zero = mask_zero
        self.supports_masking = mask_zero
        if weights is not None:
            self.build(None)
            self.built = True
            self.set_weights(weights if isinstance(weights, list) else [weights])

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim), self.embeddings_initializer, name="embeddings"
        )

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return ops.not_equal(inputs, 0) if self.mask_zero else None

    def call(self, inputs: Any) -> Tensor:
        return ops.take(self.embeddings, ops.cast(inputs, "int32"), axis=0)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
            "mask_zero": self.mask_zero,
        }


class Masking(Layer):
    """Hides steps all of whose features have one value: (batch, steps, features) stays.

    Args:
        mask_value: that value; the features of hidden steps become 0.
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True

    def _shown(self, inputs: Any, keepdims: bool) -> Tensor:
        differs = ops.cast(ops.not_equal(inputs, self.mask_value), "float32")
        return ops.greater(ops.max(differs, -1, keepdims=keepdims), 0.0)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return self._shown(inputs, keepdims=False)

    def call(self, inputs: Any) -> Tensor:
        return ops.multiply(inputs, ops.cast(self._shown(inputs, keepdims=True), inputs.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}


class Flatten(Layer):
    """(batch, ...) to (batch, product of the others).

    Args:
        data_format: "channels_last" (default), or "channels_first", whose channels go to the end
            first.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or "channels_last"

    def call(self, inputs: Any) -> Tensor:
        if len(inputs.shape) == 1:
            return ops.expand_dims(inputs, -1)
        x = channels_last(inputs, self.data_format) if inputs.ndim > 2 else inputs
        return ops.reshape(x, (inputs.shape[0], -1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class Dropout(Layer):
    """In training, sets a fraction of the elements to 0 and scales the rest by 1 / (1 - rate).

    Args:
        rate: the fraction, at least 0 and at most 1.
        noise_shape: shape of the mask where it is to be shared along axes; None in place of the
            batch, 1 in place of a shared axis.
        seed: for numbers of its own; by default they follow `utils.set_random_seed`.
    """

    def __init__(
        self,
        rate: float,
        noise_shape: tuple[int | None, ...] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate <= 1:
            raise ValueError(f"Dropout: rate must be between 0 and 1, got {rate!r}")
        if any(n is not None and (not isinstance(n, int) or n < 1) for n in noise_shape or ()):
            raise ValueError(
                "Dropout: noise_shape must have ints of at least 1, or None in place of the "
                f"input's size, got {tuple(noise_shape or ())}"
            )
        self.supports_masking = True
        self.rate = float(rate)
        self.noise_shape = noise_shape
        self.seed = given_seed(seed)

    def _mask_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        noise = self.noise_shape or (None,) * len(shape)
        mask = tuple(d if n is None else n for d, n in zip(shape, noise, strict=False))
        if len(noise) != len(shape) or any(
            m not in (1, d) for m, d in zip(mask, shape, strict=True)
        ):
            raise ValueError(
                f"noise_shape {noise} must have a size for each axis of the input: its size, None "
                "or 1"
            )
        return mask

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        shape = self._mask_shape(inputs.shape)
        if not training or self.rate == 0:
            return inputs  # type: ignore[no-any-return]
        if self.rate == 1:
            return ops.zeros_like(inputs)
        kept = ops.greater_equal(current().uniform(shape, self.seed), self.rate)
        return ops.where(kept, ops.multiply(inputs, 1 / (1 - self.rate)), 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape,
                "seed": self.seed}  # fmt: skip


class ActivityRegularization(Layer):
    """The inputs themselves, with a penalty on them in the loss, divided by the batch size.

    Args:
        l1, l2: factors of the sums of absolute and of squared values.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.supports_masking = True
        self.l1 = l1
        self.l2 = l2

    def call(self, inputs: Any) -> Any:
        return inputs

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activity_regularizer"]
        return {**config, "l1": self.l1, "l2": self.l2}
