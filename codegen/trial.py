"""A kernel by itself, natively, on one thread: how long its plans take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from graphc.ir.graph import Graph, Node
from graphc.ir.ops import CONTRACTIONS
from graphc.ir.place import Place, round_up
from graphc.ir.types import BATCH, DTYPES, Size, TensorType, evaluate

from . import jit
from .program import generate
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


def timed(
    graphs: Sequence[Graph], target: Target, sizes: Mapping[str, int], threads: int
) -> list[Timed]:
    """Programs made by `alone` of one kernel, compiled on so many threads, on the same memory.

    Where memory is matters as much as a plan, so that each in its own could not be compared.
    """
    first, *others = graphs
    codes = [_compiled(first, target)]
    with ThreadPoolExecutor(threads) as pool:
        codes += pool.map(partial(_compiled, target=target), others)
    memory = _memory(first, sizes)
    scratch = max(code.arena_bytes(1, sizes[BATCH], sizes) for code in codes)
    memory.append(jit.aligned_bytes(scratch))
    return [partial(_run, code, memory, sizes) for code in codes]


def _compiled(graph: Graph, target: Target) -> jit.NativeCode:
    return jit.load(generate(graph, target), target)


def _memory(graph: Graph, sizes: Mapping[str, int]) -> list[np.ndarray]:
    """Random numbers for each argument of a program, one array behind the other."""
    random = np.random.default_rng(0)
    places = [(n, graph.outputs.get(n.name, n)) for n in graph.inputs()]
    bytes_ = [
        round_up(max(evaluate(n.tensor.elements, dict(sizes)) * n.tensor.itemsize for n in place))
        for place in places
    ]
    block, result, start = jit.aligned_bytes(sum(bytes_)), [], 0
    for (node, _), size in zip(places, bytes_, strict=True):
        array = block[start : start + size].view(DTYPES[node.tensor.dtype])
        # An index is 0, which every table has.
        array[:] = random.random(len(array), np.float32) if node.tensor.is_float else 0
        result.append(array)
        start += size
    return result


def _run(
    code: jit.NativeCode, memory: Sequence[np.ndarray], sizes: Mapping[str, int], times: int
) -> float:
    batch = sizes[BATCH]
    symbols = [sizes[s] for s in code.program.symbols]
    addresses = [array.ctypes.data for array in memory]
    start = time.thread_time()  # other processes' turns on this core left out
    code.run(addresses, [1, times, times * batch, batch, *symbols])
    return time.thread_time() - start


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
