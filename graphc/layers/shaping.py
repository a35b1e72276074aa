"""Layers that move elements about, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from graphc import ops
from graphc.ops.convolution import channels_last, like_input
from graphc.serialization import serialize_keras_object, with_objects
from graphc.trace import Tensor

from .base import Layer


class Identity(Layer):
    """The input itself."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


class Lambda(Layer):
    """A function written with `graphc.ops` as a layer.

    Args:
        function: of a tensor (or several, in lists or dicts).
        output_shape: accepted and not needed.
        mask: of the result: a tensor, or a function of inputs and mask.
        arguments: more arguments of the function, by name.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise ValueError(f"Lambda: expected a function, got {function!r}")
        self.function = function
        self.arguments = arguments or {}
        self.output_shape = output_shape
        self.mask = mask
        self.supports_masking = mask is not None

    def get_config(self) -> dict[str, Any]:
        """The function's name, for it to be found by again; a lambda has none.

        Raises:
            ValueError: for a lambda.
        """
        config = {"function": self.function, "arguments": self.arguments}
        for name, value in (("output_shape", self.output_shape), ("mask", self.mask)):
            if value is not None:
                config[name] = value
        return {**super().get_config(), **serialize_keras_object(config)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "function", "arguments", "output_shape", "mask"))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def call(self, inputs: Any) -> Any:
        return self.function(inputs, **self.arguments)


class Reshape(Layer):
    """(batch, ...) to (batch, *target_shape).

    Args:
        target_shape: one size may be -1: what is left.
    """

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)

    def call(self, inputs: Any) -> Tensor:
        return ops.reshape(inputs, (inputs.shape[0], *self.target_shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """Axes in another order.

    Args:
        dims: axes behind the batch, numbered from 1.
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Permute: dims must have each of 1 to {len(self.dims)} once, got {dims!r}"
            )

    def call(self, inputs: Any) -> Tensor:
        return ops.transpose(inputs, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


class RepeatVector(Layer):
    """(batch, features) to (batch, n, features).

    Args:
        n: how often.
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"RepeatVector: n must be an int of at least 1, got {n!r}")
        self.n = n

    def call(self, inputs: Any) -> Tensor:
        if inputs.ndim != 2:
            raise ValueError(
                f"expected an input of shape (batch, features), got {list(inputs.shape)}"
            )
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}


def _pairs(value: Any, rank: int, name: str) -> list[tuple[int, int]]:
    """(before, after) of each spatial axis, from an int, one int an axis, or pairs."""
    given = [value] * rank if isinstance(value, int) else list(value)
    if rank == 1 and len(given) == 2 and all(isinstance(v, int) for v in given):
        given = [tuple(given)]
    pairs = [(v, v) if isinstance(v, int) else tuple(v) for v in given]
    if len(pairs) != rank or any(
        len(p) != 2 or not all(isinstance(v, int) and v >= 0 for v in p) for p in pairs
    ):
        raise ValueError(
            f"{name} must have a number or a pair for each of {rank} axes, got {value!r}"
        )
    return pairs


class _Spatial(Layer):
    """What layers share that work on the spatial axes."""

    rank: int

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or "channels_last"

    def call(self, inputs: Any) -> Tensor:
        if inputs.ndim != self.rank + 2:
            raise ValueError(
                f"expected an input of {self.rank + 2} axes, got shape {list(inputs.shape)}"
            )
        return like_input(self.work(channels_last(inputs, self.data_format)), self.data_format)

    def work(self, x: Tensor) -> Tensor:
        """The result for channels last."""
        raise TypeError(f"{type(self).__name__} must define work(self, x)")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class _ZeroPadding(_Spatial):
    """Zeros around the spatial axes.

    Args:
        padding: elements before and after each axis: an int, one an axis, or pairs.
        data_format: "channels_last" (default) or "channels_first".
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.padding = _pairs(padding, self.rank, f"{type(self).__name__}: padding")

    def work(self, x: Tensor) -> Tensor:
        return ops.pad(x, [(0, 0), *self.padding, (0, 0)])

    def get_config(self) -> dict[str, Any]:
        padding = self.padding if self.rank > 1 else self.padding[0]
        return {**super().get_config(), "padding": padding}


class ZeroPadding1D(_ZeroPadding):
    __doc__ = _ZeroPadding.__doc__
    rank = 1


class ZeroPadding2D(_ZeroPadding):
    __doc__ = _ZeroPadding.__doc__
    rank = 2


class ZeroPadding3D(_ZeroPadding):
    __doc__ = _ZeroPadding.__doc__
    rank = 3


class _Cropping(_Spatial):
    """The spatial axes without elements at their ends.

    Args:
        cropping: elements before and after each axis: an int, one an axis, or pairs.
        data_format: "channels_last" (default) or "channels_first".
    """

    def __init__(self, cropping: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format, **kwargs)
        self.cropping = _pairs(cropping, self.rank, f"{type(self).__name__}: cropping")

    def work(self, x: Tensor) -> Tensor:
        key: list[Any] = [slice(None)]
        for axis, (low, high) in enumerate(self.cropping, 1):
            size = x.shape[axis]
            if not isinstance(size, int) or low + high >= size:
                raise ValueError(f"{(low, high)} elements cannot be cropped off an axis of {size}")
            key.append(slice(low, size - high))
        return x[tuple(key)]

    def get_config(self) -> dict[str, Any]:
        if self.rank > 1:
            return {**super().get_config(), "cropping": self.cropping}
        return {**Layer.get_config(self), "cropping": self.cropping[0]}  # as Keras has it


class Cropping1D(_Cropping):
    __doc__ = _Cropping.__doc__
    rank = 1


class Cropping2D(_Cropping):
    __doc__ = _Cropping.__doc__
    rank = 2


class Cropping3D(_Cropping):
    __doc__ = _Cropping.__doc__
    rank = 3


MAX_BILINEAR = 256  # each of the elements between two is a node of the graph


class _UpSampling(_Spatial):
    """Each element of the spatial axes repeated.

    Args:
        size: how often: an int, or one an axis.
        data_format: "channels_last" (default) or "channels_first".
        interpolation: "nearest" (default), or of images "bilinear".
    """

    def __init__(
        self, size: Any = 2, data_format: str | None = None, interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(data_format, **kwargs)
        self.size = (size,) * self.rank if isinstance(size, int) else tuple(size)
        known = ("nearest", "bilinear") if self.rank == 2 else ("nearest",)
        if interpolation not in known:
            raise ValueError(
                f"{type(self).__name__}: interpolation must be one of {known}, got "
                f"{interpolation!r}"
            )
        if interpolation == "bilinear" and max(self.size) > MAX_BILINEAR:
            raise ValueError(
                f"{type(self).__name__}: size must be at most {MAX_BILINEAR} with interpolation="
                f"'bilinear', got {size!r}"
            )
        self.interpolation = interpolation

    def work(self, x: Tensor) -> Tensor:
        nearest = self.interpolation == "nearest"
        for axis, size in enumerate(self.size, 1):
            x = ops.repeat(x, size, axis) if nearest else _interpolated(x, axis, size)
        return x

    def get_config(self) -> dict[str, Any]:
        if self.rank == 1:
            return {**Layer.get_config(self), "size": self.size[0]}
        config = {**super().get_config(), "size": self.size}
        return config if self.rank == 3 else {**config, "interpolation": self.interpolation}


def _interpolated(x: Tensor, axis: int, size: int) -> Tensor:
    """Linear between the elements' centres, and constant beyond the outer ones."""
    count = x.shape[axis]
    assert isinstance(count, int)
    last = (slice(None),) * axis
    before = ops.concatenate([x[(*last, slice(0, 1))], x[(*last, slice(0, count - 1))]], axis)
    after = ops.concatenate(
        [x[(*last, slice(1, count))], x[(*last, slice(count - 1, count))]], axis
    )
    parts = []
    for at in range(size):
        offset = (at + 0.5) / size - 0.5
        other = before if offset < 0 else after
        parts.append(x * (1.0 - abs(offset)) + other * abs(offset))
    whole = ops.stack(parts, axis + 1)
    return ops.reshape(whole, (*x.shape[:axis], count * size, *x.shape[axis + 1 :]))


class UpSampling1D(_UpSampling):
    """Each step repeated.

    Args:
        size: how often.
    """

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(size, **kwargs)


class UpSampling2D(_UpSampling):
    __doc__ = _UpSampling.__doc__
    rank = 2


class UpSampling3D(_UpSampling):
    __doc__ = _UpSampling.__doc__
    rank = 3
