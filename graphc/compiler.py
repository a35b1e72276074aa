"""The driver: from a traced program to native code, stage by stage, top to bottom.

    traced -> forward -> gradient -> update -> simplify -> recompute -> fuse -> schedule -> memory
    -> native

A program without training skips forward, gradient and update; only one that is to take less memory
has recompute, and only one to be tuned has `autotune` after memory.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from graphc.codegen import jit
from graphc.codegen.interface import Program
from graphc.codegen.program import sized
from graphc.codegen.target import Target, current
from graphc.ir.graph import Graph
from graphc.ir.types import BATCH, DTYPES, Size, evaluate
from graphc.passes import recompute
from graphc.passes.fuse import fuse
from graphc.passes.gradient import gradient
from graphc.passes.manager import PassManager, Record
from graphc.passes.memory import plan_memory
from graphc.passes.schedule import schedule

from . import config, stages
from .autotune import Choice, autotune
from .costs import kernels, step_flops
from .pace import Pace
from .trace import Tensor, Trace, Variable

# What a training program may keep in memory for its backward pass, the fastest first: everything;
# the least without doing products and loops again; what lies between segments (recompute.py).
PLANS = ("fast", *recompute.PLANS)

# Below this many operations a call, starting threads costs more than they save: about 50 us.
WORK_FOR_THREADS = 3_000_000


@dataclass
class Training:
    """What turns a forward program into a training program.

    Attributes:
        loss: the output to minimise, a scalar.
        variables: what to differentiate with respect to.
        update: adds the optimizer's step to the trace, given each variable's gradient.
    """

    loss: str
    variables: Sequence[Variable]
    update: Callable[[Sequence[Tensor]], None]


def build(
    trace: Trace,
    training: Training | None = None,
    check: bool = False,
    watch: Callable[[Record], object] | None = None,
    memory: str = "fast",
) -> PassManager:
    """Runs all passes on a trace; the manager's records hold the graph after each.

    Args:
        check: verifies the graph after each pass.
        watch: is called with each record as it is made.
        memory: one of PLANS.

    Raises:
        GraphError: when checking finds a broken graph.
    """
    manager = PassManager(check, watch)
    graph = trace.graph
    manager.keep("traced", graph, 0.0)
    if training is not None:
        graph = manager.simplify(graph, "forward", differentiated=False)
        graph = _train(manager, graph, trace, training)
    graph = manager.simplify(graph, "simplify", differentiated=True)
    if training is not None and memory in recompute.PLANS:
        graph = manager.run(graph, [("recompute", partial(recompute.recompute, plan=memory))])
    manager.run(graph, [("fuse", fuse), ("schedule", schedule), ("memory", plan_memory)])
    return manager


def _train(manager: PassManager, graph: Graph, trace: Trace, training: Training) -> Graph:
    names = [trace.names[v] for v in training.variables]
    graph = manager.run(graph, [("gradient", lambda g: gradient(g, training.loss, names))])
    gradients = [graph.outputs.pop(f"gradient/{name}") for name in names]
    # The optimizer's step goes into a copy, so that the gradient's record stays as it is.
    start = time.perf_counter()
    kept, new = graph.copy()
    trace.resume(kept)
    with trace, trace.scope("", "update"):
        training.update([Tensor(new[g]) for g in gradients])
    for name, node in zip(names, gradients, strict=True):
        graph.outputs[f"gradient/{name}"] = node
    manager.keep("update", kept, time.perf_counter() - start)
    return kept


@dataclass
class Executable:
    """A compiled program with its state.

    Attributes:
        graph: as planned: kernels with phases and places.
        code: the machine code.
        variables: state by input name.
        manager: the passes' records, with the graph after each.
        stages: each stage's text and time, in order.
        seconds: compilation time, passes and machine code together.
        batch_size: the only one that the program takes, if its stateful layers fix it.
        memory: the plan, one of PLANS.
        tuned: what autotuning found.
    """

    graph: Graph
    code: jit.NativeCode
    variables: dict[str, Variable]
    manager: PassManager
    stages: dict[str, stages.Stage]
    seconds: float
    batch_size: int | None = None
    memory: str = "fast"
    tuned: list[Choice] = field(default_factory=list)
    _arena: np.ndarray = field(default_factory=lambda: jit.aligned_bytes(0))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _work: dict[int, int] = field(default_factory=dict)
    rows_taken: int = 0  # the most rows of a step so far
    _paces: dict[tuple[int, int], Pace] = field(default_factory=dict)

    def __post_init__(self) -> None:
        arguments = self.code.program.arguments
        self._addresses = [
            self.variables[name].value.ctypes.data if name in self.variables else 0
            for name in arguments
        ]
        self._slots = {name: at for at, name in enumerate(arguments) if name not in self.variables}
        self._addresses.append(0)

    def output_types(self) -> dict[str, tuple[np.dtype, tuple[int | Size, ...]]]:
        """dtype and shape of each output that is not state."""
        return {
            name: (DTYPES[node.tensor.dtype], node.tensor.shape)
            for name, node in self.graph.outputs.items()
            if name not in self.variables
        }

    def work(self, batch: int) -> int:
        """About how many operations a step of this many rows takes."""
        if batch not in self._work:
            self._work[batch] = _count_operations(self.graph, {BATCH: batch})
        return self._work[batch]

    def most_threads(self, steps: int, batch: int) -> int:
        """All threads, or one for so little work that starting them would take longer."""
        return config.num_threads() if self.work(batch) * steps > WORK_FOR_THREADS else 1

    def planned_bytes(
        self, batch: int, symbols: Mapping[str, int] | None = None, threads: int = 0
    ) -> int:
        """The peak of what steps of this many rows take beside state and data: what is allocated.

        Args:
            symbols: values of other symbolic dimensions.
            threads: that run them, if more than `config` says.
        """
        return self.code.arena_bytes(max(threads, config.num_threads()), batch, symbols or {})

    def parts(self, steps: int, batch: int) -> Iterator[tuple[int, int, int]]:
        """Steps in parts, each timed while the caller runs it: (first step, steps, threads)."""
        most = self.most_threads(steps, batch)
        pace = self._pace(batch, most)
        if pace is None:
            yield 0, steps, most
            return
        done = 0
        while done < steps:
            threads, count = pace.part(steps - done)
            began = time.perf_counter()
            yield done, count, threads
            pace.note(count, time.perf_counter() - began)
            done += count

    def _pace(self, batch: int, most: int) -> Pace | None:
        """The choice of threads for this batch size, where there is one."""
        if most == 1 or config.threads_are_given():
            return None
        return self._paces.setdefault((batch, most), Pace(most))

    def run(
        self,
        addresses: Mapping[str, int],
        steps: int,
        rows: int,
        batch: int,
        symbols: Mapping[str, int] | None = None,
        threads: int | None = None,
    ) -> None:
        """Runs steps on consecutive batches.

        Args:
            addresses: of the first row of each input that is not state, and of each output.
            steps: how many.
            rows: how many rows there are; the last step may have less than a batch of them.
            batch: rows a step.
            symbols: values of other symbolic dimensions.
            threads: how many run them; by default `most_threads`.
        """
        symbols = symbols or {}
        threads = threads or self.most_threads(steps, batch)
        parameters = [threads, steps, rows, batch]
        parameters += [symbols[s] for s in self.code.program.symbols]
        with self._lock:
            self.rows_taken = max(self.rows_taken, batch)
            needed = self.planned_bytes(batch, symbols, threads)
            if self._arena.nbytes < needed:
                self._arena = jit.aligned_bytes(needed)
            filled = self._addresses
            for name, slot in self._slots.items():
                filled[slot] = addresses[name]
            filled[-1] = self._arena.ctypes.data
            self.code.run(filled, parameters)

    def bind(self, names: Sequence[str], rows: int) -> Callable[..., None]:
        """A step on this many rows with all prepared, for programs without other symbols.

        Returns:
            A function of the addresses of the arguments that have these names, all but the state.
        """
        most = self.most_threads(1, rows)
        pace = self._pace(rows, most)
        arena = jit.aligned_bytes(self.planned_bytes(rows, threads=most))
        addresses = [*self._addresses[:-1], arena.ctypes.data]
        calls = {
            threads: self.code.bind(addresses, [threads, 1, rows, rows])
            for threads in (pace.counts if pace else [most])
        }
        slots = [self._slots[name] for name in names]
        if pace is None:
            return partial(self._run_bound, arena, slots, *calls[most])
        return partial(self._run_paced, arena, slots, calls, pace)

    def _run_bound(
        self, _arena: np.ndarray, slots: Sequence[int], places: Any, call: Callable[[], None],
        *addresses: int,
    ) -> None:  # fmt: skip
        with self._lock:
            for slot, address in zip(slots, addresses, strict=True):
                places[slot] = address
            call()

    def _run_paced(
        self, arena: np.ndarray, slots: Sequence[int], calls: Mapping[int, tuple[Any, Any]],
        pace: Pace, *addresses: int,
    ) -> None:  # fmt: skip
        threads, _ = pace.part(1)
        began = time.perf_counter()
        self._run_bound(arena, slots, *calls[threads], *addresses)
        pace.note(1, time.perf_counter() - began)


def _count_operations(graph: Graph, symbols: dict[str, int]) -> int:
    """The contractions' operations, and one for each element of a kernel's result."""
    known = {**dict.fromkeys(graph.symbols(), 1), **symbols}
    total = step_flops(graph, known)
    for kernel, times in kernels(graph, known):
        body = kernel.attrs["body"]
        assert isinstance(body, Graph)
        elements = (evaluate(n.tensor.elements, known) for n in body.outputs.values())
        total += times * sum(elements)
    return total


def tuned(manager: PassManager, target: Target, rows: int) -> tuple[Graph, list[Choice]]:
    """The planned graph, tuned for steps of so many rows; as it is for 0."""
    graph = manager.records[-1].graph
    if not rows:
        return graph, []
    start = time.perf_counter()
    graph, choices = autotune(graph, target, rows)
    manager.keep("autotune", graph, time.perf_counter() - start)
    return graph, choices


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's search for unreachable cycles: a third of a compilation's time.

    What a compilation makes, it keeps, so that the search finds nothing, again and again.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def compile_trace(
    trace: Trace,
    training: Training | None = None,
    target: Target | None = None,
    check: bool = False,
    memory: str = "fast",
    *,
    tune_for: int = 0,
) -> Executable:
    """Compiles a trace for a target (by default the one that GRAPHC_TARGET or the CPU names).

    Args:
        tune_for: rows of a step that kernels are timed with; 0 for plans without timing.
    """
    start = time.perf_counter()
    dump = stages.Dump.wanted(trace.graph.name)
    with _collector_paused():
        manager = build(trace, training, check, dump.graph if dump else None, memory)
        target = target or current()
        graph, choices = tuned(manager, target, tune_for and (trace.batch_size or tune_for))
        if dump:
            dump.generated(graph, target)
        code = jit.load_graph(graph, target, config.num_threads())
    variables = {name: variable for variable, name in trace.names.items()}
    seconds = time.perf_counter() - start
    found = stages.of_program(manager.records, code)
    if dump:
        dump.compiled(found)
    return Executable(
        graph, code, variables, manager, found, seconds, trace.batch_size, memory, choices
    )


def plan(trace: Trace, training: Training, memory: str) -> Program:
    """A training program without code: what memory it needs is known."""
    with _collector_paused():
        return sized(build(trace, training, memory=memory).records[-1].graph, current())
