"""Where Keras's data sets come from, and reading their files without trusting them."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from graphc.utils import get_file

KERAS_FILES = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
# What rebuilds NumPy arrays; numpy._core is the name since NumPy 2.
_REBUILD = np.empty(0).__reduce__()[0]
_REBUILDS_ARRAYS = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _REBUILD,
    ("numpy._core.multiarray", "_reconstruct"): _REBUILD,
}


@dataclass(frozen=True)
class Source:
    """A file of a data set.

    Attributes:
        name: of the file in Keras's cache folder.
        origin: its address.
        digest: its SHA256 or MD5; empty where Keras checks none.
        folder: within the cache.
    """

    name: str
    origin: str
    digest: str = ""
    folder: str = "datasets"

    def fetch(self, name: str | None = None) -> str:
        """The path of the file, which is downloaded if it is not there.

        Args:
            name: of the file in the cache, if another one than Keras's.

        Raises:
            OSError: when it cannot be downloaded, saying which file to save where.
        """
        return get_file(
            name or self.name,
            self.origin,
            file_hash=self.digest or None,
            cache_subdir=self.folder,
        )


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Turns what reading a damaged file raises into one error that names it.

    Raises:
        ValueError: saying that the file is damaged.
    """
    try:
        yield
    except Exception as error:  # pickles and archives that are damaged raise anything
        detail = f"{type(error).__name__}: {error}"
        raise ValueError(f"{path} is damaged ({detail}); delete it to download it again") from error


class _ArrayUnpickler(pickle.Unpickler):
    """Rebuilds NumPy arrays, containers, numbers and strings; nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _REBUILDS_ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which data does not need")
        return _REBUILDS_ARRAYS[module, name]


def unpickled(file: IO[bytes]) -> Any:
    """What a pickle of arrays, lists and dicts holds; Python 2's strings come as bytes.

    Raises:
        pickle.UnpicklingError: when it asks for anything else.
    """
    return _ArrayUnpickler(file, encoding="bytes").load()


def read_npz(path: str, *names: str) -> list[np.ndarray]:
    """The arrays of these names in an .npz file; arrays of objects may hold lists and numbers.

    Raises:
        ValueError: when the file is damaged, naming it.
    """
    with naming(path), zipfile.ZipFile(path) as archive:
        return [_read_npy(io.BytesIO(archive.read(f"{name}.npy"))) for name in names]


def _read_npy(file: IO[bytes]) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = header(file)
    if dtype.hasobject:
        return np.asarray(unpickled(file), dtype).reshape(shape)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def read_pickles(path: str, *names: str) -> list[Mapping[bytes, Any]]:
    """The dicts in these members of a tar file of pickles.

    Raises:
        ValueError: when the file is damaged, naming it.
    """
    found: dict[str, Mapping[bytes, Any]] = {}
    with naming(path), tarfile.open(path) as tar:
        for member in tar:  # in the file's order: going back would decompress again
            if member.name in names:
                file = tar.extractfile(member)
                if file is not None:
                    found[member.name] = unpickled(file)
        return [found[name] for name in names]
