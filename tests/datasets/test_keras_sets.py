"""Keras's data sets: read as Keras reads them, from small files of the same formats.

The expected values were compared with what Keras 3.15.1 returns for files made in this way.
"""

import gzip
import hashlib
import io
import json
import pickle
import struct
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from graphc.datasets import (
    boston_housing,
    california_housing,
    cifar10,
    cifar100,
    fashion_mnist,
    imdb,
    mnist,
    reuters,
)  # fmt: skip
from graphc.datasets.source import Source, read_npz, unpickled

RANDOM = np.random.default_rng(0)


class Cache:
    """Puts files into the cache, with their checksums in the place of the real ones."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        folder.mkdir(parents=True)

    def put(self, module: Any, content: bytes, attribute: str = "SOURCE") -> None:
        source: Source = getattr(module, attribute)
        (self.folder / source.name).write_bytes(content)
        digest = hashlib.new("sha256" if len(source.digest) == 64 else "md5", content).hexdigest()
        self.monkeypatch.setattr(module, attribute, replace(source, digest=digest))


@pytest.fixture
def filled(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    return Cache(cache, monkeypatch)


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def texts(*lists: list[int]) -> np.ndarray:
    array = np.empty(len(lists), object)
    array[:] = lists
    return array


def images(count: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (count, 28, 28)).astype(np.uint8)


class Python2Pickler(pickle._Pickler):
    """Writes strings and bytes as Python 2 wrote its strings: CIFAR's files are from then."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def _save_string(self, value: Any) -> None:
        data = value.encode() if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch[str] = dispatch[bytes] = _save_string


def tar_of_pickles(members: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, value in members.items():
            content = io.BytesIO()
            Python2Pickler(content, 2).dump(value)
            member = tarfile.TarInfo(name)
            member.size = content.tell()
            content.seek(0)
            tar.addfile(member, content)
    return file.getvalue()


def test_mnist(filled: Cache) -> None:
    x, y = images(5), np.arange(5, dtype=np.uint8)
    filled.put(mnist, npz(x_train=x[:3], y_train=y[:3], x_test=x[3:], y_test=y[3:]))
    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), x)
    assert (y_train.tolist(), y_test.tolist()) == ([0, 1, 2], [3, 4])


