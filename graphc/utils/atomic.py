"""Writing files so that a crash, a full disk or a kill leaves the old file or the new one."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its place when the block ends without an error.

    The bytes are on the disk before the name changes, and the name before this returns. A link is
    followed: what it points to is replaced. What processes left there that were killed while they
    wrote this file is deleted.

    Args:
        path: of the file to write, which need not exist; its folder must.

    Yields:
        The path of the temporary file, empty.

    Raises:
        FileNotFoundError: when there is no such folder.
        IsADirectoryError: when `path` is one.
        OSError: as the block or the system raises it; then the old file is as it was, and the
            temporary one is gone.
    """
    final = Path(os.path.realpath(path))
    if final.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder")
    if not final.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {final.parent}")
    try:
        temporary, handle = _new_file(final)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    _flush(final.parent)
    _delete_left(final)


def _new_file(final: Path) -> tuple[Path, int]:
    """A temporary file, and a handle that locks it as long as this process lives."""
    while True:
        temporary = final.with_name(f"{_prefix(final)}{secrets.token_hex(4)}")
        # Not of `tempfile`, whose files nobody else may read.
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        _lock(handle, wait=True)
        if os.fstat(handle).st_nlink:
            return temporary, handle
        os.close(handle)  # another process took it for a dead one's before it was locked


def _prefix(final: Path) -> str:
    return f".{final.name[:100]}."


def _lock(handle: int, wait: bool) -> bool:
    """Locks a file; whether it could, without waiting or where file systems have no locks."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
    return False


def _delete_left(final: Path) -> None:
    """Deletes the temporary files that no process has locked: those of dead ones."""
    name = re.compile(re.escape(_prefix(final)) + "[0-9a-f]{8}")
    for path in final.parent.iterdir():
        if not name.fullmatch(path.name):
            continue
        with suppress(OSError):  # it is another user's, or gone
            handle = os.open(path, os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                if _lock(handle, wait=False):
                    path.unlink()
            finally:
                os.close(handle)


def _flush(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
