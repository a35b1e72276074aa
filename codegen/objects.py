"""Machine code kept in files, so that a program is compiled once on a machine.

The folder is GRAPHC_CACHE, by default `graphc` in the user's cache folder; "off" keeps nothing. As
its files are run, it must belong to the user and be writable by nobody else; a file counts only if
its checksum is right. Keeping is best effort: whatever goes wrong, the program is compiled.
What autotuning found is kept in the same way.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from graphc.ir.graph import Graph
from graphc.ir.text import to_text

from .target import Target

VARIABLE = "GRAPHC_CACHE"
# When the files take more, the oldest of them make place.
MOST_BYTES = 256 * 1024 * 1024
_CHECKSUM_BYTES = 32


def key_of(graph: Graph, target: Target) -> str:
    """A name for a planned graph's code: another one if anything that it follows from differs."""
    return key_of_text(to_text(graph), target)


def key_of_text(text: str, target: Target) -> str:
    """A name for what follows from a text, the target and the generator's version."""
    parts = [_generator(), repr(target), text]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@cache
def _generator() -> str:
    """The version of what makes code: llvmlite's, and the sources of this package and the IR."""
    digest = hashlib.sha256(version("llvmlite").encode())
    folders = [Path(__file__).parent, Path(to_text.__code__.co_filename).parent]
    for path in (path for folder in folders for path in sorted(folder.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def fetch(key: str) -> bytes | None:
    """What was kept under this key."""
    folder = _folder()
    if folder is None:
        return None
    path = folder / key
    try:
        content = path.read_bytes()
        checksum, kept = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if hashlib.sha256(kept).digest() != checksum:
            return None
        os.utime(path)  # so that what is in use stays
    except OSError:
        return None
    return kept


def keep(key: str, content: bytes) -> None:
    """Keeps the content under the key, also if another process does so at the same time."""
    folder = _folder()
    if folder is None:
        return
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=".")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest() + content)
        os.replace(temporary, folder / key)
        _make_place(folder)
    except OSError:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def _make_place(folder: Path) -> None:
    """Deletes the files that were not used for longest, down to three quarters of the limit."""
    files = []
    for path in folder.iterdir():
        # Another process may rename or delete a file at any moment.
        with suppress(FileNotFoundError):
            files.append((path.stat(), path))
    files = [(status, path) for status, path in files if stat.S_ISREG(status.st_mode)]
    total = sum(status.st_size for status, _ in files)
    if total <= MOST_BYTES:
        return
    for status, path in sorted(files, key=lambda file: file[0].st_mtime):
        if total <= MOST_BYTES * 3 // 4:
            break
        path.unlink(missing_ok=True)
        total -= status.st_size


def _folder() -> Path | None:
    """The folder, made if need be; None if there is none that only the user can write to."""
    given = os.environ.get(VARIABLE, "")
    if given == "off" or not hasattr(os, "geteuid"):
        return None
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(given or Path(home) / "graphc")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):
        return None
    writable = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder if status.st_uid == os.geteuid() and not writable else None
