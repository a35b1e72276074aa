"""TensorBoard's event files: records of protobuf messages, of which few are needed.

The messages are those of tensorboard/compat/proto: event.proto, summary.proto and tensor.proto;
the numbers are those of their fields. A record is framed as a TFRecord.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BUCKETS = 30  # of a histogram, as TensorBoard's own writer makes
_DTYPES = {"float32": 1, "float64": 2}
_STRING = 7
_PNG_COLOURS = {1: 0, 3: 2, 4: 6}  # channels -> colour type: grey, RGB, RGBA
_file_numbers = itertools.count()


class EventFile:
    """A new file of events in a folder, which is made if it is not there."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        host, process, number = socket.gethostname(), os.getpid(), next(_file_numbers)
        name = f"events.out.tfevents.{int(time.time())}.{host}.{process}.{number}.v2"
        self._file = open(path / name, "xb")  # noqa: SIM115 (open until `close`)
        self._event(_field(3, "brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """A number."""
        self._summary(tag, "scalars", _tensor(np.float32(value)), step)

    def histogram(self, tag: str, values: np.ndarray, step: int) -> None:
        """How finite values of any shape are distributed: counts in buckets of one width."""
        finite = values[np.isfinite(values)].astype(np.float64)
        counts, edges = np.zeros(BUCKETS), np.zeros(BUCKETS + 1)
        if finite.size and finite.min() == finite.max():
            counts[-1], edges[:] = finite.size, finite[0]
        elif finite.size:
            counts, edges = np.histogram(finite, BUCKETS)
        buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)
        self._summary(tag, "histograms", _tensor(buckets), step)

    def images(self, tag: str, images: np.ndarray, step: int) -> None:
        """Images uint8 (n, height, width, channels), of 1, 3 or 4 channels."""
        height, width = images.shape[1:3]
        strings = [str(width).encode(), str(height).encode(), *map(_png, images)]
        self._summary(tag, "images", _strings(strings, (len(strings),)), step)

    def keras_model(self, tag: str, configuration: str, step: int) -> None:
        """A model's configuration as JSON, which TensorBoard draws as a graph of layers."""
        tensor = _strings([configuration.encode()], ())
        self._summary(tag, "graph_keras_model", tensor, step, b"1")  # the plugin's version

    def flush(self) -> None:
        """Makes what was written readable for others."""
        self._file.flush()

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _summary(
        self, tag: str, plugin: str, tensor: bytes, step: int, content: bytes = b""
    ) -> None:
        metadata = _field(1, _field(1, plugin) + _field(2, content))
        value = _field(1, tag) + _field(9, metadata) + _field(8, tensor)
        self._event(_field(2, step) + _field(5, _field(1, value)))

    def _event(self, content: bytes) -> None:
        self._file.write(_record(_field(1, time.time()) + content))


def _record(data: bytes) -> bytes:
    """A TFRecord: the length, its checksum, the data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + _masked_crc(length) + data + _masked_crc(data)


def _field(number: int, value: int | float | str | bytes) -> bytes:
    """A field of a protobuf message: an int, a double, a string, bytes or a message."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last have the eighth set."""
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def _tensor(array: np.ndarray | np.generic) -> bytes:
    """A TensorProto, its elements as they lie in memory."""
    little = np.asarray(array, array.dtype.newbyteorder("<"))
    start = _tensor_type(_DTYPES[array.dtype.name], array.shape)
    return start + _field(4, little.tobytes())


def _strings(strings: Sequence[bytes], shape: tuple[int, ...]) -> bytes:
    """A TensorProto of strings."""
    return _tensor_type(_STRING, shape) + b"".join(_field(8, string) for string in strings)


def _tensor_type(dtype: int, shape: tuple[int, ...]) -> bytes:
    return _field(1, dtype) + _field(2, b"".join(_field(2, _field(1, size)) for size in shape))


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)  # Castagnoli's polynomial, reversed
        table.append(crc)
    return table


_CRC_TABLE = _crc_table()


def _masked_crc(data: bytes) -> bytes:
    """CRC-32C, rotated and moved, so that checksums of checksums differ from them."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _png(image: np.ndarray) -> bytes:
    """A PNG file of uint8 (height, width, channels)."""
    height, width, channels = image.shape
    header = struct.pack(">IIBBBBB", width, height, 8, _PNG_COLOURS[channels], 0, 0, 0)
    rows = np.insert(image.reshape(height, -1), 0, 0, axis=1)  # each begins with its filter: none
    chunks = {b"IHDR": header, b"IDAT": zlib.compress(rows.tobytes()), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )
