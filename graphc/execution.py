"""Data going through a compiled program, chunk by chunk."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .compiler import Executable
from .data import Data
from .ir.types import BATCH, Size, evaluate

# How long native code runs before Python looks at progress and Ctrl-C, in seconds.
CHUNK_SECONDS = 0.1
# Keras's batch size, where none is given.
BATCH_SIZE = 32


def rows_a_step(method: str, program: Executable, batch_size: int | None, rows: int) -> int:
    """The batch size, 32 by default; or the one that the program's stateful layers fix.

    Raises:
        ValueError: when these need another one, or a multiple of it as the number of rows.
    """
    fixed = program.batch_size
    if fixed is not None and (batch_size not in (None, fixed) or rows % fixed):
        raise ValueError(
            f"{method}: stateful layers keep the states of {fixed} rows: batch_size must be "
            f"{fixed} and the number of rows a multiple of it, got {batch_size} and {rows}"
        )
    return fixed or batch_size or BATCH_SIZE


@dataclass(frozen=True)
class Progress:
    """How far a run of `fit` is that was broken off and goes on.

    Attributes:
        epoch: epochs that are done.
        batches: steps of the next one that are done; logs: those after them.
    """

    epoch: int = 0
    batches: int = 0
    logs: dict[str, Any] = field(default_factory=dict)


class Run:
    """Data going through a program, chunk by chunk."""

    def __init__(self, program: Executable, data: Data, order: np.ndarray | None) -> None:
        self.program = program
        self.rows = data.rows
        self.symbols = symbol_values(program, data)
        self.moving: dict[str, tuple[int, int]] = {}  # address of row 0, bytes a row
        self.fixed: dict[str, int] = {}
        self.keep_alive: list[np.ndarray] = []
        for name, array in data.arrays().items():
            self._take(name, array, moves=order is None)
        if order is not None:
            self._take("index", np.ascontiguousarray(order, np.int64), moves=True)
        self.rows_out: dict[str, np.ndarray] = {}
        self.steps_out: dict[str, tuple[np.dtype, list[int]]] = {}  # dtype, shape of a step's value
        for name, (dtype, shape) in program.output_types().items():
            if shape and shape[0] == Size((BATCH,)):
                sizes = [d if isinstance(d, int) else self.symbols[str(d)] for d in shape[1:]]
                self.rows_out[name] = np.empty((self.rows, *sizes), dtype)
                self._take(name, self.rows_out[name], moves=True)
            else:
                self.steps_out[name] = dtype, [evaluate(d, self.symbols) for d in shape]

    def _take(self, name: str, array: np.ndarray, moves: bool) -> None:
        self.keep_alive.append(array)
        address = array.__array_interface__["data"][0]
        if moves:
            self.moving[name] = (address, array.strides[0])
        else:
            self.fixed[name] = address

    def steps(self, batch: int) -> int:
        return -(-self.rows // batch)

    def go(
        self, start: int, count: int, batch: int, threads: int | None = None
    ) -> tuple[dict[str, Any], np.ndarray]:
        """Runs `count` steps from step `start`; returns the logs and the loss of each step.

        A log is a number, or an array for a metric with several values.

        Args:
            threads: how many run them; by default as many as are fastest.
        """
        rows_a_step("a step", self.program, batch, self.rows)
        results = {
            name: np.empty((count, *shape), dtype)
            for name, (dtype, shape) in self.steps_out.items()
        }
        known = [(0, count, threads)] if threads else None
        for done, steps, used in known or self.program.parts(count, min(batch, self.rows)):
            rest = {name: array[done:] for name, array in results.items()}
            self._go(start + done, steps, batch, rest, used)
        logs = {
            name.removeprefix("log/"): values[-1] if values.ndim > 1 else float(values[-1])
            for name, values in results.items()
            if name.startswith("log/")
        }
        return logs, results.get("loss", np.empty(0))

    def _go(
        self, start: int, count: int, batch: int, results: dict[str, np.ndarray], threads: int
    ) -> None:
        first = start * batch
        addresses = dict(self.fixed)
        for name, (address, stride) in self.moving.items():
            addresses[name] = address + first * stride
        for name, array in results.items():
            addresses[name] = array.__array_interface__["data"][0]
        self.program.run(
            addresses, count, self.rows - first, min(batch, self.rows), self.symbols, threads
        )


def symbol_values(program: Executable, data: Data) -> dict[str, int]:
    """Values of the symbols other than batch, from the data's shapes."""
    symbols = {"rows": data.rows}
    arrays = data.arrays()
    for node in program.graph.inputs():
        if node.name in arrays:
            for dim, size in zip(node.tensor.shape, arrays[node.name].shape, strict=True):
                if not isinstance(dim, int) and str(dim) != "batch":
                    symbols[str(dim)] = size
    return symbols


def chunks(steps: int, one_by_one: bool, start: int = 0) -> Iterator[tuple[int, int]]:
    """(first step, number of steps): one at first, then as many as CHUNK_SECONDS allow."""
    count = 1
    while start < steps:
        began = time.perf_counter()
        yield start, min(count, steps - start)
        took = max(time.perf_counter() - began, 1e-6)
        start += min(count, steps - start)
        if not one_by_one:
            count = max(1, min(4 * count, int(count * CHUNK_SECONDS / took)))
