"""A compiled program's stages as text, and GRAPHC_DUMP, which writes all of them down."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from graphc.codegen import jit
from graphc.codegen.program import generate
from graphc.codegen.target import Target
from graphc.ir.graph import Graph
from graphc.ir.text import to_text
from graphc.passes.manager import Record

VARIABLE = "GRAPHC_DUMP"
NATIVE = {"llvm": ".ll", "llvm-opt": ".ll", "asm": ".s"}

_numbers = itertools.count()


@dataclass(frozen=True)
class Stage:
    """A program after one step of its compilation.

    Attributes:
        name: a pass's, or "llvm" (as generated), "llvm-opt" (after LLVM's passes), "asm".
        seconds: what the step took.
        text: makes the text, when it is wanted.
        graph: None for native stages.
    """

    name: str
    seconds: float
    text: Callable[[], str]
    graph: Graph | None = None


def of_program(records: Sequence[Record], code: jit.NativeCode) -> dict[str, Stage]:
    """The stages of a compiled program by name, in order."""
    stages = [Stage(r.name, r.seconds, partial(to_text, r.graph), r.graph) for r in records]
    target = code.target
    native: dict[str, Callable[[], str]] = {
        "llvm": lambda: str(code.generated.module),
        "llvm-opt": lambda: jit.optimised(code.generated, target),
        "asm": lambda: jit.assembly(code.generated, target),
    }
    stages += [Stage(name, code.seconds[name], text) for name, text in native.items()]
    return {stage.name: stage for stage in stages}


class Dump:
    """Writes each stage of a program as it comes, so that it is there when a later one fails.

    Args:
        program: its name.
        destination: a folder, in which each program gets a numbered folder of numbered files; or
            "-" for standard output.
    """

    def __init__(self, program: str, destination: str) -> None:
        self._name = f"{next(_numbers):03}-{program}"
        self._destination = destination
        self._written = 0

    @classmethod
    def wanted(cls, program: str) -> Dump | None:
        """One into the place that GRAPHC_DUMP names; None when it names none."""
        destination = os.environ.get(VARIABLE)
        return cls(program, destination) if destination else None

    def graph(self, record: Record) -> None:
        """Writes what a pass made."""
        self._write(record.name, to_text(record.graph))

    def generated(self, graph: Graph, target: Target) -> None:
        """Writes the module of a planned graph, before LLVM gets it."""
        self._write("llvm", str(generate(graph, target).module))

    def compiled(self, stages: Mapping[str, Stage]) -> None:
        """Writes what LLVM made."""
        for name in ("llvm-opt", "asm"):
            self._write(name, stages[name].text())

    def _write(self, stage: str, text: str) -> None:
        number, self._written = self._written, self._written + 1
        if self._destination == "-":
            print(f"// {self._name}: {stage}\n{text}", flush=True)
            return
        file = f"{number:02}-{stage}{NATIVE.get(stage, '.txt')}"
        path = Path(self._destination, self._name, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
