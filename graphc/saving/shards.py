"""Weights that Keras spread over several HDF5 files, with a `.weights.json` that names them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from .hdf5 import Contents, opened, reading

LARGEST_MAP = 16 << 20  # bytes
MOST_SHARDS = 1_000


@contextmanager
def reading_shards(stream: BinaryIO, path: Path, source: str) -> Iterator[Contents]:
    """What is in the files together that stand beside a `.weights.json`.

    Args:
        stream: the `.weights.json`, open.
        path: its own.
        source: its name, for messages, which start with it.

    Raises:
        ValueError: when it is damaged or names files elsewhere, or one of them is damaged, missing,
            or has what another has.
    """
    with ExitStack() as stack:
        whole = Contents(source)
        for name in _shards(stream, source):
            try:
                shard = stack.enter_context(opened(source, path.with_name(name)))
            except FileNotFoundError as error:
                raise ValueError(str(error)) from None
            part = stack.enter_context(reading(shard, f"{source}: {name}"))
            for dataset_path, dataset in part.items():
                if dataset_path in whole:
                    raise ValueError(f"{source}: {dataset_path} is in {name} and in another file")
                whole[dataset_path] = dataset
        yield whole


def _shards(stream: BinaryIO, source: str) -> list[str]:
    text = stream.read(LARGEST_MAP + 1)
    try:
        if len(text) > LARGEST_MAP:
            raise ValueError(f"it has more than {LARGEST_MAP:,} bytes")
        weight_map = json.loads(text)["weight_map"]
        given = [[part] if isinstance(part, str) else part for part in weight_map.values()]
        names = list(dict.fromkeys(str(name) for part in given for name in part))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{source} is no map of weights: {error}") from None
    if len(names) > MOST_SHARDS:
        raise ValueError(f"{source} names more than {MOST_SHARDS:,} files")
    for name in names:
        if not name.endswith(".weights.h5") or set(name) & set("/\\:\0"):
            raise ValueError(f"{source} names {name[:200]!r}, which is no .weights.h5 beside it")
    return names
