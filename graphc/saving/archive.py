"""The zip of a `.keras` file: metadata.json, config.json, model.weights.h5, and layers' assets."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
ASSETS = "assets/"

# A member may unpack to this many bytes, or to so many times what it takes in the file: weights
# are nearly random bits, which hardly shrink. Objects of JSON take many times their text.
LARGEST_CHEAP = {CONFIG: 4 << 20, METADATA: 4 << 20, WEIGHTS: 16 << 20}
LARGEST_CHEAP_ASSETS = 4 << 20  # each of them, and all together
LARGEST_RATIO = 20
MOST_MEMBERS = 10_000
LONGEST_NAME = 1_000  # of members

_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature ... lengths of the name and of extra fields


@contextmanager
def members(stream: BinaryIO, source: str) -> Iterator[zipfile.ZipFile]:
    """A zip with what a `.keras` file has in it, checked before anything is unpacked.

    Args:
        source: the file's name, for messages.

    Raises:
        ValueError: when it is no whole zip; when a member is missing, there twice, or not of a
            model; when one is encrypted, packed in an unknown way, or unpacks to far too much.
    """
    try:
        archive = zipfile.ZipFile(stream)
    except Exception as error:  # what damage makes of zipfile's errors cannot be told in advance
        raise ValueError(f"{source} is not a whole zip: {error}") from None
    with archive:
        wrong = _wrong(archive.infolist())
        if wrong:
            raise ValueError(f"{source}: {wrong}")
        yield archive


def _wrong(infos: list[zipfile.ZipInfo]) -> str | None:
    if len(infos) > MOST_MEMBERS:
        return f"it has more than {MOST_MEMBERS:,} members"
    for name, count in Counter(info.filename for info in infos).items():
        if len(name) > LONGEST_NAME:
            return f"the name of a member, {name[:60]!r}..., has {len(name):,} characters"
        if count > 1:
            return f"member {name!r} is there twice"
        if name not in (CONFIG, METADATA, WEIGHTS) and not _is_asset(name):
            return f"member {name!r} is none of {CONFIG}, {METADATA}, {WEIGHTS} and {ASSETS}..."
    names = {info.filename for info in infos}
    for name in (CONFIG, WEIGHTS):
        if name not in names:
            return f"member {name!r} is missing"
    for info in infos:
        if info.flag_bits & 1:
            return f"member {info.filename!r} is encrypted"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            return f"member {info.filename!r} is packed by method {info.compress_type}"
        cheap = LARGEST_CHEAP.get(info.filename, LARGEST_CHEAP_ASSETS)
        if wrong := _too_large(f"member {info.filename!r} takes", cheap, [info]):
            return wrong
    assets = [info for info in infos if _is_asset(info.filename)]
    return _too_large("its assets take", LARGEST_CHEAP_ASSETS, assets)


def _is_asset(name: str) -> bool:
    """Whether a name is a path below the folder of assets, on any system."""
    parts = name.removesuffix("/").split("/")  # folders are members where it was packed again
    plain = all(part not in ("", ".", "..") and not set(part) & set("\\:\0") for part in parts)
    return f"{name}/".startswith(ASSETS) and plain


def _too_large(what: str, cheap: int, infos: list[zipfile.ZipInfo]) -> str | None:
    packed, unpacked = (
        sum(getattr(info, size) for info in infos) for size in ("compress_size", "file_size")
    )
    if unpacked <= max(cheap, LARGEST_RATIO * packed):
        return None
    return f"{what} {packed:,} bytes and would unpack to {unpacked:,}"


def text_of(archive: zipfile.ZipFile, name: str, source: str) -> str:
    """A member's text.

    Raises:
        ValueError: when it is damaged, or not UTF-8.
    """
    try:
        return archive.read(name).decode()
    except Exception as error:
        raise ValueError(f"{source}: member {name!r} is damaged: {error}") from None


@contextmanager
def weights_of(archive: zipfile.ZipFile, stream: BinaryIO, source: str) -> Iterator[BinaryIO]:
    """The weights as a file of their own: a part of the zip where they stand as they are.

    Raises:
        ValueError: when their bytes are not those that were written.
    """
    info = archive.getinfo(WEIGHTS)
    try:
        if info.compress_type == zipfile.ZIP_STORED:
            inner: BinaryIO = io.BufferedReader(_Part(stream, *_extent(stream, info)))
            _check(inner, info)
        else:
            inner = io.BytesIO(archive.read(info))
    except Exception as error:
        raise ValueError(f"{source}: member {WEIGHTS!r} is damaged: {error}") from None
    with inner:
        yield inner


def _extent(stream: BinaryIO, info: zipfile.ZipInfo) -> tuple[int, int]:
    """Where a member that is not packed begins in the zip, and its length."""
    stream.seek(info.header_offset)
    signature, name, extra = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    if signature != b"PK\3\4" or info.file_size != info.compress_size:
        raise ValueError("its header does not fit the zip's directory")
    return info.header_offset + _LOCAL_HEADER.size + name + extra, info.file_size


def _check(part: BinaryIO, info: zipfile.ZipInfo) -> None:
    checksum, length = 0, 0
    while block := part.read(1 << 20):
        checksum = zlib.crc32(block, checksum)
        length += len(block)
    if (checksum, length) != (info.CRC, info.file_size):
        raise ValueError("its checksum is another one")


class _Part(io.RawIOBase):
    """Bytes of a file from `start` on, as a file."""

    def __init__(self, stream: BinaryIO, start: int, length: int) -> None:
        self._stream = stream
        self._start = start
        self._length = length
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        wanted = min(len(buffer), max(0, self._length - self._at))
        self._stream.seek(self._start + self._at)
        data = self._stream.readinto(memoryview(buffer)[:wanted])  # type: ignore[attr-defined]
        self._at += data
        return int(data)
