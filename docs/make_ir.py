"""Writes docs/ir.md: the text form of graphs, the ops and the passes.

python docs/make_ir.py
"""

from __future__ import annotations

from pathlib import Path

from graphc.inspect.graphs import PASSES
from graphc.ir.ops import ANNOTATIONS, OPS, OpDef
from graphc.ir.types import DTYPES

HEAD = """# Graphs in text form

Written by `python docs/make_ir.py` from the code.

A graph is a pure program over tensors. Its text form is complete: it parses back to an equal graph,
and `graphc check`, `graphc opt` and `graphc run` take it at any stage up to `memory`.

```
graph g {
  %x = input() {role="data"} : f32[batch, 4]
  %w = input() {role="state"} : f32[4, 3]
  %z = matmul(%x, %w) {transpose_a=false, transpose_b=false} : f32[batch, 3]  @dense:forward
  %y = exp(%z) : f32[batch, 3]  @activation:forward  "model.py:12"
  return y=%y
}
```

```
graphc check g.txt                                    # structure and types
graphc opt g.txt --passes simplify,fuse               # the graph after these passes
graphc run g.txt --feed x.npy --feed w=weights.npy    # the interpreter; --compiled: native code
```

- A line is a node: `%name = op(operands) {attributes} : type`, operands before users.
- Behind `@` stand the layer that the node comes from and the phase (forward, backward or update);
  behind that, in quotes, the line of the user's that called the layer. Both may be left out.
- `return` names the results. A result with a state input's name is its new value.
- A type is an element type and a shape. A dimension is an int, or an int times symbols, whose
  values are known when the program runs: `f32[64*batch, 3]`. A node with several results has a
  type in parentheses for each; `item` takes one.
- Names that are not plain words are quoted: `%"my layer/kernel"`. `//` starts a comment.
- A body (of `scan` and `fused`) is an attribute, a graph in braces of its own.
"""


def signature(op: OpDef) -> str:
    """operands {attribute: kind}."""
    attributes = ", ".join(f"{name}: {kind}" for name, kind in op.attributes.items())
    return f"{op.name}({', '.join(op.operands)})" + (f" {{{attributes}}}" if attributes else "")


def facts(op: OpDef) -> str:
    """What passes know of an op."""
    found = ["elementwise"] * op.elementwise + ["commutative"] * op.commutative
    return ", ".join([*found, *([f"unit {op.unit:g}"] if op.unit is not None else [])])


def page() -> str:
    """The whole page."""
    parts = [HEAD, f"Element types: {', '.join(f'`{d}`' for d in DTYPES)}.\n"]
    parts.append(f"## {len(OPS)} ops\n\n| op | meaning | facts |\n|---|---|---|")
    for op in OPS.values():
        doc = op.doc.replace("|", "\\|").replace("*", "\\*")
        parts.append(f"| `{signature(op)}` | {doc} | {facts(op)} |")
    annotations = ", ".join(f"`{name}: {kind}`" for name, kind in ANNOTATIONS.items())
    parts.append(f"\nPasses add to any node: {annotations}.\n")
    parts.append("## Passes\n\n| pass | what it does |\n|---|---|")
    parts += [f"| `{name}` | {doc} |" for name, doc in PASSES.items()]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("ir.md").write_text(page())
