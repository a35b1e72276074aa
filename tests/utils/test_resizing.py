"""Resizing: the numbers are those of keras.ops.image.resize in Keras 3.15.1 on JAX; padding is
TensorFlow's resize_with_pad, which Keras's data sets use.
"""

import numpy as np
import pytest

from graphc.utils.resizing import INTERPOLATIONS, resized

IMAGE = (np.arange(20.0) ** 2).reshape(4, 5, 1).astype(np.float32)
CASES = [
    ("nearest", "stretch", [[0, 1, 1, 4, 9, 9, 16], [100, 121, 121, 144, 169, 169, 196],
                            [225, 256, 256, 289, 324, 324, 361]]),
    ("bilinear", "stretch", [[6.167, 20.333], [74.5, 122], [226.167, 307]]),
    ("bilinear", "crop", [[0, 0.5, 1.5, 3.5, 6.5, 9], [17.5, 21.5, 27.167, 33.833, 41.5, 47.5],
                          [62.5, 70.5, 81.5, 93.5, 106.5, 116.5],
                          [137.5, 149.5, 165.833, 183.167, 201.5, 215.5],
                          [225, 240.5, 261.5, 283.5, 306.5, 324]]),
    ("bicubic", "stretch", [[8.519, 19.588, 37.071], [177.008, 226.353, 282.112]]),
    ("lanczos3", "pad", [[0, 0], [58.943, 109.27], [0, 0], [0, 0]]),
    ("lanczos5", "stretch", [[41.453, 51.686, 71.902, 80.087, 104.057, 118.807]]),
]  # fmt: skip


@pytest.mark.parametrize(("interpolation", "fit", "wanted"), CASES)
def test_as_keras(interpolation: str, fit: str, wanted: list[list[float]]) -> None:
    size = len(wanted), len(wanted[0])
    found = resized(np.repeat(IMAGE, 3, -1), size, interpolation, fit)
    assert found.dtype == np.float32
    for channel in range(3):
        np.testing.assert_allclose(found[..., channel], wanted, atol=6e-4)


def test_the_same_size_changes_nothing() -> None:
    for interpolation in INTERPOLATIONS:
        np.testing.assert_array_equal(resized(IMAGE, (4, 5), interpolation), IMAGE)
