"""Runs a graph natively and in the interpreter, and compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from graphs import BATCH, trace_of

from graphc import compiler, config
from graphc.codegen.interface import streams
from graphc.codegen.target import Target, detect, known_targets
from graphc.ir.graph import Graph
from graphc.ir.interpret import interpret
from graphc.ir.types import DTYPES, evaluate
from graphc.trace import Variable

Array = np.ndarray


def targets() -> list[object]:
    """The targets of this architecture as parameters; those the CPU cannot run are skipped."""
    best_first = list(known_targets().values())
    able = best_first[best_first.index(detect()) :]
    return [
        pytest.param(
            t, id=t.name, marks=() if t in able else pytest.mark.skip(f"this CPU has no {t.name}")
        )
        for t in best_first
    ]


@dataclass
class Native:
    """A graph compiled for a target.

    Args:
        graph: as traced.
        target: by default the best that this CPU runs.
        tune_for: as of `compile_trace`.
    """

    graph: Graph
    target: Target | None = None
    tune_for: int = 0
    _state: dict[str, Variable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        trace = trace_of(self.graph)
        for node in self.graph.inputs("state"):
            shape = [evaluate(dim, {}) for dim in node.tensor.shape]
            zeros = np.zeros(shape, DTYPES[node.tensor.dtype])
            variable = Variable(zeros, node.name, dtype=node.tensor.dtype)
            trace.names[variable] = node.name
            self._state[node.name] = variable
        self.program = compiler.compile_trace(
            trace, target=self.target, check=True, tune_for=self.tune_for
        )

    def run(
        self,
        feeds: Mapping[str, Array],
        symbols: Mapping[str, int] | None = None,
        *,
        threads: int = 1,
        steps: int = 1,
        rows: int | None = None,
    ) -> dict[str, Array]:
        """The outputs: state as it is afterwards, the others as the program's docstring says."""
        sizes = dict(symbols or {})
        batch = sizes.pop("batch", 1)
        rows = batch * steps if rows is None else rows
        for name, variable in self._state.items():
            variable.assign(feeds[name])
        whole = {**sizes, "batch": rows}
        results = {}
        for name, node in self.program.graph.outputs.items():
            if name not in self._state:
                shape = tuple(evaluate(dim, whole) for dim in node.tensor.shape)
                if not streams(node.tensor):
                    sized = (evaluate(d, {**sizes, "batch": batch}) for d in node.tensor.shape)
                    shape = (steps, *sized)
                results[name] = np.full(shape, 77, DTYPES[node.tensor.dtype])
        given = {n: np.require(feeds[n], requirements="C") for n in feeds if n not in self._state}
        addresses = {name: a.ctypes.data for name, a in {**given, **results}.items()}
        try:
            config.set_num_threads(threads)
            self.program.run(addresses, steps=steps, rows=rows, batch=batch, symbols=sizes)
        finally:
            config.set_num_threads(None)
        for name, node in self.program.graph.outputs.items():
            if name in self._state:
                results[name] = self._state[name].numpy()
            elif steps == 1 and not streams(node.tensor):
                results[name] = results[name][0]
        return results

    def check(
        self,
        feeds: Mapping[str, Array],
        symbols: Mapping[str, int] | None = None,
        *,
        threads: Sequence[int] = (1, 3),
        relative: float = 2e-5,
        absolute: float = 1e-5,
    ) -> dict[str, Array]:
        """The results: those of the interpreter, and the same bits on any number of threads."""
        expected = interpret(self.graph, feeds, dict(symbols or {}))
        first: dict[str, Array] = {}
        for count in threads:
            found = self.run(feeds, symbols, threads=count)
            for name, value in expected.items():
                assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
                message = f"{name} on {count} threads"
                if value.dtype.kind == "f":
                    np.testing.assert_allclose(
                        found[name], value, relative, absolute, err_msg=message
                    )
                else:
                    np.testing.assert_array_equal(found[name], value, err_msg=message)
                if first:
                    assert found[name].tobytes() == first[name].tobytes(), message
            first = first or found
        return first


def check_against_interpreter(
    graph: Graph,
    feeds: Mapping[str, Array],
    symbols: Mapping[str, int] | None = None,
    *,
    target: Target | None = None,
    threads: Sequence[int] = (1, 3),
    relative: float = 2e-5,
    absolute: float = 1e-5,
) -> dict[str, Array]:
    """Compiles and checks one run; see `Native.check`."""
    native = Native(graph, target)
    return native.check(feeds, symbols, threads=threads, relative=relative, absolute=absolute)


def steps_in_interpreter(
    graph: Graph, feeds: Mapping[str, Array], batch: int, rows: int
) -> dict[str, Array]:
    """What a native call of several steps gives: rows put together, values a step stacked."""
    feeds = dict(feeds)
    kept: dict[str, list[Array]] = {}
    for start in range(0, rows, batch):
        size = min(batch, rows - start)
        now = {
            n.name: feeds[n.name][start : start + size]
            if n.attrs["role"] in ("data", "index") and streams(n.tensor)
            else feeds[n.name]
            for n in graph.inputs()
        }
        for name, value in interpret(graph, now, {"batch": size}).items():
            if name in feeds:
                feeds[name] = value
            kept.setdefault(name, []).append(value)
    results = {}
    for name, values in kept.items():
        rowwise = graph.outputs[name].tensor.shape[:1] == (BATCH,)
        last = values[-1] if name in feeds else np.stack(values) if not rowwise else None
        results[name] = np.concatenate(values) if last is None else last
    return results
