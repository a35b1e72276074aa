"""A model's programs as text, and where in them infinities and NaN come from."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import losses
from .compiler import build, stage_text
from .data import Data
from .errors import unknown_name
from .nonfinite import NonFinite, first_nonfinite


def dump(model: Any, stage: str, program: str) -> str:
    """The text of a model's program at a stage; see `Model.dump`."""
    if program not in ("predict", "evaluate", "train"):
        raise unknown_name("program", program, ["predict", "evaluate", "train"])
    for kind, compiled in model.compiled_programs():
        if kind == program:
            return stage_text(compiled, stage)
    if not model.built:
        raise ValueError(f"dump: model {model.name!r} needs an input_shape or data first")
    return stage_text(model.program(program, _example(model, program)), stage)


def _example(model: Any, program: str) -> Data:
    """A row of zeros of the types that data usually has."""
    data = Data([np.zeros([d or 1 for d in t.shape], t.dtype) for t in model.inputs])
    if program != "predict":
        for target, output in zip(model.task_for("dump").targets, model.outputs, strict=True):
            shape = [d or 1 for d in output.shape]
            integers = target.loss is not None and losses.takes_integer_labels(target.loss)
            zeros = np.zeros(shape[:-1], np.int64) if integers else np.zeros(shape, np.float32)
            data.y.append(zeros)
    return data


def find_nonfinite(model: Any, x: object, y: object) -> NonFinite | None:
    """The first value of a training step that is not finite; see `Model.find_nonfinite`."""
    data = model.checked("find_nonfinite", x, y, None)
    trace, training = model.traced("train", data.types("rows"), model.trainable_weights)
    records = {r.name: r.graph for r in build(trace, training).records}
    arrays = {**data.arrays(), "index": np.arange(data.rows)}
    state = {name: variable.value for variable, name in trace.names.items()}
    return first_nonfinite(records["update"], arrays, state, data.rows)
