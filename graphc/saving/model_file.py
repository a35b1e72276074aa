"""Whole models in files: the `.keras` format of Keras 3."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from graphc.budget import building
from graphc.layers.preprocessing.vocabulary import assets_beside
from graphc.serialization import deserialize_keras_object, serialize_keras_object
from graphc.training import Trainer
from graphc.utils.atomic import replacing

from .archive import CONFIG, METADATA, WEIGHTS, members, text_of, weights_of
from .assets import read_assets, write_assets
from .hdf5 import opened, reading
from .layout import places
from .legacy_model import read_legacy_model
from .weights import read_weights, write_weights

# Whose format the files have.
KERAS_VERSION = "3.15.1"


def save_model(
    model: Any, filepath: str | os.PathLike[str] | BinaryIO, overwrite: bool = True
) -> None:
    """Writes a model, with its weights, what it is compiled for, and its optimizer's state.

    Args:
        filepath: ends in .keras; after a crash the old file or the new one is there, whole. Or an
            open binary file.
        overwrite: whether a file that is there may be replaced.

    Raises:
        ValueError: when the name does not end in .keras, the model has no weights yet, or holds a
            function without a name.
        FileExistsError: when the file is there and may not be overwritten.
        OSError: when it cannot be written; then the old file is as it was.
    """
    if not model.built:
        raise ValueError(f"save_model: model {model.name!r} has no weights before it is built")
    if isinstance(filepath, (str, os.PathLike)):
        path = Path(filepath)
        if path.suffix != ".keras":
            raise ValueError(f"save_model: the file's name must end in .keras, got {str(path)!r}")
        if path.exists() and not overwrite:
            raise FileExistsError(f"save_model: {path} exists and overwrite is False")
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            _write(model, archive, temporary.parent)
        return
    with zipfile.ZipFile(filepath, "w") as archive:
        _write(model, archive, None)


def _write(model: Any, archive: zipfile.ZipFile, folder: Path | None) -> None:
    """Writes the members, the weights by way of a temporary file in a folder."""
    saved = time.strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": KERAS_VERSION, "date_saved": saved}
    with assets_beside(places(model)):
        archive.writestr(METADATA, json.dumps(metadata))
        archive.writestr(CONFIG, json.dumps(serialize_keras_object(model)))
        with tempfile.TemporaryFile(dir=folder) as weights:
            write_weights(model, weights)
            member = zipfile.ZipInfo(WEIGHTS, time.localtime()[:6])
            member.file_size = weights.tell()
            weights.seek(0)
            with archive.open(member, "w") as target:
                shutil.copyfileobj(weights, target, 1 << 20)
        write_assets(model, archive)


def load_model(
    filepath: str | os.PathLike[str] | BinaryIO,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> Any:
    """The model of a file that `save_model` or Keras wrote.

    Args:
        filepath: ends in .keras; or in .h5 or .hdf5 for files of older versions. Or an open binary
            file of the .keras format.
        custom_objects: a user's own classes and functions by the names in the file.
        compile: whether to compile the model if the one in the file was, with its optimizer's
            state.
        safe_mode: accepted for Keras's sake: Python code in files is never run.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the file is damaged, or asks for what is not there, naming all of it.
    """
    if not isinstance(filepath, (str, os.PathLike)):
        name = getattr(filepath, "name", None) or type(filepath).__name__
        return _read(filepath, f"load_model: {name}", custom_objects, compile)
    path = Path(filepath)
    source = f"load_model: {path}"
    if path.suffix in (".h5", ".hdf5"):
        with opened("load_model", path) as stream, _explained(source):
            return read_legacy_model(stream, source, custom_objects, compile)
    if path.suffix != ".keras":
        raise ValueError(f"{source}: the file's name must end in .keras, .h5 or .hdf5")
    with opened("load_model", path) as stream:
        return _read(stream, source, custom_objects, compile)


def _read(
    stream: BinaryIO, source: str, custom_objects: Mapping[str, Any] | None, compile: bool
) -> Any:
    with (
        members(stream, source) as archive,
        weights_of(archive, stream, source) as weights,
        reading(weights, source) as datasets,
    ):
        room = datasets.elements("")
        with (
            _explained(source, _of_keras_2(archive, source)),
            building(max_parameters=room, initial_values=False),
        ):
            model = _made(text_of(archive, CONFIG, source), custom_objects, compile)
        read_weights(model, datasets, source)
        read_assets(model, archive, source)
    return model


@contextmanager
def _explained(source: str, note: str = "") -> Iterator[None]:
    """Says in errors which file they are of, and a note."""
    try:
        yield
    except Exception as error:  # whatever the parts of a damaged configuration lead to
        if str(error).startswith(source) and not note:
            raise
        text = "the config is nested too deep" if isinstance(error, RecursionError) else str(error)
        text = text.removeprefix(f"{source}: ")
        raise ValueError(f"{source}: {text or type(error).__name__}{note}") from error


def _of_keras_2(archive: zipfile.ZipFile, source: str) -> str:
    """A note for errors, if a file is of Keras 2, whose .keras files are others; else nothing."""
    if METADATA not in archive.namelist():
        return ""
    try:
        version = str(json.loads(text_of(archive, METADATA, source))["keras_version"])
    except (ValueError, KeyError, TypeError, RecursionError):  # which nothing else needs
        return ""
    if not version.startswith("2."):
        return ""
    return f"; it was written by Keras {version[:20]}: save the model as .h5 there, which is read"


def _made(text: str, custom_objects: Mapping[str, Any] | None, compile: bool) -> Any:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{CONFIG} is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise ValueError("the config describes no model")
    if not compile:
        config = {**config, "compile_config": None}
    model = deserialize_keras_object(config, custom_objects)
    if not isinstance(model, Trainer):
        raise ValueError(f"the config describes a {type(model).__name__}, which is no model")
    return model
