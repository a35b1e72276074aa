"""Files of models, and what damage and malice do to them."""

import json
import os
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from graphc import layers, models

KERNEL = "layers/dense/vars/0"
Damage = Callable[[Path], object]  # of a good file


def made() -> Any:
    model = models.Sequential(
        [layers.Input((3,)), layers.Dense(4, name="first"), layers.Dense(2, name="last")]
    )
    model.compile("adam", "mse")
    model.optimizer.prepare(model.trainable_weights)
    return model


def h5(change: Callable[[Any], object]) -> Damage:
    """Damage done with h5py."""

    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return damage


def replaced(name: str, **options: Any) -> Damage:
    """A dataset made anew."""

    def change(file: Any) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return h5(change)


def linked(name: str, target: Any) -> Damage:
    """A link in an object's place."""

    def change(file: Any) -> None:
        file.move(name, "moved")
        file[name] = target

    return h5(change)


def text(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def cut(length: int) -> Damage:
    """Bytes taken off the end; or so many left, if positive."""
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def flipped(at: int) -> Damage:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at] ^= 0xFF
        path.write_bytes(data)

    return damage


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def zipped(change: Callable[[dict[str, bytes]], object], method: int = 0) -> Damage:
    """A zip with other members."""

    def damage(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        change(members)
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in members.items():
                archive.writestr(name, data)

    return damage


def twice(name: str) -> Damage:
    def damage(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(name, b"{}")

    return damage


def config(change: Callable[[Any], Any]) -> Damage:
    """Another configuration: that `change` returns, or changes."""

    def damage(members: dict[str, bytes]) -> None:
        given = json.loads(members["config.json"])
        returned = change(given)
        members["config.json"] = json.dumps(given if returned is None else returned).encode()

    return zipped(damage)


def header(offset: int, value: bytes, of: bytes = b"PK\1\2") -> Damage:
    """Other bytes in the zip's directory, for the first member."""

    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        at = data.index(of) + offset
        data[at : at + len(value)] = value
        path.write_bytes(data)

    return damage


def refused(path: Path, reason: str, load: Callable[[], object]) -> None:
    """Asserts that a file gets an error that names it and the reason, soon, with little memory."""
    began = time.process_time()  # whatever else the machine does
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, FileNotFoundError), match=reason) as caught:
            load()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1500
    assert time.process_time() - began < 5
    assert peak < 50e6