def test_fashion_mnist(filled: Cache) -> None:
    x, y = images(3), np.array([7, 8, 9], np.uint8)
    folder = filled.folder / "fashion-mnist"
    folder.mkdir()
    for name, part in (("train", slice(2)), ("t10k", slice(2, 3))):
        rows = len(y[part])
        with gzip.open(folder / f"{name}-images-idx3-ubyte.gz", "wb") as file:
            file.write(struct.pack(">4i", 0x803, rows, 28, 28) + x[part].tobytes())
        with gzip.open(folder / f"{name}-labels-idx1-ubyte.gz", "wb") as file:
            file.write(struct.pack(">2i", 0x801, rows) + y[part].tobytes())
    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    np.testing.assert_array_equal(np.concatenate([x_train, x_test]), x)
    assert (y_train.tolist(), y_test.tolist()) == ([7, 8], [9])
    for damaged in (b"no gzip", gzip.compress(struct.pack(">2i", 0x801, 4) + b"123")):
        (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(damaged)
        with pytest.raises(ValueError, match=r"t10k-labels-idx1-ubyte.gz is damaged \("):
            fashion_mnist.load_data()


def batch(first: int, count: int) -> dict[str, Any]:
    rows = np.arange(first, first + count, dtype=np.uint8)
    return {
        "data": np.repeat(rows[:, None], 3072, 1) + np.repeat(np.arange(3, dtype=np.uint8), 1024),
        "labels": rows.tolist(),
        "fine_labels": rows.tolist(),
        "coarse_labels": (rows // 2).tolist(),
    }


def test_cifar10(filled: Cache) -> None:
    members = {f"data_batch_{n}": batch(2 * n, 2) for n in range(1, 6)} | {
        "test_batch": batch(0, 2)
    }
    filled.put(cifar10, tar_of_pickles({f"cifar-10-batches-py/{k}": v for k, v in members.items()}))
    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    assert (x_train.shape, x_test.shape) == ((10, 32, 32, 3), (2, 32, 32, 3))
    assert x_train.dtype == y_train.dtype == y_test.dtype == np.uint8
    assert (y_train.tolist(), y_test.tolist()) == ([[n] for n in range(2, 12)], [[0], [1]])
    np.testing.assert_array_equal(x_train[:, 31, 5], y_train + np.arange(3))  # the three channels


def test_cifar100(filled: Cache) -> None:
    members = {"cifar-100-python/train": batch(0, 6), "cifar-100-python/test": batch(6, 2)}
    filled.put(cifar100, tar_of_pickles(members))
    (x_train, y_train), (x_test, y_test) = cifar100.load_data()
    assert (x_train.shape, x_test.shape) == ((6, 32, 32, 3), (2, 32, 32, 3))
    assert (y_train.ravel().tolist(), y_test.tolist()) == ([0, 1, 2, 3, 4, 5], [[6], [7]])
    assert cifar100.load_data("coarse")[1][1].tolist() == [[3], [3]]
    with pytest.raises(ValueError, match="label_mode must be 'fine' or 'coarse', got 'both'"):
        cifar100.load_data("both")
    filled.put(cifar100, tar_of_pickles({"cifar-100-python/train": batch(0, 6)}))
    with pytest.raises(ValueError, match=r"target_archive is damaged \(KeyError: 'cifar-100-py"):
        cifar100.load_data()


REVIEWS = [[1, 2, 3], [4, 5], [6, 1, 1, 7], [2], [9, 8, 7, 6, 5]]


def test_imdb(filled: Cache) -> None:
    labels = np.array([0, 1, 0, 1, 1])
    x, y = texts(*REVIEWS), labels
    filled.put(imdb, npz(x_train=x, y_train=y, x_test=x[:2], y_test=y[:2]))
    (x_train, y_train), (x_test, _) = imdb.load_data()
    order = np.arange(5)
    np.random.RandomState(113).shuffle(order)
    # With 3 added and 1 before; 12, the largest number, is left out as in Keras.
    whole = [[1, *(w + 3 if w < 9 else 2 for w in REVIEWS[at])] for at in order]
    assert x_train.tolist() == whole
    assert y_train.tolist() == labels[order].tolist()
    assert sorted(x_test) == [[1, 4, 5, 6], [1, 7, 8]]
    assert (x_train.shape, x_train.dtype) == ((5,), np.dtype(object))
    found = imdb.load_data(num_words=7, skip_top=5, start_char=None, oov_char=None)[0][0]
    assert sorted(found) == [[], [], [], [5], [5, 6]]
    found, kept = imdb.load_data(maxlen=4, index_from=0, num_words=10)[0]
    assert sorted(found) == [[1, 2], [1, 4, 5]]  # less than 4, the start counted
    assert kept.tolist() == [1, 1]
    assert imdb.load_data(seed=1)[0][1].tolist() != y_train.tolist()
    with pytest.raises(ValueError, match="maxlen=1: all texts are as long or longer"):
        imdb.load_data(maxlen=1)


def test_reuters(filled: Cache) -> None:
    filled.put(reuters, npz(x=texts(*REVIEWS), y=np.arange(5)))
    (x_train, y_train), (x_test, y_test) = reuters.load_data(num_words=100, test_split=0.4)
    assert (len(x_train), len(x_test)) == (3, 2)
    for text, label in zip([*x_train, *x_test], [*y_train, *y_test], strict=True):
        assert text == [1, *(word + 3 for word in REVIEWS[label])]
    assert reuters.get_label_names()[3:5] == ("earn", "acq")
    assert len(set(reuters.get_label_names())) == 46


@pytest.mark.parametrize("module", [imdb, reuters])
def test_word_indices(module: Any, filled: Cache) -> None:
    filled.put(module, json.dumps({"the": 1, "naïve": 2}).encode(), "WORDS")
    assert module.get_word_index() == {"the": 1, "naïve": 2}
    filled.put(module, b"{", "WORDS")
    with pytest.raises(ValueError, match=r"word_index.json is damaged \(JSONDecodeError"):
        module.get_word_index()


def test_housing(filled: Cache) -> None:
    y = np.arange(610.0)
    content = npz(x=np.repeat(y[:, None], 2, 1), y=y)
    filled.put(california_housing, content)
    filled.put(boston_housing, content)
    (x_train, y_train), (x_test, y_test) = california_housing.load_data(test_split=0.1)
    order = np.arange(610)
    np.random.RandomState(113).shuffle(order)
    assert [*y_train, *y_test] == order.tolist()
    assert (len(x_train), len(x_test)) == (549, 61)
    np.testing.assert_array_equal(x_test[:, 1], y_test)
    (_, y_train), (_, y_test) = california_housing.load_data("small", seed=2)
    assert sorted([*y_train, *y_test]) == list(range(600))
    assert len(boston_housing.load_data()[1][1]) == 122
    with pytest.raises(ValueError, match="version must be 'small' or 'large', got 'big'"):
        california_housing.load_data("big")
    with pytest.raises(ValueError, match=r"at least 0 and less than 1, got 1\.0"):
        boston_housing.load_data(test_split=1.0)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("I could do anything",)


def test_pickles_cannot_run_code(filled: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    array = np.empty(1, object)
    array[0] = Malicious()
    filled.put(reuters, npz(x=array, y=np.zeros(1)))
    with pytest.raises(ValueError, match=r"reuters.npz is damaged \(.*asks for builtins\.print"):
        reuters.load_data()
    filled.put(cifar100, tar_of_pickles({"cifar-100-python/train": Malicious()}))
    with pytest.raises(ValueError, match=r"_archive is damaged \(.* __builtin__\.print"):
        cifar100.load_data()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])
def test_arrays_of_old_and_new_numpy(package: str) -> None:
    name = np.empty(0).__reduce__()[0].__module__.rpartition(".")[0]
    file = io.BytesIO()
    Python2Pickler(file, 2).dump(np.arange(3))
    content = file.getvalue().replace(f"c{name}.".encode(), f"c{package}.".encode())
    assert unpickled(io.BytesIO(content)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("damage", ["cut", "no zip", "unknown compression", "array missing"])
def test_damaged_npz(damage: str, tmp_path: Path) -> None:
    whole = npz(x=np.arange(1000), y=np.arange(3))
    method = whole.index(b"PK\1\2") + 10  # in the directory at the end
    content = {
        "cut": whole[:1000],
        "no zip": b"<html>",
        "unknown compression": whole[:method] + b"\x63" + whole[method + 1 :],
        "array missing": npz(x=np.zeros(3)),
    }[damage]
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npz is damaged \(.*; delete it to download it again"):
        read_npz(str(tmp_path / "a.npz"), "x", "y")


def test_downloading(
    served: tuple[Path, str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = served
    x = images(1)
    content = npz(x_train=x, y_train=[1], x_test=x, y_test=[2])
    (folder / "mnist.npz").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    source = Source("mnist.npz", f"{address}/mnist.npz", digest)
    monkeypatch.setattr(mnist, "SOURCE", source)
    assert mnist.load_data("other.npz")[1][1].tolist() == [2]
    assert [path.name for path in cache.iterdir()] == ["other.npz"]
    monkeypatch.setattr(mnist, "SOURCE", replace(source, origin=f"{address}/none"))
    with pytest.raises(OSError, match=f"get {address}/none by other means and save it as {cache}/"):
        mnist.load_data()
