"""Where a program's time goes: each kernel measured by the program itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import config, stages
from .codegen import jit
from .codegen.peak import peak_flops
from .codegen.profile import COUNTERS, generate_profiled, measured
from .codegen.target import current
from .compiler import Executable, Training, build, tuned
from .costs import kernel_bytes, kernel_flops, kernels
from .data import Data, positive, standardize_x
from .errors import unknown_name
from .execution import Run
from .ir.graph import Graph, Node
from .ir.ops import CONTRACTIONS, LEAVES
from .ir.types import BATCH, evaluate
from .trace import Trace, Variable

if TYPE_CHECKING:
    from rich.table import Table

PROGRAMS = ("train", "evaluate", "predict")
# How long to measure when no number of steps is given.
SECONDS = 1.0
PHASES = ("forward", "backward", "update")
# Operations that a row names.
_NAMED = 4
# Rows that take a smaller part of the kernels' time are one line of the table together.
_LEAST = 0.002


@dataclass(frozen=True)
class KernelTime:
    """What one kernel costs a step.

    Attributes:
        name: the kernel's, as in `model.dump("memory")`; "waiting" for threads' waiting for each
            other, where kernels of one step share the work unevenly.
        work: what it computes: the contraction or reduction with its operands' shapes, and how many
            other operations go with it.
        layers: names of the layers it came from.
        phase: forward, backward or update; several joined by "+".
        calls: how often it runs in a step, more than once inside a loop over time; 0 for waiting.
        seconds: a step, all calls together: the mean of the threads.
        flops: of its contractions, a step; 0 without one.
        bytes: the least it moves a step: operands and results once for each call.
        peak: multiply-adds that the threads can do a second, as flops.
    """

    name: str
    work: str
    layers: tuple[str, ...]
    phase: str
    calls: int
    seconds: float
    flops: int
    bytes: int
    peak: float

    @property
    def gflops(self) -> float:
        """GFLOP a second, of all threads together."""
        return self.flops / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def gigabytes(self) -> float:
        """Gigabytes a second, of all threads together."""
        return self.bytes / self.seconds / 1e9 if self.seconds else 0.0

    @property
    def share(self) -> float:
        """Of the machine's peak of multiply-adds: 0 to 1."""
        return self.gflops * 1e9 / self.peak


@dataclass(frozen=True)
class Profile:
    """A program's kernels by time: what `model.profile` returns; `print` shows the table.

    Attributes:
        model, program: names.
        rows: the kernels, the slowest first.
        seconds: a step, from outside; the rows' seconds add up to a little less. All are of the
            fastest run through the data: on a busy machine the others say little.
        steps: how many were measured.
        batch: rows of a step.
        threads: how many there were.
        peak: multiply-adds that they can do a second, as flops.
    """

    model: str
    program: str
    rows: list[KernelTime]
    seconds: float
    steps: int
    batch: int
    threads: int
    peak: float

    @property
    def flops(self) -> int:
        """Of all contractions, a step."""
        return sum(row.flops for row in self.rows)

    def table(self) -> Table:
        """The rows as a rich table."""
        from rich.table import Table  # noqa: PLC0415 (rich is loaded only where it shows something)

        rate = self.flops / self.seconds
        title = (
            f"{self.model}, {self.program}: {1e3 * self.seconds:.3f} ms a step of {self.batch} "
            f"rows, {rate / 1e9:.1f} GFLOP/s, {rate / self.peak:.0%} of {self.peak / 1e9:.0f} "
            f"({self.threads} threads, {self.steps} steps)"
        )
        table = Table(title=title, title_justify="left")
        for heading in ("kernel", "work", "layers", "phase"):
            table.add_column(heading, overflow="fold")
        for heading in ("calls", "ms", "time", "GFLOP/s", "peak", "MB", "GB/s"):
            table.add_column(heading, justify="right", no_wrap=True)
        least = _LEAST * sum(row.seconds for row in self.rows)
        shown = [row for row in self.rows if row.seconds > least]
        others = self.rows[len(shown) :]
        for row in shown:
            counted = [f"{row.gflops:.1f}", f"{row.share:.0%}"] if row.flops else ["", ""]
            moved = [f"{row.bytes / 1e6:.2f}", f"{row.gigabytes:.1f}"] if row.bytes else ["", ""]
            table.add_row(
                row.name, row.work, ", ".join(row.layers), row.phase, str(row.calls or ""),
                f"{1e3 * row.seconds:.3f}", f"{row.seconds / self.seconds:.1%}", *counted, *moved,
            )  # fmt: skip
        if others:
            rest = sum(row.seconds for row in others)
            cells = [f"{1e3 * rest:.3f}", f"{rest / self.seconds:.1%}"]
            table.add_row(f"{len(others)} others", *[""] * 4, *cells)
        return table

    def __str__(self) -> str:
        from rich.console import Console  # noqa: PLC0415

        console = Console(width=160)
        with console.capture() as capture:
            console.print(self.table())
        return capture.get()


