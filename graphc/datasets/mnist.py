"""MNIST: handwritten digits."""

from __future__ import annotations

from .digits import Split
from .source import KERAS_FILES, Source, read_npz

SOURCE = Source(
    "mnist.npz",
    KERAS_FILES + "mnist.npz",
    "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
)


def load_data(path: str = "mnist.npz") -> tuple[Split, Split]:
    """60,000 images of digits to train on and 10,000 to test (`keras.datasets.mnist`).

    Args:
        path: name of the file in the cache, ~/.keras/datasets; "mnist.npz" by default.

    Returns:
        (x_train, y_train), (x_test, y_test): x uint8 (n, 28, 28), from 0 to 255; y uint8 (n,),
        the digits.

    Raises:
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
        ValueError: when the file is damaged.
    """
    arrays = read_npz(SOURCE.fetch(path), "x_train", "y_train", "x_test", "y_test")
    x_train, y_train, x_test, y_test = arrays
    return (x_train, y_train), (x_test, y_test)
