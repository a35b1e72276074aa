"""Writing files so that a crash, a full disk or a kill leaves the old file or the new one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary file beside `path`, which takes its place when the block ends without an error.

    The bytes are on the disk before the name changes, and the name before this returns. A link is
    followed: what it points to is replaced.

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
    temporary = final.with_name(f".{final.name[:100]}.{secrets.token_hex(4)}")
    try:
        # Not of `tempfile`, whose files nobody else may read.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(final.parent)


def _flush(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