def profile(model: Any, x: object, y: object, batch: int, steps: int | None, kind: str) -> Profile:
    """Measures the kernels of a model's program; see `Model.profile`."""
    if kind not in PROGRAMS:
        raise unknown_name("program", kind, PROGRAMS)
    batch = positive("profile", "batch_size", batch)
    if steps is not None:
        positive("profile", "steps", steps)
    if kind == "predict":
        model.prepare(x)
        data = Data(standardize_x(x, model.inputs, model.input_keys, model.name))
    else:
        data = model.checked("profile", x, y, None)
    batch = min(batch, data.rows)
    types = data.types("rows" if kind == "train" else "batch")
    memory = model.memory_plan(kind, data, batch)
    traced = model.traced(kind, types, tuple(model.trainable_weights))
    program = partial(compile_profiled, memory=memory, tune_for=model.tuning_rows(batch))(*traced)
    order = np.arange(data.rows) if kind == "train" else None
    run = Run(program, data, order)
    done, seconds, times = _measure(run, batch, steps)
    peak = peak_flops(program.code.target, len(times))
    rows = _rows(program.graph, {**run.symbols, BATCH: batch}, times.mean(axis=0), peak)
    return Profile(model.name, kind, rows, seconds, done, batch, len(times), peak)


def _measure(run: Run, batch: int, steps: int | None) -> tuple[int, float, np.ndarray]:
    """How many steps were run; of the fastest run through the data, the seconds of a step, and of
    it those of each thread by counter.
    """
    counters = run.program.variables[COUNTERS].value
    run.go(0, 1, batch)  # touches memory for the first time
    whole = run.rows // batch  # steps of a full batch, in the data
    spent, done = 0.0, 0
    best, times = float("inf"), counters
    while done < steps if steps is not None else spent < SECONDS:
        count = whole if steps is None else min(whole, steps - done)
        counters[:] = 0
        start = time.perf_counter()
        run.go(0, count, batch, run.program.most_threads(count, batch))
        seconds = time.perf_counter() - start
        spent, done = spent + seconds, done + count
        if seconds / count < best:
            used = counters[counters.any(axis=1)]
            best, times = seconds / count, used / 1e9 / count
    return done, best, times


def compile_profiled(
    trace: Trace, training: Training | None = None, memory: str = "fast", *, tune_for: int = 0
) -> Executable:
    """A trace's program with a clock, on copies of the variables.

    Args:
        memory, tune_for: as of `compile_trace`.
    """
    start = time.perf_counter()
    manager = build(trace, training, memory=memory)
    target = current()
    graph, _ = tuned(manager, target, tune_for)
    graph, program = generate_profiled(graph, target, config.num_threads())
    state = {name: variable.value for variable, name in trace.names.items()}
    state[COUNTERS] = np.zeros([evaluate(dim, {}) for dim in graph[COUNTERS].tensor.shape], "int64")
    variables = {
        name: Variable(value, name, dtype=str(value.dtype)) for name, value in state.items()
    }
    code = jit.load(program, target, config.num_threads())
    found = stages.of_program(manager.records, code)
    return Executable(graph, code, variables, manager, found, time.perf_counter() - start)


def _rows(
    graph: Graph, symbols: dict[str, int], times: np.ndarray, peak: float
) -> list[KernelTime]:
    """The kernels by time.

    Args:
        times: seconds a step, by counter.
    """
    calls = dict(kernels(graph, symbols))
    rows = []
    for node, seconds in zip(measured(graph), map(float, times), strict=False):
        if node is None:
            row = KernelTime("waiting", "", (), "", 0, seconds, 0, 0, peak)
        elif node.op == "scan":
            scope = node.scope
            row = KernelTime(
                node.name, "copies", (scope.layer,), scope.phase, 1, seconds, 0, 0, peak
            )
        else:
            layers, phase = _origin(node)
            flops, moved = kernel_flops(node, symbols), kernel_bytes(node, symbols)
            row = KernelTime(
                node.name, _work(node, symbols), layers, phase, calls[node], seconds,
                calls[node] * flops, calls[node] * moved, peak,
            )  # fmt: skip
        rows.append(row)
    return sorted(rows, key=lambda row: -row.seconds)


def _members(kernel: Node) -> list[Node]:
    """A kernel's nodes that do something, in order."""
    body = kernel.attrs["body"]
    assert isinstance(body, Graph)
    return [n for n in body.nodes() if n.op not in LEAVES and n.op != "broadcast"]


def _origin(kernel: Node) -> tuple[tuple[str, ...], str]:
    """The layers that a kernel's nodes came from, and the phases."""
    scopes = [n.scope for n in _members(kernel)]
    layers = dict.fromkeys(scope.layer for scope in scopes if scope.layer)
    phases = [p for p in PHASES if any(scope.phase == p for scope in scopes)]
    return tuple(layers), "+".join(phases)


def _work(kernel: Node, symbols: dict[str, int]) -> str:
    """Operations and shapes of a kernel: "matmul 128x784, 784x32 + 2"."""
    body, members = kernel.attrs["body"], _members(kernel)
    assert isinstance(body, Graph)

    def size(node: Node) -> str:
        return "x".join(str(evaluate(dim, symbols)) for dim in node.tensor.shape) or "scalar"

    for node in members:
        if node.op in CONTRACTIONS:
            rest = f" + {len(members) - 1}" if len(members) > 1 else ""
            return f"{node.op} {', '.join(map(size, body.operands(node)))}{rest}"
    largest = max(members, key=lambda n: evaluate(n.tensor.elements, symbols))
    names = list(dict.fromkeys(n.op for n in members))
    more = f" and {len(names) - _NAMED}" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more} {size(largest)}"
