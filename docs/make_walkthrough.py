"""Writes docs/walkthrough.md: one small model, stage by stage, with what the compiler prints.

python docs/make_walkthrough.py
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from graphc.codegen import target

MODEL = """
from graphc import layers, models

model = models.Sequential(
    [
        layers.Input((4,)),
        layers.Dense(3, activation="relu", name="hidden"),
        layers.Dense(2, name="result"),
    ],
    name="small",
)
model.compile("sgd", "mse")
"""


HEAD = """# A model, stage by stage

Written by `python docs/make_walkthrough.py`: what is shown is what the compiler prints, for AVX2.
`model.explore("page.html")` has the same, and more, on one page to click through.
"""
TRACED = """## traced

The layers, the loss and its running mean as one graph: `model.dump("traced")`. Behind `@` stands
the layer that a node comes from. State goes in as inputs and comes out as results.
"""
GRADIENT = """## gradient

The pass `forward` has simplified the graph; `gradient` has added how the loss changes with each
weight. What it made for one layer: `model.dump("gradient", only="hidden")`.
"""
UPDATE = """## update

The optimizer's step is more of the same graph: weights minus learning rate times gradient.
`model.diff("gradient", "update")`:
"""
SIMPLIFY = """## simplify

Constants are folded, equal nodes shared, and what no result needs is gone.
`model.diff("update", "simplify")`:
"""
MEMORY = """## fuse, schedule, memory

Nodes have become kernels: product, bias and activation are one, and what is between them never
leaves the registers. `kept` says why a value is written to memory, `phase` when the kernel runs,
`place` where the value is: an argument, or an offset into one arena.
`model.dump("memory", only="hidden")`, its forward part:
"""
FUSED_UPDATE = """Its backward part. The update of a weight is in the kernel that makes the weight's
gradient, which is therefore never stored:
"""
LLVM = """## llvm

Each kernel is a function. `model.dump("llvm", "predict", only="hidden")`:
"""
ASM = """## asm

And its instructions, from the first fused multiply-add on:
`model.dump("asm", "predict", only="hidden")`:
"""


def block(text: str, language: str = "", most: int | None = None) -> str:
    """A text as a code block, its first lines if it has more than `most`; without places."""
    lines = [line.partition('  "model.py')[0] for line in text.rstrip().splitlines()]
    if most is not None and len(lines) > most:
        lines = [*lines[:most], "..."]
    return "\n".join([f"```{language}", *lines, "```", ""])


def page() -> str:
    """The whole page. The code is that for AVX2, so that it is the same on all x86-64 machines."""
    scope: dict[str, object] = {}
    exec(compile(MODEL, "model.py", "exec"), scope)
    with mock.patch.dict(os.environ, {target.VARIABLE: "avx2"}):
        model = SimpleNamespace(dump=scope["model"].dump, diff=scope["model"].diff)  # type: ignore[attr-defined]
        return "\n".join(parts(model))


def parts(model: SimpleNamespace) -> list[str]:
    """The page's paragraphs and blocks."""
    kernels = model.dump("memory", only="hidden")
    update = kernels.partition("// hidden, backward")[2].partition("\n")[2]
    assembly = model.dump("asm", "predict", only="hidden")
    product = assembly[assembly.index("vfmadd") :].replace("\t", "    ")
    return [
        HEAD,
        block(MODEL.strip(), "python"),
        TRACED,
        block(model.dump("traced")),
        GRADIENT,
        block(model.dump("gradient", only="hidden")),
        UPDATE,
        block(model.diff("gradient", "update"), "diff", 24),
        SIMPLIFY,
        block(model.diff("update", "simplify"), "diff", 40),
        MEMORY,
        block(kernels.partition("// hidden, backward")[0]),
        FUSED_UPDATE,
        block(update),
        LLVM,
        block(model.dump("llvm", "predict", only="hidden"), "llvm", 30),
        ASM,
        block(f"    {product}", "", 24),
    ]


if __name__ == "__main__":
    Path(__file__).with_name("walkthrough.md").write_text(page())
