"""What CIFAR-10 and CIFAR-100 have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .digits import Split
from .source import Source, naming, read_pickles


def load(source: Source, train: list[str], test: str, label_key: bytes) -> tuple[Split, Split]:
    """The images in members of a tar file, as Keras returns them.

    The archive has the name it has in Keras's cache, and is read without being unpacked.

    Raises:
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
        ValueError: when the file is damaged.
    """
    path = source.fetch()
    batches = read_pickles(path, *train, test)
    with naming(path):
        return _split(batches[:-1], label_key), _split(batches[-1:], label_key)


def _split(batches: list[Mapping[bytes, Any]], label_key: bytes) -> Split:
    rows = np.concatenate([batch[b"data"] for batch in batches])
    labels = np.concatenate([np.reshape(batch[label_key], (-1, 1)) for batch in batches])
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels
