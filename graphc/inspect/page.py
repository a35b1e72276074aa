"""The page: one HTML file with every stage of a model's programs, tied together."""

from __future__ import annotations

import base64
import html
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from graphc.compiler import Executable
from graphc.ir.graph import Graph, Node
from graphc.ir.text import to_text
from graphc.stages import Stage

from . import report
from .layer_graph import layer_calls
from .programs import programs_of
from .text import PHASES, diff, functions, with_helpers

SCRIPTS = ("dagre.min.js", "data.js", "columns.js", "layers.js", "panels.js", "app.js")


def page(model: Any, profile: Mapping[str, Any] | None = None) -> str:
    """The HTML; see `Inspected.explore`."""
    content = {
        "model": {"name": model.name, "parameters": model.count_params()},
        "calls": [asdict(call) for call in layer_calls(model)],
        "programs": [
            _program(kind, program, profile)
            for kind, program in programs_of(model, "explore").items()
        ],
    }
    packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)
    folder = files(__package__) / "page"
    scripts = "\n".join(
        f"<script>\n{(folder / name).read_text('utf-8')}</script>" for name in SCRIPTS
    )
    text = (folder / "page.html").read_text("utf-8")
    for mark, value in (
        ("{title}", html.escape(model.name)),
        ("{style}", (folder / "page.css").read_text("utf-8")),
        ("{data}", base64.b64encode(packed).decode()),
        ("{scripts}", scripts),
    ):
        text = text.replace(mark, value, 1)
    return text


def _program(kind: str, program: Executable, profile: Mapping[str, Any] | None) -> dict[str, Any]:
    """A program as the page's scripts read it."""
    kernels = report.kernel_list(program)
    known = report.sizes(program.graph)
    number = {kernel.name: at for at, kernel in enumerate(kernels)}
    own = program.code.generated.functions
    parts = functions("llvm", program.stages["llvm"].text())
    called = with_helpers(parts, own)
    names = {name: at for at, name in enumerate(parts)}
    rules = {
        record.name: dict(Counter(rewrite.rule for rewrite in record.rewrites).most_common())
        for record in program.manager.records
    }
    layers: dict[str, int] = {}
    stages = []
    before: Stage | None = None
    for stage in program.stages.values():
        lines = (
            _graph_lines(stage.graph, number)
            if stage.graph is not None
            else _native_lines(stage, names)
        )
        stages.append(
            {
                "name": stage.name,
                "seconds": stage.seconds,
                "rules": rules.get(stage.name, {}),
                "nodes": None if stage.graph is None else _count(stage.graph),
                "diff": "" if before is None or stage.graph is None
                else diff(program, before.name, stage.name, context=2),
                **_packed(lines, layers),
            }
        )  # fmt: skip
        before = stage
    return {
        "kind": kind,
        "target": program.code.target.name,
        "seconds": program.seconds,
        "rows": report.ROWS,
        "layers": list(layers),
        "stages": stages,
        "kernels": [
            {**asdict(k), "functions": [names[f] for f in called[k.name]]} for k in kernels
        ],
        "buffers": [asdict(b) for b in report.buffers(program.graph, known)],
        "memory": asdict(report.memory(program.graph, known)),
        **({} if profile is None or kind != "train" else {"profile": dict(profile)}),
    }


def _count(graph: Graph) -> int:
    """Nodes, those of bodies included."""
    return sum(1 + (_count(n.attrs["body"]) if "body" in n.attrs else 0) for n in graph.nx)


# A line, the node it tells of, and the number of its kernel; in native code, of its function.
Line = tuple[str, Node | None, int]


def _graph_lines(graph: Graph, kernels: Mapping[str, int]) -> list[Line]:
    head: list[tuple[Node | None, int]] = [(None, -1)]
    owners = [owner for node in graph.nodes() for owner in _owners(graph, node, kernels, -1)]
    tail = [*head, *head]  # the return and the closing brace
    lines = to_text(graph).splitlines()
    return [(line, *owner) for line, owner in zip(lines, head + owners + tail, strict=True)]


def _owners(
    graph: Graph, node: Node, kernels: Mapping[str, int], kernel: int
) -> Iterator[tuple[Node, int]]:
    """The node and the kernel that each line of a node's text tells of."""
    kernel = kernels.get(node.name, kernel) if node.op == "fused" else kernel
    if node.op == "item":
        (source,) = graph.operands(node)
        kernel = kernels.get(source.name, kernel)
    yield node, kernel
    if "body" in node.attrs:
        body: Graph = node.attrs["body"]
        for inner in body.nodes():
            yield from _owners(body, inner, kernels, kernel)
        yield node, kernel  # the return
        yield node, kernel  # the closing brace


def _native_lines(stage: Stage, names: Mapping[str, int]) -> list[Line]:
    text = stage.text()
    lines: list[Line] = [(line.replace("\t", "    "), None, -1) for line in text.splitlines()]
    start = 0
    for name, part in functions(stage.name, text).items():
        start = text.index(part, start)
        at = text.count("\n", 0, start)
        for line in range(at, at + part.count("\n") + 1):
            lines[line] = (lines[line][0], None, names.get(name, -1))
    return lines


def _packed(lines: list[Line], layers: dict[str, int]) -> dict[str, Any]:
    """Lines column by column, for the compression's sake."""
    nodes = [node for _, node, _ in lines]
    return {
        "text": "\n".join(text for text, *_ in lines),
        "layer": [
            -1 if n is None or not n.scope.layer else layers.setdefault(n.scope.layer, len(layers))
            for n in nodes
        ],
        "phase": [-1 if n is None else PHASES.index(n.scope.phase) for n in nodes],
        "origin": [0 if n is None else n.scope.origin for n in nodes],
        "kernel": [kernel for *_, kernel in lines],
    }
