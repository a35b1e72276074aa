"""Layers that change the colours of images in training, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.trace import Tensor

from .augmentation import RandomLayer, symmetric_range


def checked_values(owner: str, value_range: Any) -> tuple[float, float]:
    """The least and the largest value of images.

    Raises:
        ValueError: when it is not two numbers.
    """
    numbers = isinstance(value_range, (list, tuple)) and len(value_range) == 2
    if not numbers or not all(isinstance(v, (int, float)) for v in value_range):
        raise ValueError(f"{owner}: value_range must be two numbers, got {value_range!r}")
    return value_range[0], value_range[1]


class _OfValues(RandomLayer):
    """A `RandomLayer` that knows the range of values.

    Args:
        value_range: the least and the largest value, which results are held between.
        seed: for numbers of its own; by default they follow `utils.set_random_seed`.
    """

    def __init__(
        self, value_range: Sequence[float] = (0, 255), seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        self.value_range: Sequence[float] = checked_values(type(self).__name__, value_range)

    def held(self, x: Tensor) -> Tensor:
        """x held between the least and the largest value."""
        low, high = self.value_range
        return ops.clip(x, float(low), float(high))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "value_range": self.value_range}


class RandomContrast(_OfValues):
    """In training, multiplies the distance from the image's mean, channel by channel.

    As `keras.layers.RandomContrast`.

    Args:
        factor: a pair; the image's factor is in [1 - factor[0], 1 + factor[1]]. As in Keras, a
            number in [0, 1] stands for the pair (0, number).
        value_range, seed: see `_OfValues`.
    """

    def __init__(
        self, factor: Any, value_range: Sequence[float] = (0, 255), seed: int | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(value_range, seed, **kwargs)
        pair = isinstance(factor, (list, tuple))
        self.factor = symmetric_range("RandomContrast: factor", factor, -1.0 if pair else 0.0)

    def changed(self, x: Tensor) -> Tensor:
        mean = ops.mean(x, (1, 2), keepdims=True)
        factor = self.drawn(x, 1.0 - self.factor[0], 1.0 + self.factor[1])
        return self.held((x - mean) * factor + mean)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class RandomBrightness(_OfValues):
    """In training, adds a number to each image (`keras.layers.RandomBrightness`).

    Args:
        factor: the number as a part of the range of values: a range within [-1, 1], or a number
            for both directions.
        value_range, seed: see `_OfValues`.
    """

    def __init__(
        self, factor: Any, value_range: Sequence[float] = (0, 255), seed: int | None = None,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(value_range, seed, **kwargs)
        self.value_range = sorted(self.value_range)
        self.factor = symmetric_range("RandomBrightness: factor", factor)

    def changed(self, x: Tensor) -> Tensor:
        low, high = self.value_range
        return self.held(x + (high - low) * self.drawn(x, *self.factor))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
