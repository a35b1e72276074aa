"""Stages as text: whole, one layer's part of one, and what changed between two."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from graphc.compiler import Executable
from graphc.costs import kernels
from graphc.errors import unknown_name
from graphc.ir.graph import Graph, Node
from graphc.ir.text import node_text, to_text
from graphc.passes.legalize import FREE
from graphc.stages import Stage

from .difference import unified

_WORD = re.compile(r"[\w./-]+")
PHASES = ("forward", "backward", "update")
_FUNCTION = {
    "llvm": re.compile(r'^define [^@]*@"?([^"(]+)"?\(.*?^}$', re.DOTALL | re.MULTILINE),
    "asm": re.compile(
        r'^\t\.type\t"?([^",\n]+)"?,@function\n.*?^\t\.size\t[^\n]*$', re.DOTALL | re.MULTILINE
    ),
}


def stage_of(program: Executable, name: str) -> Stage:
    """A stage by name.

    Raises:
        ValueError: for an unknown one, with the nearest.
    """
    if name not in program.stages:
        raise unknown_name("stage", name, program.stages)
    return program.stages[name]


def stage_text(program: Executable, stage: str, only: str | None = None) -> str:
    """The text of a stage, or of one layer's part of it.

    Raises:
        ValueError: for an unknown stage or layer.
    """
    found = stage_of(program, stage)
    if only is None:
        return found.text()
    known = layers_of(program.stages["traced"].graph)
    if only not in known and not any(layer.startswith(f"{only}/") for layer in known):
        raise unknown_name("layer", only, known - {""})
    if found.graph is not None:
        return _graph_part(found.graph, only)
    parts = functions(stage, found.text())
    called = with_helpers(parts, program.code.generated.functions)
    wanted = {
        name
        for kernel, _ in kernels(program.graph, dict.fromkeys(program.graph.symbols(), 1))
        if any(_belongs(n, only) for n in kernel.attrs["body"].nx if n.op not in FREE)
        for name in called[kernel.name]
    }
    return "\n\n".join(text for name, text in parts.items() if name in wanted) + "\n"


def layers_of(graph: Graph | None) -> set[str]:
    """The layers that a graph's nodes come from, those of scans' bodies included."""
    found: set[str] = set()
    for node in graph.nx if graph is not None else ():
        found.add(node.scope.layer)
        if "body" in node.attrs:
            found |= layers_of(node.attrs["body"])
    return found


def functions(stage: str, text: str) -> dict[str, str]:
    """The functions of a native stage's text by name."""
    pattern = _FUNCTION["asm" if stage == "asm" else "llvm"]
    return {match[1]: match[0] for match in pattern.finditer(text)}


def with_helpers(parts: Mapping[str, str], own: Mapping[str, str]) -> dict[str, list[str]]:
    """For each kernel the functions that its work is done in: its own, then those it calls.

    Args:
        parts: the functions' texts, see `functions`.
        own: each kernel's function.
    """
    helpers = set(parts) - set(own.values())
    calls = {name: set(_WORD.findall(text)) & helpers - {name} for name, text in parts.items()}
    found: dict[str, list[str]] = {}
    for kernel, function in own.items():
        reached = [function]
        for name in reached:  # grows meanwhile
            reached += sorted(calls[name] - set(reached))
        found[kernel] = reached
    return found


def _belongs(node: Node, layer: str) -> bool:
    return node.scope.layer == layer or node.scope.layer.startswith(f"{layer}/")


def _graph_part(graph: Graph, layer: str) -> str:
    """A layer's nodes phase by phase; a kernel or loop is there if work in it is the layer's."""

    def wanted(node: Node) -> bool:
        body = node.attrs.get("body")
        return _belongs(node, layer) or (
            body is not None and any(wanted(n) for n in body.nx if n.op not in FREE)
        )

    chosen = [node for node in graph.nodes() if wanted(node)]
    lines = []
    for phase in PHASES:
        nodes = [node for node in chosen if node.scope.phase == phase]
        lines += [f"// {layer}, {phase}: {len(nodes)} nodes"]
        lines += [f"  {node_text(graph, node, '  ')}" for node in nodes]
    return "\n".join(lines) + "\n"


def diff(program: Executable, before: str, after: str, context: int = 3) -> str:
    """What changed between two stages, as a unified diff.

    Passes number nodes anew. So that only what changed shows, a node of the second graph that
    descends from one of the same op in the first is shown under the first one's name.

    Raises:
        ValueError: for an unknown stage.
    """
    first, second = stage_of(program, before), stage_of(program, after)
    if first.graph is not None and second.graph is not None:
        text = to_text(_named_alike(first.graph, second.graph))
    else:
        text = second.text()
    return unified(first.text().splitlines(), text.splitlines(), before, after, context)


def _named_alike(first: Graph, second: Graph) -> Graph:
    """A copy of the second graph, to be printed, with the first one's names."""
    names: dict[object, list[str]] = defaultdict(list)
    for node in first.nodes():
        names[_descent(node)].append(node.name)
    result, new = second.copy()
    known = {new[node]: node.name for node in second.nx if node.name in names[_descent(node)]}
    for node, name in known.items():
        names[_descent(node)].remove(name)
    for node in result.nodes():
        same = names[_descent(node)]
        if node in known or same:
            node.name = known.get(node) or same.pop(0)
        else:
            while node.name in first:
                node.name += "'"
    return result


def _descent(node: Node) -> object:
    return node.scope.origin, node.scope.phase, node.op
