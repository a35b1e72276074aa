"""Arrays of weights large enough to be read right into their place."""

import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from graphc import layers, models
from graphc.saving import hdf5

UNITS = 256  # a kernel of 256 kB


def made(count: int = 2) -> Any:
    dense = [layers.Dense(UNITS, kernel_initializer="random_normal") for _ in range(count)]
    return models.Sequential([layers.Input((UNITS,)), *dense])


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i4"])
@pytest.mark.parametrize("chunks", [None, (100, 100)])
def test_any_dtype_and_layout_is_read(tmp_path: Path, dtype: str, chunks: Any) -> None:
    path = tmp_path / "m.weights.h5"
    made().save_weights(path)
    wanted = (1000 * np.random.default_rng(0).normal(size=(UNITS, UNITS))).astype(dtype)
    assert wanted.nbytes > hdf5._SMALL
    with h5py.File(path, "r+") as file:
        group = file["layers/dense/vars"]
        del group["0"]
        group.create_dataset("0", data=wanted, chunks=chunks)
    model = made()
    model.load_weights(path)
    np.testing.assert_array_equal(model.get_weights()[0], wanted.astype(np.float32))


@pytest.mark.parametrize("units", [3, 256])
def test_bfloat16_is_read(units: int, tmp_path: Path) -> None:
    """As Keras writes it: two bytes a number, and the dtype beside them."""
    path = tmp_path / "m.weights.h5"
    model = models.Sequential([layers.Input((units,)), layers.Dense(units)])
    model.save_weights(path)
    wanted = np.random.default_rng(0).normal(size=(units, units)).astype(np.float32)
    upper = (wanted.view(np.uint32) >> 16).astype(np.uint16)
    for name, fits in (("bfloat16", True), ("float8", False)):
        with h5py.File(path, "r+") as file:
            group = file["layers/dense/vars"]
            del group["0"]
            group.create_dataset("0", data=upper.view("V2")).attrs["dtype"] = name
        if not fits:
            with pytest.raises(ValueError, match="must hold numbers"):
                model.load_weights(path)
            continue
        model.load_weights(path)
        np.testing.assert_allclose(model.get_weights()[0], wanted, rtol=0.01)


def test_a_load_needs_little_more_than_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    made(24).save(path)
    tracemalloc.start()
    try:
        model = models.load_model(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = sum(weight.nbytes for weight in model.get_weights())
    assert size < peak < 1.3 * size


def test_what_ends_within_an_array_changes_nothing(tmp_path: Path) -> None:
    """The second layer's array cannot be read, when the first one's is already in its place."""
    path = tmp_path / "m.weights.h5"
    made().save_weights(path)
    with h5py.File(path, "r+") as file:
        group = file["layers/dense_1/vars"]
        data = group["0"][()]
        del group["0"]
        group.create_dataset("0", data=data, chunks=(UNITS, UNITS), fletcher32=True)
        at = group["0"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at + 1000] ^= 1
    path.write_bytes(content)
    model = made()
    before = model.get_weights()
    with pytest.raises(ValueError, match="layers/dense_1/vars"):
        model.load_weights(path)
    for mine, its in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, its)
    # Where it may be skipped, its own weights stay, and the rest is read.
    with pytest.warns(UserWarning, match="layers/dense_1/vars"):
        model.load_weights(path, skip_mismatch=True)
    assert not np.array_equal(model.get_weights()[0], before[0])
    np.testing.assert_array_equal(model.get_weights()[2], before[2])
