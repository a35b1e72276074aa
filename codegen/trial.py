"""A kernel by itself, natively, on one thread: how long its plans take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import CONTRACTIONS
from graphc.ir.place import Place
from graphc.ir.types import DTYPES, Size, TensorType, evaluate

from . import jit
from .program import BATCH, generate
from .target import Target

# Rounds in which plans take turns, and the seconds of a turn.
ROUNDS, TURN_SECONDS = 6, 0.002
# By how much another plan must be faster to be taken.
MARGIN = 1.05

# Runs a kernel so many times and gives the seconds that it took.
Timed = Callable[[int], float]


def alone(graph: Graph, kernel: Node, plan: str, symbols: Sequence[str]) -> Graph:
    """A planned program that is one kernel of another, again and again on the same memory.

    A loop's kernel packs its constants each time here; the loop does so once.

    Args:
        plan: for its contraction.
        symbols: the other program's.
    """
    result = Graph("trial")
    items = sorted(graph.users(kernel), key=lambda item: item.attrs["index"])
    memory: dict[str, Node] = {}

    def state(place: str, type_: TensorType) -> Node:
        if place not in memory:
            name = f"memory/{len(memory)}"
            attrs = {"role": "state", "place": str(Place(name))}
            memory[place] = result.add("input", (), attrs, type=type_, name=name)
        return memory[place]

    # What had one place has one again: the kernel writes where it reads, as an optimizer's step.
    operands = [state(o.attrs["place"], o.tensor) for o in graph.operands(kernel)]
    results = [state(i.attrs["place"], i.tensor) for i in items]
    state("sizes", TensorType("f32", tuple(Size((s,)) for s in symbols)))  # never read
    new = result.import_node(kernel, operands, body=with_plan(kernel, plan))
    for item, place in zip(items, results, strict=True):
        again = result.import_node(item, [new], place=place.attrs["place"])
        result.outputs[place.name] = again
    return result


def with_plan(kernel: Node, plan: str) -> Graph:
    """The body of a fused node, its contraction cut into blocks as the plan says."""
    body: Graph = kernel.attrs["body"]
    copy, new = body.copy()
    contraction = next(n for n in body.nodes() if n.op in CONTRACTIONS)
    new[contraction].attrs["plan"] = plan
    return copy


def timed(graph: Graph, target: Target, sizes: Mapping[str, int]) -> Timed:
    """A program made by `alone`, compiled, on random numbers."""
    code = jit.load(generate(graph, target), target)
    random = np.random.default_rng(0)
    batch, parameters = sizes[BATCH], [sizes[s] for s in code.program.symbols]
    arrays = []
    for name in code.program.arguments:
        values = [graph[name], graph.outputs.get(name, graph[name])]
        arrays.append(jit.aligned_bytes(max(_bytes(v.tensor, sizes) for v in values)))
        if graph[name].tensor.is_float:
            floats = arrays[-1].view(DTYPES[graph[name].tensor.dtype])
            floats[:] = random.random(len(floats), np.float32)
        else:
            arrays[-1][:] = 0  # an index that every table has
    arrays.append(jit.aligned_bytes(code.arena_bytes(1, batch, sizes)))

    def run(times: int) -> float:
        addresses = [array.ctypes.data for array in arrays]
        start = time.thread_time()  # other processes' turns on this core left out
        code.run(addresses, [1, times, times * batch, batch, *parameters])
        return time.thread_time() - start

    return run


def _bytes(type_: TensorType, sizes: Mapping[str, int]) -> int:
    return evaluate(type_.elements, dict(sizes)) * type_.itemsize


def fastest(runs: Sequence[Timed]) -> tuple[int, float]:
    """Which is fastest, and how many times as fast as the first: the first unless by `MARGIN`.

    The best of those that took turns must be faster by the margin once more, beside the first
    alone, as the least of many times is lucky now and then.
    """
    times = 1
    while (seconds := runs[0](times)) < TURN_SECONDS / 2:
        times = min(4 * times, int(times * TURN_SECONDS / max(seconds, 1e-7)) + 1)
    best = _least(runs, times)
    winner = best.index(min(best))
    if best[winner] * MARGIN > best[0]:
        return 0, 1.0
    first, second = _least([runs[0], runs[winner]], times)
    return (winner, first / second) if second * MARGIN <= first else (0, 1.0)


def _least(runs: Sequence[Timed], times: int) -> list[float]:
    """The shortest turn of each."""
    rounds = [[run(times) for run in runs] for _ in range(ROUNDS)]
    return [min(turns) for turns in zip(*rounds, strict=True)]
