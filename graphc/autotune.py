"""Tuning: of each distinct contraction kernel, the plans that a model finds close are timed once.

The choice is written down in the graph, on the contraction: `plan`. Machine code, dumps and the key
of the code's cache follow from that. Choices are kept where machine code is, one small file for
each kernel, so that a CPU times a kernel once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from . import config
from .codegen import objects, trial
from .codegen.alternatives import alternatives
from .codegen.blocking import contraction_scratch, plan_contraction
from .codegen.kernels import signature
from .codegen.target import Target, cpu_model
from .codegen.values import Body
from .costs import kernel_flops, kernels
from .ir.graph import Graph, Node
from .ir.ops import CONTRACTIONS
from .ir.types import BATCH

# What timing a program's kernels may take, compiling the alternatives included: those with the most
# work come first, and those that have no turn left keep the plan that they have.
BUDGET_SECONDS = 5.0
# Kernels with less work, or with a smaller share of all contractions', do not matter.
LEAST_FLOPS, LEAST_SHARE = 200_000, 0.01
# What is not known when compiling: the length of sequences, and such.
NOMINAL = 32


@dataclass(frozen=True)
class Choice:
    """What was found for a kernel: the plan, and how many times as fast it is as the usual one."""

    kernel: str
    usual: str
    plan: str
    speedup: float


def autotune(graph: Graph, target: Target, rows: int) -> tuple[Graph, list[Choice]]:
    """A planned graph with the fastest plans found, and what they are where not the usual ones.

    Results keep their bits: codegen/alternatives.py says why.

    Args:
        rows: of a step.
    """
    deadline = time.perf_counter() + BUDGET_SECONDS
    sizes = {**dict.fromkeys(graph.symbols(), NOMINAL), BATCH: rows}
    calls = dict(kernels(graph, sizes))
    choices: dict[str, Choice] = {}

    def work(found: tuple[Graph, Node, bool]) -> int:
        return calls[found[1]] * kernel_flops(found[1], sizes)

    contractions = sorted(_contractions(graph), key=work, reverse=True)
    scratch = max((_scratch(kernel, target) for _, kernel, _ in contractions), default=0)
    least = max(LEAST_SHARE * sum(map(work, contractions)), LEAST_FLOPS)
    for around, kernel, in_loop in contractions:
        if work((around, kernel, in_loop)) < least:
            break
        key = signature(around, kernel)
        if key not in choices:
            choices[key] = _choose(around, kernel, in_loop, target, sizes, scratch, deadline)
    taken = {key: choice for key, choice in choices.items() if choice.plan != choice.usual}
    return _with_plans(graph, taken), list(taken.values())


def _contractions(graph: Graph, in_loop: bool = False) -> list[tuple[Graph, Node, bool]]:
    """Kernels with a contraction, the graph that each is in, and whether that is a loop's body."""
    found = []
    for node in graph.nodes():
        if node.op == "scan":
            found += _contractions(node.attrs["body"], True)
        elif node.op == "fused" and _body(node) is not None:
            found.append((graph, node, in_loop))
    return found


def _body(kernel: Node) -> tuple[Body, Node] | None:
    """A kernel's body and the contraction in it."""
    body = Body(kernel.attrs["body"], {}, {})
    return next(((body, n) for n in body.nodes if n.op in CONTRACTIONS), None)


def _scratch(kernel: Node, target: Target) -> int:
    """Bytes that a thread needs for a kernel with its usual plan."""
    found = _body(kernel)
    return contraction_scratch(plan_contraction(*found, target), target) if found else 0


def _choose(
    graph: Graph, kernel: Node, in_loop: bool, target: Target, sizes: Mapping[str, int],
    scratch: int, deadline: float,
) -> Choice:  # fmt: skip
    """What was found earlier, or by timing now; once the time is up, the usual plan."""
    found = _body(kernel)
    assert found is not None
    plans = [str(p) for p in alternatives(*found, target, sizes, in_loop, scratch)]
    known = json.dumps([signature(graph, kernel), sizes, plans, cpu_model()])
    key = objects.key_of_text(known, target)
    with suppress(TypeError, ValueError):  # which is not there, or not what was kept
        plan, speedup = json.loads(objects.fetch(key) or b"")
        if plan in plans:
            return Choice(kernel.name, plans[0], plan, float(speedup))
    if len(plans) == 1 or time.perf_counter() > deadline:
        return Choice(kernel.name, plans[0], plans[0], 1.0)
    programs = [trial.alone(graph, kernel, plan, sorted(sizes)) for plan in plans]
    best, speedup = trial.fastest(trial.timed(programs, target, sizes, config.num_threads()))
    objects.keep(key, json.dumps([plans[best], speedup]).encode())
    return Choice(kernel.name, plans[0], plans[best], speedup)


def _with_plans(graph: Graph, choices: Mapping[str, Choice]) -> Graph:
    """A copy of the graph whose contractions have the plans chosen for their kernels."""
    result, new = graph.copy()
    for node, copy in new.items():
        if node.op == "scan":
            copy.attrs["body"] = _with_plans(node.attrs["body"], choices)
        elif node.op == "fused" and (choice := choices.get(signature(graph, node))):
            copy.attrs["body"] = trial.with_plan(node, choice.plan)
    return result
