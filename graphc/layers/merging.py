"""Layers that merge several tensors into one, as in `keras.layers`, and their functional forms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from graphc import ops
from graphc.trace import Tensor

from .base import Layer


class Merge(Layer):
    """What the layers share that merge element by element: they take a list of two or more.

    Sizes of 1 are repeated; where ranks differ, sizes of 1 are put behind the batch.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        if not isinstance(input_shape, (list, tuple)) or not isinstance(
            input_shape[0], (list, tuple)
        ):
            raise ValueError(f"expected a list of inputs, got one of shape {input_shape}")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The steps that some input's mask shows; none where an input has no mask, as in Keras."""
        if not previous_mask or any(m is None for m in previous_mask):
            return None
        return reduce(ops.logical_or, previous_mask)

    def call(self, inputs: Any) -> Tensor:
        rank = max(x.ndim for x in inputs)
        aligned = []
        for x in inputs:
            shape = (x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) if x.ndim else x.shape
            aligned.append(ops.reshape(x, shape) if x.ndim < rank else x)
        return self.merge(aligned)

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        """The result, from tensors of one rank."""
        raise TypeError(f"{type(self).__name__} must define merge(self, inputs)")


class Add(Merge):
    """The sum."""

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(ops.add, inputs)


class Subtract(Merge):
    """The first of two without the second."""

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        if len(inputs) != 2:
            raise ValueError(f"Subtract: expected 2 inputs, got {len(inputs)}")
        return ops.subtract(*inputs)


class Multiply(Merge):
    """The product."""

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(ops.multiply, inputs)


class Average(Merge):
    """The mean."""

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return ops.divide(reduce(ops.add, inputs), float(len(inputs)))


class Maximum(Merge):
    """The largest."""

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(ops.maximum, inputs)


class Minimum(Merge):
    """The smallest."""

    def merge(self, inputs: Sequence[Tensor]) -> Tensor:
        return reduce(ops.minimum, inputs)


class Concatenate(Merge):
    """The inputs one after another along an axis; their other sizes are equal.

    Args:
        axis: the last by default.
    """

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        if all(m is None for m in previous_mask or ()):
            return None
        whole = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            shown = ops.ones_like(x) if mask is None else ops.cast(mask, "float32")
            shown = shown if shown.ndim == x.ndim else ops.expand_dims(shown, -1)
            whole.append(ops.broadcast_to(shown, x.shape))
        return ops.greater(ops.max(ops.concatenate(whole, self.axis), -1), 0.0)

    def call(self, inputs: Any) -> Tensor:
        shapes = [list(x.shape) for x in inputs]
        axis = self.axis % inputs[0].ndim
        rest = {tuple(d for a, d in enumerate(s) if a != axis) for s in shapes}
        if len(rest) > 1:
            raise ValueError(
                f"the inputs must have one shape beside axis {self.axis}, got "
                f"{' and '.join(map(str, shapes))}"
            )
        return ops.concatenate(inputs, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Dot(Merge):
    """Products of two tensors, summed over an axis of each, for each sample.

    Args:
        axes: the axis, or one of each; batch is axis 0.
        normalize: whether vectors along these axes are brought to length 1 first, which gives
            the cosine of their angle.
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        given = [axes] if isinstance(axes, int) else list(axes)
        if len(given) > 2 or 0 in given:
            raise ValueError(f"Dot: axes must be an int or two, none of the batch, got {axes!r}")
        self.axes = axes
        self.normalize = normalize

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None

    def call(self, inputs: Any) -> Tensor:
        if len(inputs) != 2:
            raise ValueError(f"Dot: expected 2 inputs, got {len(inputs)}")
        axes = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        x, y = inputs
        a, b = (axis % t.ndim for axis, t in zip(axes, inputs, strict=True))
        if x.shape[a] != y.shape[b]:
            raise ValueError(
                f"Dot: axis {a} of {list(x.shape)} and axis {b} of {list(y.shape)} must have one "
                "size"
            )
        if self.normalize:
            x, y = ops.normalize(x, a), ops.normalize(y, b)
        rows = [axis for axis in range(1, x.ndim) if axis != a]
        columns = [axis for axis in range(1, y.ndim) if axis != b]
        left, right = ops.transpose(x, (0, *rows, a)), ops.transpose(y, (0, b, *columns))
        product = ops.matmul(
            ops.reshape(left, (x.shape[0], _size(left.shape[1:-1]), x.shape[a])),
            ops.reshape(right, (x.shape[0], x.shape[a], _size(right.shape[2:]))),
        )
        shape = (x.shape[0], *left.shape[1:-1], *right.shape[2:])
        return ops.reshape(product, shape if len(shape) > 1 else (*shape, 1))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def _size(dims: Sequence[Any]) -> Any:
    return reduce(lambda a, b: a * b, dims, 1)


def _function(layer: Callable[..., Merge]) -> Callable[..., Any]:
    def function(inputs: Any, **kwargs: Any) -> Any:
        return layer(**kwargs)(inputs)

    function.__doc__ = f"`{layer.__name__}(...)(inputs)`."
    return function


add, subtract, multiply = _function(Add), _function(Subtract), _function(Multiply)
average, maximum, minimum = _function(Average), _function(Maximum), _function(Minimum)
concatenate = _function(Concatenate)


def dot(inputs: Any, axes: int | Sequence[int] = -1, **kwargs: Any) -> Any:
    """`Dot(axes, ...)(inputs)`."""
    return Dot(axes, **kwargs)(inputs)
