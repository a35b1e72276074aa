"""Reading HDF5 files that may be damaged or hostile: all is checked before any is read."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from graphc.trace import Stored

from .heaps import check_heaps

# Files of models are a few groups deep.
DEEPEST = 64
# Groups and arrays, each of which takes a moment: several thousand layers with Adam's state.
MOST_OBJECTS = 50_000
# What a file may hold beyond the target's own bytes: counters, and a wider type.
SPARE_BYTES = 1 << 20
SPARE_ELEMENTS = SPARE_BYTES // 4
BFLOAT16 = np.dtype("V2")  # the upper halves of float32's
# Arrays of so many bytes are no matter.
_SMALL = 1 << 16


class Contents(dict[str, Any]):
    """The datasets (of h5py) of an HDF5 file by their paths, such as "layers/dense/vars/0".

    Attributes:
        groups: those of h5py, by their paths; the file itself is "".
        source: the file's name.
    """

    def __init__(self, source: str, stream: BinaryIO | None = None) -> None:
        super().__init__()
        self.groups: dict[str, Any] = {}
        self.source = source
        self._stream = stream  # until its texts are checked

    def elements(self, group: str) -> int:
        """How many numbers the weights of a model may have that is made for the arrays of a group.

        They are some more than there are, so that it is made and what is missing can be named.
        """
        return SPARE_ELEMENTS + sum(
            int(d.size) for path, d in self.items() if path.startswith(group)
        )

    def check_texts(self) -> None:
        """Checks what libhdf5 reads texts from, before the first one.

        Raises:
            ValueError: when it is damaged.
        """
        if self._stream is not None:
            check_heaps(self._stream)
            self._stream = None

    def attribute(self, group: str, name: str) -> Any:
        """A value that is written beside a group: text or a list of texts; None if there is none.

        Raises:
            ValueError: when it is anything else.
        """
        with _explained(self.source):
            if group not in self.groups or name not in self.groups[group].attrs:
                return None
            self.check_texts()
            value = self.groups[group].attrs[name]
            if isinstance(value, str):
                return value
            if isinstance(value, bytes):
                return value.decode()
            if isinstance(value, np.ndarray) and value.ndim == 1:
                return [part.decode() if isinstance(part, bytes) else str(part) for part in value]
            raise _Refused(f"attribute {name!r} of {group!r} is no text")


@contextmanager
def opened(method: str, path: Path) -> Iterator[BinaryIO]:
    """A file to read.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when it is a folder, or anything else that is no file.
    """
    if not path.exists():
        raise FileNotFoundError(f"{method}: no file {path}")
    if not path.is_file():
        raise ValueError(f"{method}: {path} is {'a folder' if path.is_dir() else 'no file'}")
    with open(path, "rb") as stream:
        yield stream


@contextmanager
def reading(stream: BinaryIO, source: str) -> Iterator[Contents]:
    """What is in an HDF5 file.

    Args:
        stream: the file, which must be seekable.
        source: its name, for messages.

    Raises:
        ValueError: when it is no whole HDF5 file, or one with links to other places or files, with
            groups in a circle or too deep, or with anything but arrays of numbers.
    """
    import h5py  # noqa: PLC0415 (half of graphc's import time, and used only here)

    # Python's file rather than a name: so nothing is locked, and it may be a part of an archive.
    with _explained(source):
        file = h5py.File(stream, "r")
    with file:
        found = Contents(source, stream)
        with _explained(source):
            _fill(found, file)
        yield found


@contextmanager
def _explained(source: str) -> Iterator[None]:
    try:
        yield
    except _Refused as error:
        raise ValueError(f"{source}: {error}") from None
    except Exception as error:  # what damage makes of h5py's errors cannot be told in advance
        raise ValueError(f"{source} is not a whole HDF5 file: {error}") from None


class _Refused(ValueError):
    """A file that is read well and must not be."""


def _fill(found: Contents, file: Any) -> None:
    import h5py  # noqa: PLC0415

    seen, objects = set(), 0
    stack = [("", file)]
    while stack:
        path, group = stack.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            raise _Refused(f"group {path!r} is linked to from two places")
        seen.add(address)
        found.groups[path] = group
        if path.count("/") > DEEPEST:
            raise _Refused(f"groups are nested more than {DEEPEST} deep")
        objects += len(group)
        if objects > MOST_OBJECTS:
            raise _Refused(f"it has more than {MOST_OBJECTS:,} groups and arrays")
        for name in group:
            inner = f"{path}/{name}".lstrip("/")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _Refused(f"{inner!r} is a link to another place ({type(link).__name__})")
            child = group[name]
            if isinstance(child, h5py.Group):
                stack.append((inner, child))
            else:
                _check(inner, child, found)
                found[inner] = child


def _check(path: str, dataset: Any, contents: Contents) -> None:
    import h5py  # noqa: PLC0415

    if not isinstance(dataset, h5py.Dataset):
        raise _Refused(f"{path!r} is neither a group nor a dataset")
    if dataset.external or dataset.is_virtual:
        raise _Refused(f"{path!r} keeps its values in another file")
    numbers = dataset.dtype.kind in "fiub" or (
        dataset.dtype == BFLOAT16 and _is_bfloat16(dataset, contents)
    )
    if dataset.shape is None or not numbers:
        raise _Refused(f"{path!r} must hold numbers, it has dtype {dataset.dtype}")


def _is_bfloat16(dataset: Any, contents: Contents) -> bool:
    """Whether bytes are what Keras writes for numbers that HDF5 does not have."""
    if "dtype" not in dataset.attrs:
        return False
    contents.check_texts()
    return bool(dataset.attrs["dtype"] == "bfloat16")


def values_of(dataset: Any) -> np.ndarray:
    """A dataset's numbers."""
    values = np.asarray(dataset[()])
    if values.dtype != BFLOAT16:
        return values
    return (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def size_of(dataset: Any) -> int:
    """The bytes that a dataset's values take in memory."""
    return int(dataset.size) * int(dataset.dtype.itemsize)


class _Stored(Stored):
    """A dataset that is read into the array where it is needed."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.shape = dataset.shape

    def read_into(self, array: np.ndarray) -> None:
        if self._dataset.dtype == array.dtype:
            self._dataset.read_direct(array)
        else:  # NumPy's conversions, not HDF5's
            array[...] = values_of(self._dataset)


class Store(Mapping[str, np.ndarray]):
    """The arrays of one group, as `load_own_variables` gets them: "0", "1" and so on.

    Args:
        datasets: of the file, from `reading`.
        group: such as "layers/dense/vars".
        room: how many bytes an array may have that takes less than half of them in the file.
        late: whether `stored` may leave it to who gets an array to read it.
    """

    def __init__(
        self, datasets: Mapping[str, Any], group: str, room: int, late: bool = False
    ) -> None:
        self._late = late
        self._datasets = {
            path.rpartition("/")[2]: dataset
            for path, dataset in datasets.items()
            if path.rpartition("/")[0] == group
        }
        self.group = group
        self._room = room + SPARE_BYTES

    def __getitem__(self, name: str) -> np.ndarray:
        return values_of(self._checked(name))

    def stored(self, name: str) -> Any:
        """The same, or an object that reads a large array into its place."""
        dataset = self._checked(name)
        return _Stored(dataset) if self._late and size_of(dataset) > _SMALL else self[name]

    def _checked(self, name: str) -> Any:
        dataset = self._datasets[name]
        size = size_of(dataset)
        read = isinstance(dataset, np.ndarray)  # a safetensors file's, which are no larger than it
        if size > max(self._room, size if read else 2 * dataset.id.get_storage_size()):
            raise ValueError(
                f"{self.group}/{name} has shape {dataset.shape} and would take {size:,} bytes, "
                "more than all the weights it is read for"
            )
        return dataset

    def __contains__(self, name: object) -> bool:
        return name in self._datasets  # without reading it

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)


def refuse(model: Any, source: str, wrong: Sequence[str], skip: bool, shown: int = 5) -> None:
    """Says what of a file does not fit a model: in an error, or in a warning if it may be skipped.

    Raises:
        ValueError: when something is wrong and may not be skipped.
    """
    if not wrong:
        return
    more = f"; and {len(wrong) - shown} more" if len(wrong) > shown else ""
    message = f"{source} does not fit model {model.name!r}: {'; '.join(wrong[:shown])}{more}"
    if not skip:
        raise ValueError(message)
    warnings.warn(message, stacklevel=5)
