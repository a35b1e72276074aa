"""Handwritten digits: 1,797 images of 8 x 8 pixels, from UCI. See data/README.txt."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

Split = tuple[np.ndarray, np.ndarray]


def load_data(test_fraction: float = 0.2, seed: int = 0) -> tuple[Split, Split]:
    """The images and their digits, shuffled and split: (x_train, y_train), (x_test, y_test).

    Args:
        test_fraction: share of the images in the test half, more than 0 and less than 1; 0.2 by
            default, which makes 359 images.
        seed: of the shuffle: the same seed gives the same split; 0 by default.

    Returns:
        x: uint8 (n, 8, 8), the ink of a pixel from 0 to 16; y: uint8 (n,), from 0 to 9.

    Raises:
        ValueError: for a `test_fraction` that leaves one of the halves empty.
    """
    with (files(__package__) / "data" / "digits.npz").open("rb") as file, np.load(file) as arrays:
        x, y = arrays["x"], arrays["y"]
    test = round(len(x) * test_fraction)
    if not 0 < test < len(x):
        raise ValueError(
            "Argument `test_fraction`: expected more than 0 and less than 1, "
            f"received {test_fraction!r}."
        )
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    return (x[test:], y[test:]), (x[:test], y[:test])
