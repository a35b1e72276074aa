"""Damaged and hostile files of weights: each gets one clear error, soon, and changes nothing."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from damage import (
    KERNEL,
    Damage,
    cut,
    device,
    flipped,
    folder,
    h5,
    linked,
    made,
    pipe,
    refused,
    replaced,
    text,
)

pytestmark = pytest.mark.usefixtures("low_limits")


def elsewhere(path: Path) -> None:
    (path.parent / "values").write_bytes(bytes(48))
    replaced(KERNEL, shape=(3, 4), dtype="f4", external=[(str(path.parent / "values"), 0, 48)])(
        path
    )


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((3, 4), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 4))
    del file[KERNEL]
    file.create_virtual_dataset(KERNEL, layout)


def circle(file: Any) -> None:
    file["layers/dense/again"] = file["layers"]


def deep(file: Any) -> None:
    group = file
    for _ in range(500):
        group = group.create_group("g")


def links(file: Any) -> None:
    for at in range(500):
        file[f"layers/dense/vars/again{at}"] = file[KERNEL]


def groups(file: Any) -> None:
    for at in range(500):
        file.create_group(f"layers/dense_{at + 2}")


def enormous(file: Any) -> None:
    """Numbers of three bytes, as no machine has them."""
    del file[KERNEL]
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(20, 10, 7, 0, 7)
    kind.set_size(3)
    space = h5py.h5s.create_simple((3, 5))
    h5py.h5d.create(file.id, KERNEL.encode(), kind, space)


def archived(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "x")


class Evil:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


RESIZED = dict(shape=(10**6, 10**6), dtype="f4", chunks=(1000, 1000))
SQUEEZED = dict(data=np.zeros((3000, 3000), "f4"), compression="gzip")
WEIGHTS: dict[str, tuple[Damage, str]] = {
    "empty": (text(b""), "is not a whole HDF5 file"),
    "text": (text(b"weights"), "is not a whole HDF5 file"),
    "a pickle": (text(pickle.dumps(Evil())), "is not a whole HDF5 file"),
    "a zip": (archived, "is not a whole HDF5 file"),
    "only the signature": (cut(8), "is not a whole HDF5 file"),
    "half": (cut(4000), "is not a whole HDF5 file"),
    "the last byte cut": (cut(-1), "is not a whole HDF5 file"),
    "another signature": (flipped(0), "is not a whole HDF5 file"),
    "another version": (flipped(8), "is not a whole HDF5 file"),
    "a folder": (folder, "is a folder"),
    "a pipe": (pipe, "is no file"),
    "a device": (device, "is no file"),
    "absent": (Path.unlink, "no file"),
    "a soft link to a group": (
        linked("layers/dense", h5py.SoftLink("/moved")), "'layers/dense' is a link to another place"
    ),
    "a soft link to values": (linked(KERNEL, h5py.SoftLink("/moved")), "is a link to another"),
    "a soft link to nothing": (linked(KERNEL, h5py.SoftLink("/no")), "is a link to another place"),
    "a link to a file": (
        linked(KERNEL, h5py.ExternalLink("/etc/passwd", "/")), r"another place \(ExternalLink\)"
    ),
    "a link to itself": (
        linked("layers/dense", h5py.ExternalLink("x.weights.h5", "/")), r"\(ExternalLink\)"
    ),
    "values in a file": (elsewhere, "keeps its values in another file"),
    "virtual values": (h5(virtual), "keeps its values in another file"),
    "a circle": (h5(circle), "is linked to from two places"),
    "groups too deep": (h5(deep), "nested more than 64 deep"),
    "another shape": (replaced(KERNEL, data=np.ones((3, 5))), r"has shape \(3, 4\), got \(3, 5\)"),
    "turned": (replaced(KERNEL, data=np.ones((4, 3))), r"has shape \(3, 4\), got \(4, 3\)"),
    "a scalar": (replaced(KERNEL, data=1.0), r"has shape \(3, 4\), got \(\)"),
    "flat": (replaced(KERNEL, data=np.ones(12)), r"has shape \(3, 4\), got \(12,\)"),
    "no values": (replaced(KERNEL, data=h5py.Empty("f4")), "must hold numbers"),
    "no rows": (replaced(KERNEL, shape=(0, 4), dtype="f4"), r"got \(0, 4\)"),
    "strings": (replaced(KERNEL, data=np.array([b"x"] * 3)), "must hold numbers"),
    "long strings": (
        replaced(KERNEL, data=["x" * 999], dtype=h5py.string_dtype()), "must hold numbers"
    ),
    "complex": (replaced(KERNEL, data=np.ones((3, 4), "c8")), "must hold numbers"),
    "records": (replaced(KERNEL, data=np.zeros(3, [("a", "f4")])), "must hold numbers"),
    "references": (replaced(KERNEL, shape=(3, 4), dtype=h5py.ref_dtype), "must hold numbers"),
    "rows of any length": (
        replaced(KERNEL, shape=(3,), dtype=h5py.vlen_dtype("f4")), "must hold numbers"
    ),
    "a terabyte": (replaced(KERNEL, **RESIZED), "would take 4,000,000,000,000 bytes"),
    "zeros squeezed": (replaced(KERNEL, **SQUEEZED), "would take 36,000,000 bytes, more than"),
    "a group for values": (
        h5(lambda f: (f.pop(KERNEL), f.create_group(KERNEL))), "has no '0'"
    ),
    "values for a group": (
        replaced("layers/dense/vars", data=1.0), "layers/dense/vars belongs to no layer"
    ),
    "a type": (h5(lambda f: f.__setitem__("t", np.dtype("f4"))), "neither a group nor a dataset"),
    "a weight missing": (h5(lambda f: f.pop(KERNEL)), "has no '0'"),
    "a layer missing": (h5(lambda f: f.pop("layers/dense_1")), "expected 2 arrays, got 0"),
    "all missing": (h5(lambda f: f.pop("layers")), "expected 2 arrays, got 0"),
    "other numbers": (h5(lambda f: f.move(KERNEL, "layers/dense/vars/7")), "has no '0'"),
    "a weight too many": (
        h5(lambda f: f.create_dataset("layers/dense/vars/2", data=1.0)), "expected 2 arrays, got 3"
    ),
    "a layer too many": (
        h5(lambda f: f.create_dataset("layers/dense_2/vars/0", data=1.0)), "belongs to no layer"
    ),
    "a name of dots": (
        h5(lambda f: f.create_dataset("layers/../evil", data=1.0)), "belongs to no layer"
    ),
    "a name that is no UTF-8": (
        h5(lambda f: h5py.h5o.link(f["layers/dense"].id, f.id, b"\xff\xfe")),
        "is not a whole HDF5|is linked to from two places",
    ),
    "an array of links": (h5(links), "more than 500 groups and arrays"),
    "an array of groups": (h5(groups), "more than 500 groups and arrays"),
    "odd numbers": (h5(enormous), r"has shape \(3, 4\), got \(3, 5\)"),
    "bytes of no kind": (replaced(KERNEL, shape=(3, 4), dtype=np.dtype("V4")), "must hold numbers"),
    "arrays as numbers": (
        replaced(KERNEL, shape=(3,), dtype=np.dtype("(4,)f4")), "must hold numbers"
    ),
    "as many axes as there may be": (
        replaced(KERNEL, shape=(1,) * 32, dtype="f4"), r"has shape \(3, 4\), got \(1, 1, 1"
    ),
    "a slot's shape": (
        replaced("optimizer/vars/3", data=np.ones(9)), r"optimizer 'adam.*has shape .*got \(9,\)"
    ),
    "a slot of a terabyte": (replaced("optimizer/vars/3", **RESIZED), "would take 4,000,000"),
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights(name: str, good: dict[str, bytes], tmp_path: Path) -> None:
    damage, reason = WEIGHTS[name]
    path = tmp_path / "x.weights.h5"
    path.write_bytes(good[".weights.h5"])
    damage(path)
    model = made()
    before = [v.numpy() for v in (*model.weights, *model.optimizer.variables)]
    refused(path, reason, lambda: model.load_weights(path))
    for old, variable in zip(before, (*model.weights, *model.optimizer.variables), strict=True):
        np.testing.assert_array_equal(old, variable.value)
    assert not Path("unpickled").exists()


def test_any_numbers_are_weights(good: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "x.weights.h5"
    path.write_bytes(good[".weights.h5"])
    replaced(KERNEL, data=np.full((3, 4), np.nan))(path)  # of 64 bits
    model = made()
    model.load_weights(path)
    assert np.isnan(model.get_weights()[0]).all()
