"""Random numbers outside compiled programs: the process-wide seed, and draws of NumPy arrays.

The draws use `numpy.random.default_rng` (PCG64): the same seed gives the same array.
"""

from __future__ import annotations

import math
import random as python_random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

_seeds = python_random.Random()  # seeded by the operating system until set_random_seed is called


def set_random_seed(seed: int) -> None:
    """Makes what is random from here on the same in every run (`keras.utils.set_random_seed`).

    Seeds Python's `random` and `numpy.random` too, which data pipelines often use.

    Args:
        seed: an int in [0, 2**32), the range that `numpy.random.seed` takes.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ValueError(
            f"Argument `seed`: expected an int in [0, 2**32), received {seed!r} "
            f"of type {type(seed).__name__}."
        )
    _seeds.seed(seed)
    python_random.seed(seed)
    np.random.seed(seed)


def given_seed(seed: Any) -> int | None:
    """The number that an argument `seed` means.

    Args:
        seed: an int, None, or a configuration of a `keras.random.SeedGenerator`.

    Raises:
        ValueError: for anything else.
    """
    if isinstance(seed, Mapping) and seed.get("class_name") == "SeedGenerator":
        seed = seed["config"].get("seed")
    if not isinstance(seed, (int, np.integer, type(None))):
        raise ValueError(f"Argument `seed`: expected an int or None, received {seed!r}.")
    return None if seed is None else int(seed)


def next_seed() -> int:
    """The next seed, an int in [0, 2**31).

    After `set_random_seed` the sequence is a function of that seed alone: draws from Python's
    or NumPy's generators do not shift it. Before, it differs in every process.
    """
    return _seeds.getrandbits(31)


def draw_uniform(
    seed: int, shape: Sequence[int], dtype: DTypeLike, low: float, high: float
) -> np.ndarray:
    """Uniform in [low, high), up to the rounding of the result."""
    values = _generator(seed).random(shape, dtype=_drawn(dtype))
    return _moved(values, high - low, low, dtype)


def draw_normal(
    seed: int, shape: Sequence[int], dtype: DTypeLike, mean: float, stddev: float
) -> np.ndarray:
    """Normal with this mean and standard deviation."""
    values = _generator(seed).standard_normal(shape, dtype=_drawn(dtype))
    return _moved(values, stddev, mean, dtype)


def draw_truncated_normal(
    seed: int, shape: Sequence[int], dtype: DTypeLike, mean: float, stddev: float
) -> np.ndarray:
    """Normal, drawn again while further than 2 stddev (that before truncation) from the mean."""
    generator = _generator(seed)
    values = generator.standard_normal(math.prod(shape), dtype=_drawn(dtype))
    while (out := np.flatnonzero(np.abs(values) > 2)).size:  # one in 22
        values[out] = generator.standard_normal(out.size, dtype=_drawn(dtype))
    return _moved(values.reshape(shape), stddev, mean, dtype)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed % 2**64)  # Keras takes negative seeds, NumPy does not


def _drawn(dtype: DTypeLike) -> Any:
    """The dtype to draw in: NumPy draws these two only."""
    if not np.issubdtype(dtype, np.floating):
        raise ValueError(f"Argument `dtype`: expected a floating-point dtype, received {dtype!r}.")
    return np.float64 if np.dtype(dtype) == np.float64 else np.float32


def _moved(values: np.ndarray, scale: float, offset: float, dtype: DTypeLike) -> np.ndarray:
    return np.asarray(values * scale + offset, dtype)
