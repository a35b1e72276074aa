"""CIFAR-10: small photographs of ten kinds of things."""

from __future__ import annotations

import numpy as np

from . import cifar
from .digits import Split
from .source import Source

SOURCE = Source(
    "cifar-10-batches-py-target_archive",
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)


def load_data() -> tuple[Split, Split]:
    """50,000 photographs to train on and 10,000 to test (`keras.datasets.cifar10`).

    The classes are airplane, automobile, bird, cat, deer, dog, frog, horse, ship and truck.

    Returns:
        (x_train, y_train), (x_test, y_test): x uint8 (n, 32, 32, 3), from 0 to 255; y uint8
        (n, 1), from 0 to 9.

    Raises:
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
        ValueError: when the file is damaged.
    """
    folder = "cifar-10-batches-py"
    train = [f"{folder}/data_batch_{number}" for number in range(1, 6)]
    (x_train, y_train), (x_test, y_test) = cifar.load(
        SOURCE, train, f"{folder}/test_batch", b"labels"
    )
    return (x_train, y_train.astype(np.uint8)), (x_test, y_test.astype(np.uint8))
