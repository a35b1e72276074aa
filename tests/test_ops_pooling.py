"""Adaptive pooling: every number of windows, held against its definition."""

import math

import numpy as np
import pytest

from graphc import layers, ops

X = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)


@pytest.mark.parametrize("count", range(1, 10))
def test_windows_cover_the_axis(count: int) -> None:
    bounds = [(7 * at // count, math.ceil(7 * (at + 1) / count)) for at in range(count)]
    for function, reduce in ((ops.adaptive_average_pool, np.mean), (ops.adaptive_max_pool, np.max)):
        wanted = np.stack([reduce(X[:, low:high], axis=1) for low, high in bounds], 1)
        np.testing.assert_allclose(function(X, count), wanted, rtol=1e-5, atol=1e-6)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="AdaptiveMaxPooling2D: output_size must be"):
        layers.AdaptiveMaxPooling2D((2, 3, 4))
    with pytest.raises(ValueError, match="spatial axes must be fixed"):
        layers.AdaptiveAveragePooling1D(2)(layers.Input((None, 3)))
