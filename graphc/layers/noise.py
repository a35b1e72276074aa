"""Layers that work in training only: noise, and dropout of whole channels."""

from __future__ import annotations

import math
from typing import Any

from graphc import ops
from graphc.random import given_seed
from graphc.trace import Tensor, current

from .base import Layer
from .core import Dropout


def normal(shape: Any, seed: int | None) -> Tensor:
    """Normal random numbers (Box and Muller 1958), other ones at every step."""
    trace = current()
    # 1 - u is in (0, 1], where the logarithm is finite.
    radius = ops.sqrt(-2.0 * ops.log(1.0 - trace.uniform(shape, seed)))
    return radius * ops.cos(2.0 * math.pi * trace.uniform(shape, seed))


class _Noise(Layer):
    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = given_seed(seed)
        self.supports_masking = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}


class GaussianNoise(_Noise):
    """In training, adds normal noise.

    Args:
        stddev: its standard deviation, at least 0.
        seed: for numbers of its own; by default they follow `utils.set_random_seed`.
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if stddev < 0:
            raise ValueError(f"GaussianNoise: stddev must be at least 0, got {stddev!r}")
        self.stddev = stddev

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        if not training or not self.stddev:
            return ops.convert_to_tensor(inputs)
        return ops.add(inputs, self.stddev * normal(inputs.shape, self.seed))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev}


class GaussianDropout(_Noise):
    """In training, multiplies by normal noise of mean 1 (Srivastava et al. 2014).

    Args:
        rate: the noise's standard deviation is sqrt(rate / (1 - rate)).
        seed: for numbers of its own; by default they follow `utils.set_random_seed`.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"GaussianDropout: rate must be in [0, 1), got {rate!r}")
        self.rate = rate

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        if not training or not self.rate:
            return ops.convert_to_tensor(inputs)
        deviation = math.sqrt(self.rate / (1 - self.rate))
        return ops.multiply(inputs, 1.0 + deviation * normal(inputs.shape, self.seed))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


class AlphaDropout(_Noise):
    """In training, dropout that keeps mean and variance of what SELU gives (Klambauer et al. 2017).

    Args:
        rate: the fraction of elements that are dropped.
        noise_shape: as in `Dropout`.
        seed: for numbers of its own; by default they follow `utils.set_random_seed`.
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed, **kwargs)
        if not 0 <= rate <= 1:
            raise ValueError(f"AlphaDropout: rate must be between 0 and 1, got {rate!r}")
        self.rate = rate
        self.noise_shape = noise_shape

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        if not training or not self.rate:
            return ops.convert_to_tensor(inputs)
        if self.rate == 1:
            return ops.zeros_like(inputs)
        lowest = -1.6732632423543772 * 1.0507009873554805
        scale = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5
        noise = self.noise_shape or (None,) * inputs.ndim
        shape = tuple(d if n is None else n for d, n in zip(inputs.shape, noise, strict=True))
        kept = ops.greater_equal(current().uniform(shape, self.seed), self.rate)
        dropped = ops.where(kept, inputs, lowest)
        return ops.subtract(ops.multiply(dropped, scale), scale * lowest * self.rate)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape}


class _SpatialDropout(Dropout):
    """In training, drops whole channels (Tompson et al. 2015).

    Args:
        rate: the fraction of channels.
        data_format: "channels_last" (default) or "channels_first".
        seed: for numbers of its own; by default they follow `utils.set_random_seed`.
    """

    rank: int

    def __init__(
        self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        ones = (1,) * self.rank
        first = data_format == "channels_first"
        shape = (None, None, *ones) if first else (None, *ones, None)
        super().__init__(rate, shape, seed, **kwargs)
        self.data_format = data_format or "channels_last"

    def get_config(self) -> dict[str, Any]:
        # The shape of noise follows from the class, and Keras leaves out what else it may.
        config = {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}
        return config if self.rank == 1 else {**config, "data_format": self.data_format}


class SpatialDropout1D(_SpatialDropout):
    __doc__ = _SpatialDropout.__doc__
    rank = 1


class SpatialDropout2D(_SpatialDropout):
    __doc__ = _SpatialDropout.__doc__
    rank = 2


class SpatialDropout3D(_SpatialDropout):
    __doc__ = _SpatialDropout.__doc__
    rank = 3
