"""Fetching files into Keras's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from .atomic import replacing
from .progbar import Progbar

SECONDS_WITHOUT_DATA = 30  # after which a download is given up
PIECE = 1 << 16


def get_file(
    fname: str | os.PathLike[str] | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | Sequence[str] | None = "auto",
    cache_dir: str | os.PathLike[str] | None = None,
    force_download: bool = False,
) -> str:
    """Downloads a file unless it is in the cache (`keras.utils.get_file`).

    The file is downloaded beside its final place, checked, and renamed: what is in the cache is
    complete. A cached file whose checksum is another one is downloaded again.

    Args:
        fname: name of the file in the cache; by default that at the end of `origin`. With
            `extract`, a name without an extension is that of the folder.
        origin: the address to download from.
        untar: the same as `extract` with `archive_format="tar"`.
        md5_hash: the same as `file_hash` with `hash_algorithm="md5"`.
        file_hash: the file's checksum in hexadecimal digits; by default it is not checked.
        cache_subdir: folder within the cache, or an absolute path; "datasets" by default.
        hash_algorithm: "sha256", "md5" or "auto" (default), which tells by the length.
        extract: whether to unpack the archive into a folder beside it: `fname` without an
            extension, else `fname` up to its first dot and "_extracted". A folder that is there
            is taken as it is, unless the archive was downloaded just now.
        archive_format: "tar" (compressed too), "zip", a list of them, or "auto" (default), both.
        cache_dir: the cache; by default the environment variable KERAS_HOME, else ~/.keras, where
            Keras keeps its files too. (Keras goes to /tmp if it cannot write there.)
        force_download: whether to download it also if it is there.

    Returns:
        The path of the file, or of the folder with what was in the archive.

    Raises:
        ValueError: without an origin, for a name with folders, for a download or an archive that
            is not what was expected.
        OSError: when the file cannot be downloaded, saying which file to save where.
    """
    if not origin:
        raise ValueError("get_file: `origin`, the address to download from, is needed")
    name = os.fspath(fname) if fname else origin.partition("?")[0].rpartition("/")[2]
    if not name or os.sep in name:
        raise ValueError(
            f"get_file: expected a file name without folders, got {name!r}; `cache_dir` and "
            "`cache_subdir` say where it goes"
        )
    home = os.fspath(cache_dir or os.environ.get("KERAS_HOME") or "~/.keras")
    folder = Path(home).expanduser() / cache_subdir
    checksum = _Checksum.of(file_hash or md5_hash, hash_algorithm if file_hash else "md5")
    if not (extract or untar):
        _fetch(folder / name, origin, checksum, force_download)
        return str(folder / name)
    if fname and "." in name:
        archive, target = folder / name, folder / f"{name.partition('.')[0]}_extracted"
    else:
        archive, target = folder / f"{name}_archive", folder / name
    is_new = _fetch(archive, origin, checksum, force_download)
    if is_new or not target.exists():
        _extract(archive, target, "tar" if untar else archive_format)
    return str(target)


class _Checksum:
    """What a file's checksum should be."""

    def __init__(self, digest: str, algorithm: str) -> None:
        self.digest = digest
        self.algorithm = algorithm

    @classmethod
    def of(cls, digest: str | None, algorithm: str) -> _Checksum | None:
        """None if nothing is to be checked."""
        if algorithm not in ("auto", "sha256", "md5"):
            raise ValueError(
                f"get_file: hash_algorithm must be 'auto', 'sha256' or 'md5', got {algorithm!r}"
            )
        if digest is None:
            return None
        if algorithm == "auto":
            algorithm = "sha256" if len(digest) == 64 else "md5"
        return cls(digest, algorithm)

    def mismatch(self, path: Path) -> str:
        """What is wrong with a file, or nothing."""
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, self.algorithm).hexdigest()
        return "" if found == self.digest else f"its {self.algorithm} is {found}, not {self.digest}"


def _fetch(path: Path, origin: str, checksum: _Checksum | None, force: bool) -> bool:
    """Makes sure that a file is there; whether it was downloaded."""
    problem = "is not there"
    if path.exists():
        mismatch = checksum.mismatch(path) if checksum else ""
        if not mismatch and not force:
            return False
        problem = f"is damaged ({mismatch})" if mismatch else "is to be downloaded again"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            _download(origin, temporary)
            mismatch = checksum.mismatch(temporary) if checksum else ""
            if mismatch:
                raise ValueError(f"{origin} gave another file than expected: {mismatch}")
    except OSError as error:
        reason = getattr(error, "reason", None) or error
        raise OSError(
            f"{path} {problem} and cannot be downloaded ({reason}): get {origin} by other means "
            f"and save it as {path}"
        ) from error
    return True


def _download(origin: str, path: Path) -> None:
    # Imported here, as it takes as long as importing half of graphc's own modules.
    from http.client import HTTPException  # noqa: PLC0415
    from urllib.request import urlopen  # noqa: PLC0415

    print(f"Downloading data from {origin}")
    try:
        with urlopen(origin, timeout=SECONDS_WITHOUT_DATA) as response, open(path, "wb") as file:
            length = response.headers.get("Content-Length")
            target = None if length is None else _kilobytes(length)
            with closing(Progbar(target, unit_name="KB")) as progress:
                while piece := response.read(PIECE):
                    file.write(piece)
                    progress.update(_kilobytes(file.tell()), finalize=False)
                progress.update(_kilobytes(file.tell()), finalize=True)
            received = file.tell()
    except HTTPException as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    if length is not None and received != int(length):
        raise OSError(f"it ended after {received} of {length} bytes")


def _kilobytes(size: str | int) -> int:
    return -(-int(size) // 1024)


def _extract(archive: Path, target: Path, formats: str | Sequence[str] | None) -> None:
    """Unpacks an archive beside the target folder and renames it."""
    import tarfile  # noqa: PLC0415 (these too are slow to import, and seldom needed)
    import zipfile  # noqa: PLC0415

    wanted = ("tar", "zip") if formats == "auto" else formats or ()
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        unpacked = Path(temporary) / "unpacked"
        unpacked.mkdir()
        if "tar" in wanted and tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                tar.extractall(unpacked, filter="data")
        elif "zip" in wanted and zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(unpacked)
        else:
            raise ValueError(f"{archive} is damaged, or no archive of format {formats!r}")
        if target.exists():
            shutil.rmtree(target)
        unpacked.rename(target)
