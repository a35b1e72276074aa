"""Files that layers have beside their weights in a `.keras` file: vocabularies, and users' own.

As in Keras, a layer with the methods `save_assets(dir_path)` and `load_assets(dir_path)` writes
files into a folder and reads them; in the zip they stand under "assets/", in the layer's place.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .archive import ASSETS
from .layout import places


def write_assets(model: Any, archive: zipfile.ZipFile) -> None:
    """Writes what the layers' `save_assets` write."""
    with _folders(model, "save_assets") as (top, folders):
        for layer, folder in folders.items():
            layer.save_assets(str(folder))
        for path in sorted(top.rglob("*")):
            if path.is_file():
                archive.write(path, f"{ASSETS}{path.relative_to(top).as_posix()}")


def read_assets(model: Any, archive: zipfile.ZipFile, source: str) -> None:
    """Has the layers' `load_assets` read what is there.

    Args:
        archive: from `archive.members`, which checked names and sizes.
        source: the file's name, for messages, which start with it.

    Raises:
        ValueError: when a member is damaged or belongs to no layer, or a layer's are missing or
            not what they should be.
    """
    with _folders(model, "load_assets") as (top, folders):
        for info in archive.infolist():
            if info.filename.startswith(ASSETS) and not info.is_dir():
                path = top / info.filename.removeprefix(ASSETS)
                if not any(folder in path.parents for folder in folders.values()):
                    raise ValueError(f"{source}: {info.filename!r} belongs to no layer")
                _unpack(archive, info, path, source)
        for layer, folder in folders.items():
            try:
                layer.load_assets(str(folder))
            except Exception as error:  # whatever a user's method raises
                place = f"{ASSETS}{folder.relative_to(top).as_posix()}"
                raise ValueError(f"{source}: {place}: {error or type(error).__name__}") from error


@contextmanager
def _folders(model: Any, method: str) -> Iterator[tuple[Path, dict[Any, Path]]]:
    """A temporary folder, and in it those of the layers that have a method."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        folders = {at: top / place for at, place in places(model).items() if hasattr(at, method)}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        yield top, folders


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, source: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as packed, open(path, "xb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    except Exception as error:  # what damage makes of zipfile's errors cannot be told in advance
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"{source}: member {info.filename!r} is damaged: {reason}") from None
