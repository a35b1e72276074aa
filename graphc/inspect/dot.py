"""Models as pictures by Graphviz: what `utils.plot_model` writes."""

from __future__ import annotations

import html
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphc.layers.symbolic import LayerCall
from graphc.tree import flatten

from .layer_graph import arguments, ordered_calls


@dataclass(frozen=True)
class Options:
    """What `utils.plot_model` says of each layer; see there."""

    show_shapes: bool = False
    show_dtype: bool = False
    show_layer_names: bool = False
    show_layer_activations: bool = False
    show_trainable: bool = False
    expand_nested: bool = False


def dot_text(model: Any, options: Options, rankdir: str, dpi: int, splines: str) -> str:
    """A model in Graphviz's language."""
    drawing = _Drawing(options)
    inside = drawing.model(model, "n")
    return "\n".join(
        [
            "digraph {",
            f'  graph [rankdir={rankdir}, dpi={dpi}, splines="{splines}", concentrate=true];',
            '  node [shape=plain, fontname="Helvetica"];',
            "  edge [penwidth=1.5];",
            *inside,
            *(f"  {source} -> {target};" for source, target in drawing.edges),
            "}",
            "",
        ]
    )


class _Drawing:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.edges: list[tuple[str, str]] = []

    def model(self, model: Any, prefix: str) -> list[str]:
        """The lines of a model's calls; their names begin with the prefix."""
        lines: list[str] = []
        calls = ordered_calls(model)
        name = {call: f"{prefix}_{at}" for at, call in enumerate(calls)}
        outlet: dict[LayerCall, list[str]] = {}  # the boxes that a call's results come from
        for call in calls:
            inlets = [name[call]]
            outlet[call] = [name[call]]
            nested: Any = call.layer
            if self.options.expand_nested and hasattr(nested, "inputs"):
                own = {c: f"{name[call]}_{at}" for at, c in enumerate(ordered_calls(nested))}
                lines += _cluster(name[call], nested.name, self.model(nested, name[call]))
                inlets = [own[tensor.call] for tensor in nested.inputs]
                outlet[call] = [own[tensor.call] for tensor in nested.outputs]
            else:
                lines.append(f"  {name[call]} [label=<{_table(call, self.options)}>];")
            for at, tensor in enumerate(arguments(call)):
                sources = outlet[tensor.call]
                source = sources[tensor.index if len(sources) > 1 else 0]
                self.edges.append((source, inlets[at if len(inlets) > 1 else 0]))
        return lines


def _cluster(name: str, label: str, lines: Sequence[str]) -> list[str]:
    head = f'  subgraph cluster_{name} {{ label="{label}"; labeljust=l; style=dashed;'
    return [head, *(f"  {line}" for line in lines), "  }"]


def _table(call: LayerCall, options: Options) -> str:
    """A call's box."""
    layer = call.layer
    kind = type(layer).__name__
    title = f"<b>{html.escape(layer.name)}</b> ({kind})" if options.show_layer_names else kind
    rows = [f'<td bgcolor="#1c2330"><font color="white">{title}</font></td>']
    activation = getattr(layer, "activation", None)
    if options.show_layer_activations and activation is not None:
        name = getattr(activation, "__name__", str(activation))
        rows.append(f"<td>Activation: <b>{html.escape(name)}</b></td>")
    tensors = flatten(call.outputs)
    if options.show_shapes:
        if read := arguments(call):
            rows.append(f"<td>Input: <b>{', '.join(str(t.shape) for t in read)}</b></td>")
        rows.append(f"<td>Output: <b>{', '.join(str(t.shape) for t in tensors)}</b></td>")
    if options.show_dtype:
        rows.append(f"<td>Dtype: <b>{', '.join(t.dtype for t in tensors)}</b></td>")
    if options.show_trainable and layer.weights:
        colour, text = ("#0b7f78", "Trainable") if layer.trainable else ("#b6560a", "Not trainable")
        rows.append(f'<td bgcolor="{colour}"><font color="white">{text}</font></td>')
    inside = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table border="0" cellborder="1" cellspacing="0" cellpadding="6">{inside}</table>'


def write(text: str, to_file: Path) -> None:
    """Writes a drawing; Graphviz makes what is not DOT.

    Raises:
        ImportError: when Graphviz is needed and not there.
    """
    kind = to_file.suffix.removeprefix(".") or "png"
    if kind in ("dot", "gv"):
        to_file.write_text(text, encoding="utf-8")
        return
    program = shutil.which("dot")
    if program is None:
        raise ImportError(
            f"plot_model: {to_file.name} needs Graphviz, and there is no program `dot`: install "
            "it (apt install graphviz, brew install graphviz), or write a .dot file"
        )
    command = [program, f"-T{kind}", "-o", str(to_file)]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"plot_model: Graphviz cannot write {to_file}: {done.stderr.strip()}")
