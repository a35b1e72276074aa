"""Recurrent layers over sequences of images: an LSTM whose products are convolutions."""

from __future__ import annotations

from typing import Any

from graphc import ops
from graphc.ops.convolution import spatial
from graphc.trace import Tensor

from .cells import LSTMCell, States
from .convolution import refuse_both
from .recurrent import _CellLayer


class _ConvLSTMCell(LSTMCell):
    """One step of a `ConvLSTM`: (batch, spatial ..., channels) and the states.

    Args:
        filters: channels of the result.
        kernel_size: of both convolutions.
        strides, padding, dilation_rate: of the inputs' convolution; the states' keeps their size.
        data_format: "channels_last" (default) or "channels_first".
        others: see `LSTMCell`.
    """

    rank: int

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
        data_format: str | None = None, dilation_rate: Any = 1, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(filters, **kwargs)
        kind = type(self).__name__
        self.filters = filters
        self.kernel_size = spatial(kernel_size, self.rank, f"{kind}: kernel_size")
        self.strides = spatial(strides, self.rank, f"{kind}: strides")
        self.dilation_rate = spatial(dilation_rate, self.rank, f"{kind}: dilation_rate")
        self.padding = str(padding).lower()
        self.data_format = data_format or "channels_last"
        if self.padding not in ("valid", "same"):
            raise ValueError(f"{kind}: padding must be 'valid' or 'same', got {padding!r}")
        refuse_both(kind, self.strides, self.dilation_rate)
        self.output_size: Any = None  # a shape, which the states tell

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != self.rank + 2 or None in input_shape[1:]:
            raise ValueError(
                f"expected steps of {self.rank + 1} known axes behind the batch, got shape "
                f"{input_shape}"
            )
        rest = list(input_shape[1:])
        channels = rest.pop(-1 if self.data_format == "channels_last" else 0)
        self.spatial = tuple(map(self._result_size, range(self.rank), rest))
        width = self.gates * self.filters
        self.kernel = self.add_weight(
            (*self.kernel_size, channels, width), self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            (*self.kernel_size, self.filters, width), self.recurrent_initializer,
            name="recurrent_kernel",
        )  # fmt: skip
        self.bias = (
            self.add_weight(self.bias_shape(), self.first_bias, name="bias")
            if self.use_bias
            else None
        )

    def _result_size(self, at: int, size: int) -> int:
        reach = (self.kernel_size[at] - 1) * self.dilation_rate[at]
        return -(-(size if self.padding == "same" else size - reach) // self.strides[at])

    def get_initial_state(self, batch_size: Any) -> list[Tensor]:
        last = self.data_format == "channels_last"
        shape = (*self.spatial, self.filters) if last else (self.filters, *self.spatial)
        return [ops.broadcast_to(0.0, (batch_size, *shape))] * 2

    def products(self, kind: str, value: Tensor, kernel: Any) -> Tensor:
        """The convolution; gate by gate when each has a mask of its own."""
        masks = self._masks.get(kind, ())
        if len(masks) <= 1:
            return self._convolved(kind, self.masked(kind, value), kernel)
        parts = ops.split(kernel, self.gates, axis=-1)
        return ops.concatenate(
            [self._convolved(kind, self.masked(kind, value, at), p) for at, p in enumerate(parts)],
            axis=self._channel_axis,
        )

    def _convolved(self, kind: str, value: Tensor, kernel: Any) -> Tensor:
        if kind == "states":
            return ops.conv(value, kernel, 1, "same", self.data_format)
        options = self.strides, self.padding, self.data_format, self.dilation_rate
        return ops.conv(value, kernel, *options)

    def call(self, inputs: Tensor, states: States = ()) -> tuple[Tensor, list[Tensor]]:
        before, memory = states
        z = ops.add(
            self.products("inputs", inputs, self.kernel),
            self.products("states", before, self.recurrent_kernel),
        )
        if self.bias is not None:
            ones = (1,) * (self.rank if self._channel_axis == 1 else 0)
            z = ops.add(z, ops.reshape(self.bias, (-1, *ones)))
        return self.stepped(ops.split(z, 4, axis=self._channel_axis), memory)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["units"]
        return {
            **config,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
        }


class _ConvLSTM1DCell(_ConvLSTMCell):
    rank = 1


class _ConvLSTM2DCell(_ConvLSTMCell):
    rank = 2


class _ConvLSTM3DCell(_ConvLSTMCell):
    rank = 3


class _ConvLSTM(_CellLayer):
    """An LSTM whose products are convolutions (Shi et al. 2015).

    Args:
        filters: channels of the result.
        kernel_size: of the inputs' and of the states' convolution.
        strides, padding, dilation_rate: of the inputs' convolution.
        data_format: "channels_last" (default), (batch, steps, spatial ..., channels), or
            "channels_first", (batch, steps, channels, spatial ...).
        others: those of `LSTMCell` and `RNN`.

    Result: the last step's (batch, spatial ..., filters), or all steps'.
    """

    def __init__(self, filters: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(filters, *args, **kwargs)
        del self.units
        self.filters = filters


class ConvLSTM1D(_ConvLSTM):
    __doc__ = _ConvLSTM.__doc__
    cell_class = _ConvLSTM1DCell


class ConvLSTM2D(_ConvLSTM):
    __doc__ = _ConvLSTM.__doc__
    cell_class = _ConvLSTM2DCell


class ConvLSTM3D(_ConvLSTM):
    __doc__ = _ConvLSTM.__doc__
    cell_class = _ConvLSTM3DCell
