"""The state of a run of `fit` in a file: what `BackupAndRestore` keeps."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from graphc.layers.recurrent import RNN
from graphc.trace import Variable, assign_all
from graphc.tree import flatten
from graphc.utils.atomic import replacing

from .hdf5 import Store, opened, reading
from .layout import places
from .weights import TRAINING, read_weights, unchanged_on_errors, write_weights

ARRAYS = f"{TRAINING}/arrays"


def save_training_state(model: Any, path: str | os.PathLike[str], note: dict[str, Any]) -> None:
    """Writes weights, optimizer's state, random numbers' state, metrics so far, and a note.

    Args:
        path: the file, which after a crash is the old one or the new one, whole.
        note: of what JSON can hold, and arrays.
    """
    more: dict[str, np.ndarray] = {}

    def keep(value: Any) -> Any:
        """Puts an array of the note beside it."""
        if isinstance(value, np.generic):
            return value.item()
        name = f"{ARRAYS}/{len(more)}"
        more[name] = np.asarray(value)
        return {"array": name}

    text = json.dumps(note, default=keep).encode()
    more[f"{TRAINING}/note"] = np.frombuffer(text, np.uint8)  # an attribute has 64 kB at most
    for at, variable in enumerate(_variables(model)):
        more[f"{TRAINING}/{at}"] = variable.value
    with replacing(path) as temporary, open(temporary, "w+b") as stream:
        write_weights(model, stream, more)


def load_training_state(model: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Puts a state back; returns the note.

    Raises:
        ValueError: when the file is damaged or of another model, which is named.
    """
    source = f"BackupAndRestore: {path}"
    model.optimizer.prepare(model.trainable_weights)
    with (
        opened("BackupAndRestore", Path(path)) as stream,
        reading(stream, source) as datasets,
        unchanged_on_errors(model),
    ):
        store, arrays = (
            Store(datasets, group, stream.seek(0, os.SEEK_END)) for group in (TRAINING, ARRAYS)
        )
        if "note" not in store:
            raise ValueError(f"{source} is a file of weights, not of a training run")
        read_weights(model, datasets, source)
        assign_all(source, _variables(model), [store[str(at)] for at in range(len(store) - 1)])

        def put_back(part: dict[str, Any]) -> Any:
            group, _, name = str(part.get("array")).rpartition("/")
            return arrays[name] if group == ARRAYS else part

        note: dict[str, Any] = json.loads(store["note"].tobytes(), object_hook=put_back)
        return note


def _variables(model: Any) -> list[Variable]:
    """What changes while a model is trained, beside its weights and its optimizer's state."""
    metrics = [v for metric in model.metrics for v in metric.variables]
    recurrent = [layer for layer in places(model) if isinstance(layer, RNN) and layer.stateful]
    return [*model.random_state, *metrics, *flatten([layer.states for layer in recurrent])]
