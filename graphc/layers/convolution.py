"""Convolution layers, as in `keras.layers`."""

from __future__ import annotations

from typing import Any, ClassVar

from graphc import activations, initializers, ops
from graphc.ops.convolution import spatial
from graphc.trace import Tensor

from .base import Layer


def refuse_both(kind: str, strides: tuple[int, ...], dilation_rate: tuple[int, ...]) -> None:
    """Checks that not both strides and dilation are asked for, which Keras refuses.

    Raises:
        ValueError: naming the kind of layer.
    """
    if max(strides) > 1 and max(dilation_rate) > 1:
        raise ValueError(
            f"{kind}: strides {strides} and dilation_rate {dilation_rate} cannot both be above 1"
        )


class BaseConv(Layer):
    """What all convolution layers share: their arguments, the kernel, bias and activation.

    Args:
        filters: channels of the result.
        kernel_size: the window, one size or one an axis.
        strides: steps between windows.
        padding: "valid", "same", or "causal" (Conv1D).
        data_format: "channels_last" (default) or "channels_first".
        dilation_rate: steps between a window's elements.
        groups: parts of the channels that are convolved apart from each other.
        activation: name or function; linear by default.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: Glorot uniform and zeros by default.

    Weights: kernel (window ..., channels / groups, filters), bias (filters,).
    """

    rank: int
    paddings: tuple[str, ...] = ("valid", "same")
    weight_options: ClassVar[dict[str, str]] = {"kernel": "kernel", "bias": "bias"}
    writes_activity_regularizer = True

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: object = None,
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        bias_initializer: object = "zeros",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.filters = filters
        self.kernel_size = spatial(kernel_size, self.rank, f"{kind}: kernel_size")
        self.strides = spatial(strides, self.rank, f"{kind}: strides")
        self.dilation_rate = spatial(dilation_rate, self.rank, f"{kind}: dilation_rate")
        self.padding = str(padding).lower()
        self.data_format = data_format or "channels_last"
        self.groups = groups
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        if self.padding not in self.paddings:
            raise ValueError(f"{kind}: padding must be one of {self.paddings}, got {padding!r}")
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"{kind}: data_format must be 'channels_last' or 'channels_first', got "
                f"{data_format!r}"
            )
        if not isinstance(filters, int) or filters < 1 or groups < 1 or filters % groups:
            raise ValueError(
                f"{kind}: filters must be a positive multiple of groups, got filters={filters!r}, "
                f"groups={groups!r}"
            )
        refuse_both(kind, self.strides, self.dilation_rate)

    def channels_of(self, input_shape: Any) -> int:
        """The size of the channel axis.

        Raises:
            ValueError: when the rank is wrong, or the size not known.
        """
        axis = -1 if self.data_format == "channels_last" else 1
        if len(input_shape) != self.rank + 2 or input_shape[axis] is None:
            axes = "spatial ..., channels" if axis == -1 else "channels, spatial ..."
            raise ValueError(
                f"expected an input of {self.rank + 2} axes (batch, {axes}) with channels known, "
                f"got shape {input_shape}"
            )
        channels = input_shape[axis]
        if channels % self.groups:
            raise ValueError(f"{channels} channels cannot be cut into groups={self.groups}")
        return int(channels)

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        """The kernel's shape for an input of so many channels."""
        return (*self.kernel_size, channels // self.groups, self.filters)

    def build(self, input_shape: Any) -> None:
        shape = self.kernel_shape(self.channels_of(input_shape))
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel")
        self.bias = (
            self.add_weight((self.filters,), self.bias_initializer, name="bias")
            if self.use_bias
            else None
        )

    def convolve(self, inputs: Any) -> Tensor:
        """The convolution without bias and activation."""
        return ops.conv(
            inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )

    def call(self, inputs: Any) -> Tensor:
        result = self.convolve(inputs)
        if self.bias is not None:
            bias = self.bias
            if self.data_format == "channels_first":
                result = ops.add(result, ops.reshape(bias, (-1, *(1,) * self.rank)))
            else:
                result = ops.add(result, bias)
        return self.activation(result)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
        }


class Conv1D(BaseConv):
    """Convolution of (batch, steps, channels)."""

    rank = 1
    paddings = ("valid", "same", "causal")


class Conv2D(BaseConv):
    """Convolution of (batch, height, width, channels)."""

    rank = 2


class Conv3D(BaseConv):
    """Convolution of (batch, depth, height, width, channels)."""

    rank = 3


