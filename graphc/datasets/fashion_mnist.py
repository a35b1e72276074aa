"""Fashion-MNIST: pictures of clothes."""

from __future__ import annotations

import gzip

import numpy as np

from .digits import Split
from .source import KERAS_FILES, Source, naming

SOURCES = [
    Source(name, KERAS_FILES + name, folder="datasets/fashion-mnist")
    for name in (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    )
]


def load_data() -> tuple[Split, Split]:
    """60,000 pictures of clothes to train on and 10,000 to test (`keras.datasets.fashion_mnist`).

    The classes are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag and ankle
    boot. As in Keras the files are in ~/.keras/datasets/fashion-mnist and have no checksums.

    Returns:
        (x_train, y_train), (x_test, y_test): x uint8 (n, 28, 28), from 0 to 255; y uint8 (n,),
        from 0 to 9.

    Raises:
        OSError: when they are not in the cache and cannot be downloaded, saying what to do.
        ValueError: when a file is damaged.
    """
    x_train, y_train, x_test, y_test = (_read_idx(source.fetch()) for source in SOURCES)
    return (x_train, y_train), (x_test, y_test)


def _read_idx(path: str) -> np.ndarray:
    """The bytes of a file of the format of yann.lecun.com/exdb/mnist."""
    with naming(path), gzip.open(path) as file:
        zeros, kind, rank = file.read(2), file.read(1), file.read(1)
        if zeros + kind != b"\0\0\x08":  # 8: of unsigned bytes
            raise ValueError("it does not begin as an IDX file of bytes")
        shape = np.frombuffer(file.read(4 * rank[0]), ">u4")
        return np.frombuffer(file.read(), np.uint8).reshape(shape)
