"""CIFAR-100: small photographs of a hundred kinds of things."""

from __future__ import annotations

from . import cifar
from .digits import Split
from .source import Source

SOURCE = Source(
    "cifar-100-python-target_archive",
    "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
)


def load_data(label_mode: str = "fine") -> tuple[Split, Split]:
    """50,000 photographs to train on and 10,000 to test (`keras.datasets.cifar100`).

    Args:
        label_mode: "fine" (default) for 100 classes, "coarse" for 20 groups of them.

    Returns:
        (x_train, y_train), (x_test, y_test): x uint8 (n, 32, 32, 3), from 0 to 255; y int64
        (n, 1), the classes (uint8 by Keras's documentation, int64 in fact).

    Raises:
        ValueError: for another `label_mode`, and when the file is damaged.
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"cifar100: label_mode must be 'fine' or 'coarse', got {label_mode!r}")
    folder = "cifar-100-python"
    key = f"{label_mode}_labels".encode()
    return cifar.load(SOURCE, [f"{folder}/train"], f"{folder}/test", key)
