"""A model's compiled programs, and where in them infinities and NaN come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc import losses
from graphc.compiler import Executable, build
from graphc.data import Data
from graphc.errors import unknown_name
from graphc.nonfinite import NonFinite, first_nonfinite

from .report import ROWS

PROGRAMS = ("predict", "evaluate", "train")


def program_of(model: Any, kind: str, method: str) -> Executable:
    """A model's program: one that it has compiled, or else one compiled for usual types of data.

    Raises:
        ValueError: for an unknown kind, or a model that is not built or not compiled for it.
    """
    if kind not in PROGRAMS:
        raise unknown_name("program", kind, PROGRAMS)
    for known, compiled in model.compiled_programs():
        if known == kind:
            return compiled  # type: ignore[no-any-return]
    if not model.built:
        raise ValueError(f"{method}: model {model.name!r} needs an input_shape or data first")
    return model.program(kind, example(model, kind, method), ROWS)  # type: ignore[no-any-return]


def programs_of(model: Any, method: str) -> dict[str, Executable]:
    """The programs that a model has compiled by kind; if none, the one it would need first."""
    compiled = {kind: p for kind, p in reversed(model.compiled_programs())}
    if not compiled:
        task = model._task
        kind = "train" if task is not None and task.has_loss else "predict"
        compiled = {kind: program_of(model, kind, method)}
    return {kind: compiled[kind] for kind in sorted(compiled, key=_order)}


def _order(kind: str) -> tuple[bool, str]:
    return kind != "train", kind


def example(model: Any, program: str, method: str, rows: int = 1) -> Data:
    """Rows of the types that data usually has: random floats; integers, labels too, are 0."""
    random = np.random.default_rng(0)

    def filled(shape: list[int], dtype: str) -> np.ndarray:
        if dtype == "float32":
            return random.random(shape, np.float32)
        return np.zeros(shape, dtype)

    shapes = [[rows, *(d or 1 for d in t.shape[1:])] for t in model.inputs]
    data = Data([filled(s, t.dtype) for s, t in zip(shapes, model.inputs, strict=True)])
    if program != "predict":
        for target, output in zip(model.task_for(method).targets, model.outputs, strict=True):
            shape = [rows, *(d or 1 for d in output.shape[1:])]
            integers = target.loss is not None and losses.takes_integer_labels(target.loss)
            labels = filled(shape[:-1], "int64") if integers else filled(shape, "float32")
            data.y.append(labels)
    return data


def find_nonfinite(model: Any, x: object, y: object) -> NonFinite | None:
    """The first value of a training step that is not finite; see `Inspected.find_nonfinite`."""
    data = model.checked("find_nonfinite", x, y, None)
    trace, training = model.traced("train", data.types("rows"), model.trainable_weights)
    records = {r.name: r.graph for r in build(trace, training).records}
    arrays = {**data.arrays(), "index": np.arange(data.rows)}
    state = {name: variable.value for variable, name in trace.names.items()}
    return first_nonfinite(records["update"], arrays, state, data.rows)
