"""Texts in HDF5 files: heaps of them that libhdf5 would go through without end if damaged.

A global heap is "GCOL", a version, 3 bytes, and its size; then objects, each with its number, a
count, 4 bytes, and its size; number 0 is what is free. libhdf5 adds the sizes up until it is
through, even if they are 0 or turn it back.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_SIGNATURE = b"GCOL\1"
_HEADER, _OBJECT = struct.Struct("<8xQ"), struct.Struct("<H6xQ")
_BLOCK = 1 << 20
# Several thousand layers have tens of thousands of names.
MOST_TEXTS = 1_000_000


def check_heaps(stream: BinaryIO) -> None:
    """Checks all that could be a heap, before any text is read.

    Args:
        stream: the HDF5 file.

    Raises:
        ValueError: when one is damaged, or there are too many texts.
    """
    stream.seek(0)
    start = stream.read(16)
    sizes = start[13:15] if start[8:9] in b"\0\1" else start[9:11]
    if not start.startswith(b"\x89HDF\r\n\x1a\n") or sizes != b"\x08\x08":
        raise ValueError("it does not begin as HDF5 files with numbers of 64 bits do")
    length = stream.seek(0, 2)
    texts, end = 0, 0
    for at in _places(stream):
        size = _size(stream, at)
        if size > length - at:  # no heap, or one that libhdf5 cannot read
            continue
        if at < end:
            raise ValueError(f"heaps of texts at {at:,} and before overlap")
        texts, end = texts + _texts(stream, at, size), at + size
        if texts > MOST_TEXTS:
            raise ValueError(f"it has more than {MOST_TEXTS:,} texts")


def _places(stream: BinaryIO) -> Iterator[int]:
    """Where signatures of heaps are."""
    begin, kept = 0, b""
    while True:
        stream.seek(begin + len(kept))
        block = kept + stream.read(_BLOCK)
        if len(block) < len(_SIGNATURE):
            return
        at = block.find(_SIGNATURE)
        while at >= 0:
            yield begin + at
            at = block.find(_SIGNATURE, at + 1)
        kept = block[-(len(_SIGNATURE) - 1) :]
        begin += len(block) - len(kept)


def _size(stream: BinaryIO, at: int) -> int:
    """How large a heap says it is."""
    stream.seek(at)
    head = stream.read(_HEADER.size)
    size: int = _HEADER.unpack(head)[0] if len(head) == _HEADER.size else 0
    return max(size, len(head))


def _texts(stream: BinaryIO, at: int, size: int) -> int:
    """How many objects a heap has."""
    stream.seek(at)
    heap = stream.read(size)
    place, count = _HEADER.size, 0
    while place + _OBJECT.size <= size and count <= MOST_TEXTS:
        number, needed = _OBJECT.unpack_from(heap, place)
        if number:
            needed = _OBJECT.size + (needed + 7) // 8 * 8
        if not _OBJECT.size <= needed <= size - place:
            raise ValueError(f"a heap of texts at {at:,} is damaged")
        place += needed
        count += 1
    return count