class BaseConvTranspose(BaseConv):
    """The gradient of a convolution as a layer: its result is larger than its input.

    Args: those of `BaseConv` but groups, and
        output_padding: elements added at the result's end; by default as `strides` ask for.

    Weights: kernel (window ..., filters, channels), bias (filters,).
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate, **kwargs
        )
        self.output_padding = output_padding

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, self.filters, channels)

    def convolve(self, inputs: Any) -> Tensor:
        return ops.conv_transpose(
            inputs, self.kernel, self.strides, self.padding, self.output_padding,
            self.data_format, self.dilation_rate,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        padding = self.output_padding
        padding = (padding,) * self.rank if isinstance(padding, int) else padding
        config = {**super().get_config(), "output_padding": padding}
        del config["groups"]
        return config


class Conv1DTranspose(BaseConvTranspose):
    """Transposed convolution of (batch, steps, channels)."""

    rank = 1


class Conv2DTranspose(BaseConvTranspose):
    """Transposed convolution of (batch, height, width, channels)."""

    rank = 2


class Conv3DTranspose(BaseConvTranspose):
    """Transposed convolution of (batch, depth, height, width, channels)."""

    rank = 3


class BaseDepthwiseConv(BaseConv):
    """A convolution of each channel by itself.

    Args: those of `BaseConv` but filters and groups (and with depthwise_initializer in place of
        kernel_initializer), and
        depth_multiplier: channels of the result for each of the input.

    Weights: kernel (window ..., channels, depth_multiplier), bias (channels * depth_multiplier,).
    """

    weight_options: ClassVar[dict[str, str]] = {"kernel": "depthwise", "bias": "bias"}

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: object = None,
        use_bias: bool = True,
        depthwise_initializer: object = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        if not isinstance(depth_multiplier, int) or depth_multiplier < 1:
            raise ValueError(
                f"{type(self).__name__}: depth_multiplier must be a positive int, got "
                f"{depth_multiplier!r}"
            )
        super().__init__(
            depth_multiplier, kernel_size, strides, padding, data_format, dilation_rate,
            activation=activation, use_bias=use_bias, kernel_initializer=depthwise_initializer,
            **kwargs,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier

    def kernel_shape(self, channels: int) -> tuple[int, ...]:
        self.filters = channels * self.depth_multiplier  # the bias's length
        return (*self.kernel_size, channels, self.depth_multiplier)

    def convolve(self, inputs: Any) -> Tensor:
        return ops.depthwise_conv(
            inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate
        )

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "depth_multiplier": self.depth_multiplier}
        config["depthwise_initializer"] = config.pop("kernel_initializer")
        del config["filters"], config["groups"]
        return config


class DepthwiseConv1D(BaseDepthwiseConv):
    """Depthwise convolution of (batch, steps, channels)."""

    rank = 1


class DepthwiseConv2D(BaseDepthwiseConv):
    """Depthwise convolution of (batch, height, width, channels)."""

    rank = 2


class BaseSeparableConv(BaseConv):
    """A depthwise convolution, then a convolution with windows of one element.

    Args: those of `BaseConv` but groups and kernel_initializer, and
        depth_multiplier: channels in between for each of the input.
        depthwise_initializer, pointwise_initializer: Glorot uniform by default.

    Weights: depthwise kernel (window ..., channels, depth_multiplier), pointwise kernel
    (1 ..., channels * depth_multiplier, filters), bias (filters,).
    """

    weight_options: ClassVar[dict[str, str]] = {
        "depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise", "bias": "bias",
    }  # fmt: skip

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: object = None,
        use_bias: bool = True,
        depthwise_initializer: object = "glorot_uniform",
        pointwise_initializer: object = "glorot_uniform",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            filters, kernel_size, strides, padding, data_format, dilation_rate,
            activation=activation, use_bias=use_bias, **kwargs,
        )  # fmt: skip
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)

    def build(self, input_shape: Any) -> None:
        channels = self.channels_of(input_shape)
        self.depthwise_kernel = self.add_weight(
            (*self.kernel_size, channels, self.depth_multiplier), self.depthwise_initializer,
            name="depthwise_kernel",
        )  # fmt: skip
        self.pointwise_kernel = self.add_weight(
            (*(1,) * self.rank, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer, name="pointwise_kernel",
        )  # fmt: skip
        self.bias = (
            self.add_weight((self.filters,), self.bias_initializer, name="bias")
            if self.use_bias
            else None
        )

    def convolve(self, inputs: Any) -> Tensor:
        return ops.separable_conv(
            inputs, self.depthwise_kernel, self.pointwise_kernel, self.strides, self.padding,
            self.data_format, self.dilation_rate,
        )  # fmt: skip

    def get_config(self) -> dict[str, Any]:
        config = {
            **super().get_config(),
            "depth_multiplier": self.depth_multiplier,
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "pointwise_initializer": initializers.serialize(self.pointwise_initializer),
        }
        del config["groups"], config["kernel_initializer"]
        return config


class SeparableConv1D(BaseSeparableConv):
    """Separable convolution of (batch, steps, channels)."""

    rank = 1
    paddings = ("valid", "same", "causal")


class SeparableConv2D(BaseSeparableConv):
    """Separable convolution of (batch, height, width, channels)."""

    rank = 2
