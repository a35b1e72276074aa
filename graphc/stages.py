"""A compiled program's stages as text, and GRAPHC_DUMP, which writes all of them down."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from graphc.codegen import jit
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


def write(stages: Mapping[str, Stage], program: str, destination: str) -> None:
    """Writes all stages of a program that was just compiled.

    Args:
        program: its name.
        destination: a folder, in which each program gets a numbered folder of numbered files; or
            "-" for standard output.
    """
    name = f"{next(_numbers):03}-{program}"
    for number, stage in enumerate(stages.values()):
        if destination == "-":
            print(f"// {name}: {stage.name}\n{stage.text()}")
            continue
        path = Path(destination, name, f"{number:02}-{stage.name}{NATIVE.get(stage.name, '.txt')}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(stage.text(), encoding="utf-8")
