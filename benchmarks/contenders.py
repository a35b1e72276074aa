"""Contenders: each gives a model that trains for an epoch and predicts a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from workloads import WORKLOADS, Workload

Arrays = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Model:
    """What a contender can do, once it is built.

    Attributes:
        train: an epoch, in a new order, of as many batches as there are.
        call: the outputs for one batch, in the least time.
        predict: the same by the method of this name, if there is one.
        limits: "flops" of a training step's contractions, and the "peak" that the machine can do a
            second, if the contender can tell.
    """

    version: str
    train: Callable[[np.ndarray, np.ndarray], None]
    call: Callable[[np.ndarray], np.ndarray]
    predict: Callable[[np.ndarray], np.ndarray] | None = None
    limits: Callable[[], dict[str, float]] | None = None


def keras(library: str, workload: str) -> Model:
    """Keras on the backend the environment names, or graphc: the same code."""
    work = WORKLOADS[workload]
    model = work.model(library)

    def train(x: np.ndarray, y: np.ndarray) -> None:
        model.fit(x, y, batch_size=work.batch, epochs=1, shuffle=True, verbose=0)

    def call(x: np.ndarray) -> np.ndarray:
        y = model(x)
        return np.asarray(y.detach() if hasattr(y, "detach") else y)

    version = f"{library} {getattr(import_module(library), '__version__', '?')}"
    limits = (lambda: _limits(model, work)) if library == "graphc" else None
    return Model(version, train, call, lambda x: model.predict(x, verbose=0), limits)


def _limits(model: Any, work: Workload) -> dict[str, float]:
    """Of a graphc model that has been trained."""
    graphc, costs, peak, target = (
        import_module(f"graphc{part}")
        for part in ("", ".costs", ".codegen.peak", ".codegen.target")
    )
    graph = next(p.graph for kind, p in model.compiled_programs() if kind == "train")
    return {
        "flops": costs.step_flops(graph, {"batch": work.batch, "rows": work.batch}),
        "peak": peak.peak_flops(target.current(), graphc.config.num_threads()),
    }


def raw(module: str, workload: str, **options: bool) -> Model:
    """The model written for the library itself, in a module beside this one."""
    return import_module(module).contender(workload, WORKLOADS[workload], **options)


CONTENDERS: dict[str, Callable[[str], Model]] = {
    "graphc": partial(keras, "graphc"),
    "keras-jax": partial(keras, "keras"),
    "keras-tf": partial(keras, "keras"),
    "keras-torch": partial(keras, "keras"),
    "jax": partial(raw, "raw_jax"),
    "torch": partial(raw, "raw_torch"),
    "torch-compile": partial(raw, "raw_torch", compiled=True),
}
BACKENDS = {"keras-jax": "jax", "keras-tf": "tensorflow", "keras-torch": "torch"}
PEERS = [name for name in CONTENDERS if name != "graphc"]
