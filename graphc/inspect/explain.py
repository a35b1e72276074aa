"""`model.explain()`: one screen that says what the compiler did and why."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from graphc.compiler import Executable
from graphc.config import num_threads
from graphc.costs import scaled
from graphc.ir.graph import Node
from graphc.ir.place import strip_of
from graphc.stages import NATIVE

from . import report
from .programs import programs_of

KERNELS, VALUES = 8, 10  # lines of each table


def explain(model: Any) -> str:
    """The text; see `Inspected.explain`."""
    programs = programs_of(model, "explain")
    lines = []
    for kind, program in programs.items():
        lines += [f"{model.name}, {kind}: {_headline(program)}", ""]
        for part in (_times, _kernels, _strips, _tuned, _kept, _memory, _recomputed):
            found = part(program)
            lines += [*(f"  {line}" for line in found), *[""] * bool(found)]
    return "\n".join(lines).rstrip() + "\n"


def _headline(program: Executable) -> str:
    found = report.kernel_list(program)
    target = program.code.target
    phases = len({node.attrs["phase"] for node in program.graph.nx if "phase" in node.attrs})
    nodes = [len(stage.graph) for stage in program.stages.values() if stage.graph is not None]
    return (
        f"{max(nodes)} nodes in {len(found)} kernels and {phases} phases, "
        f"{len(set(program.code.generated.functions.values()))} functions; "
        f"for {target.name}, tiles of {target.tile_rows} x {target.tile_vectors * target.lanes}"
    )


def _times(program: Executable) -> list[str]:
    stages = list(program.stages.values())
    lines = [f"compiled in {1000 * program.seconds:.0f} ms"]
    for part in (
        [s for s in stages if s.name not in NATIVE],
        [s for s in stages if s.name in NATIVE],
    ):
        lines.append("  " + ", ".join(f"{s.name} {1000 * s.seconds:.1f}" for s in part))
    return lines


def _kernels(program: Executable) -> list[str]:
    """The kernels with the most operations."""
    found = report.kernel_list(program)
    total = sum(kernel.operations for kernel in found) or 1
    largest = sorted(found, key=lambda kernel: -kernel.operations)[:KERNELS]
    lines = [f"kernels with the most work ({total:,} operations in a step of {report.ROWS} rows)"]
    for kernel in largest:
        share = f"{100 * kernel.operations / total:.0f}%"
        layers = ", ".join(kernel.layers[:3]) + (" ..." if len(kernel.layers) > 3 else "")
        ops = " ".join(kernel.ops[:7]) + (" ..." if len(kernel.ops) > 7 else "")
        lines.append(f"  {share:>4} {kernel.name:16} {layers}: {ops}")
    if len(found) > len(largest):
        lines.append(f"       and {len(found) - len(largest)} more")
    return lines


def _strips(program: Executable) -> list[str]:
    """Which kernels take a few rows through all of them before the next rows."""
    strips: dict[int, list[Node]] = defaultdict(list)
    for node in program.graph.nodes():
        if number := strip_of(node):
            strips[number].append(node)
    lines = []
    for kernels in strips.values():
        names = [*dict.fromkeys(node.scope.layer for node in kernels if node.scope.layer)]
        rows = kernels[0].attrs["strip_rows"]
        lines.append(
            f"  {len(kernels)} kernels, {rows} row{'s' * (rows != 1)} at a time: "
            f"{', '.join(names[:5])}{' ...' * (len(names) > 5)}"
        )
    head = "strips: a few rows of the batch go through all of these before the next ones"
    return [head, *lines] if lines else []


def _tuned(program: Executable) -> list[str]:
    """What autotuning changed."""
    lines = [
        f"  {choice.kernel:16} {choice.plan} rather than {choice.usual}: "
        f"{choice.speedup:.2f} times as fast"
        for choice in program.tuned
    ]
    return ["kernels cut into other blocks, as timing showed", *lines] if lines else []


def _kept(program: Executable) -> list[str]:
    """The largest values that were not fused away, and why."""
    known = report.sizes(program.graph)
    values = [b for b in report.buffers(program.graph, known) if b.offset is not None]
    values.sort(key=lambda b: (-b.size, b.name))
    lines = [f"values in memory, not fused with their readers: {len(values)}"]
    shown = values[:VALUES]
    types, layers = (max((len(t) for t in texts), default=0) for texts in
                     ([b.type for b in shown], [b.layer for b in shown]))  # fmt: skip
    lines += [f"  {b.type:{types}}  {b.layer or '-':{layers}}  {b.why}" for b in shown]
    if len(values) > VALUES:
        lines.append(f"  and {len(values) - VALUES} smaller ones")
    return lines


def _memory(program: Executable) -> list[str]:
    found = report.memory(program.graph, report.sizes(program.graph))
    saved = found.apart - found.arena
    return [
        f"memory in a step of {report.ROWS} rows, plan {program.memory!r}",
        *_peaks(program),
        f"  {_bytes(found.arena)} in the arena; {_bytes(found.apart)} with a place for each value: "
        f"the plan saves {100 * saved / found.apart if found.apart else 0:.0f}%",
        f"  {_bytes(found.registers)} of values are never written: they stay in registers",
    ]


def _peaks(program: Executable) -> list[str]:
    """What is allocated for steps of the rows that reports reckon with, and of those that ran."""
    lines = []
    known = report.sizes(program.graph)
    for rows in dict.fromkeys([report.ROWS, program.rows_taken or report.ROWS]):
        peak = program.planned_bytes(rows, known)
        lines.append(
            f"  planned peak with {rows} rows: {peak:,} bytes ({_bytes(peak)}), "
            f"{_bytes(program.code.program.scratch)} of it for each of {num_threads()} threads"
        )
    return lines


def _bytes(count: int) -> str:
    size, unit = scaled(count, 1024, ("B", "KiB", "MiB", "GiB"))
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _recomputed(program: Executable) -> list[str]:
    found = report.recomputed(program.graph)
    lines = [f"made again rather than read: {len(found) or 'nothing'}"]
    for node, names in found[:5]:
        layer = f" of {node.scope.layer}" if node.scope.layer else ""
        lines.append(f"  {node.op}{layer} {node.type}: in {', '.join(names[:4])}")
    return lines
