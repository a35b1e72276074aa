"""Texts in HDF5 files that libhdf5 would read without end."""

import json
import struct
from pathlib import Path
from typing import Any

import h5py
import pytest
from damage import Damage, refused

from graphc import models
from graphc.saving.heaps import check_heaps

CONFIG = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
HEAP = struct.pack("<4sBxxxQ", b"GCOL", 1, 64)


def changed(offset: int, data: bytes) -> Damage:
    """Other bytes of the heap."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        at = content.index(b"GCOL") + offset
        content[at : at + len(data)] = data
        path.write_bytes(content)

    return damage


def added(data: bytes) -> Damage:
    return lambda path: path.write_bytes(path.read_bytes() + data)


OBJECT = 16  # where the first one begins
DAMAGED: dict[str, tuple[Damage, str]] = {
    "a free size of nothing": (changed(OBJECT, bytes(16)), "is damaged"),
    "a size that turns back": (changed(OBJECT + 8, b"\xf0" + b"\xff" * 7), "is damaged"),
    "a size that is too large": (changed(OBJECT + 8, struct.pack("<Q", 1 << 40)), "is damaged"),
    "heaps in heaps": (changed(OBJECT + 24, HEAP), "overlap"),
    "another heap": (added(HEAP + bytes(48)), "is damaged"),
    "many texts": (
        added(struct.pack("<4sBxxxQ", b"GCOL", 1, 17_000_000) + b"\1" + bytes(16_999_983)),
        "is damaged",
    ),
    "numbers of 32 bits": (
        lambda path: path.write_bytes(path.read_bytes()[:13] + b"\4\4" + path.read_bytes()[15:]),
        "is not a whole HDF5 file",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage(name: str, tmp_path: Path) -> None:
    damage, reason = DAMAGED[name]
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(CONFIG)
        file.attrs["training_config"] = "{}"
    damage(path)
    refused(path, reason, lambda: models.load_model(path))


def test_signatures_among_numbers_are_no_heaps(tmp_path: Path, monkeypatch: Any) -> None:
    """Which say that they end behind the file; wherever the file is cut for reading."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["text"] = "text" * 99
        file["numbers"] = struct.unpack("<40B", b"GCOL\1\0\0\0" * 5)
    with open(path, "rb") as stream:
        for block in (7, 100, 1 << 20):
            monkeypatch.setattr("graphc.saving.heaps._BLOCK", block)
            check_heaps(stream)
    changed(OBJECT, bytes(16))(path)
    with open(path, "rb") as stream, pytest.raises(ValueError, match="is damaged"):
        check_heaps(stream)
