"""The table that `model.summary()` prints."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from .errors import unknown_name
from .inspect.layer_graph import arguments, ordered_calls
from .layers.base import Layer
from .layers.symbolic import known_shape

if TYPE_CHECKING:
    from rich.table import Table


def _shape_text(layer: Layer) -> str:
    calls = layer._calls
    if not calls:
        shapes = [known_shape(type_, None) for type_ in layer.result_types]
        return str(shapes[0]) if len(shapes) == 1 else "multiple" if shapes else "?"
    outputs = calls[-1].outputs
    return str(outputs.shape) if hasattr(outputs, "shape") else "multiple"


def _size_text(count: int) -> str:
    size, unit = float(count * 4), "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count:,} ({size:.2f} {unit})"


@dataclass(frozen=True)
class Options:
    """What a summary's table has; see `models.Model.summary`."""

    positions: Sequence[float] | None = None
    expand_nested: bool = False
    show_trainable: bool = False
    layer_range: Sequence[str] | None = None


def print_summary(
    model: Any,
    line_length: int | None,
    print_fn: Callable[[str], object] | None,
    options: Options,
) -> None:
    """Prints layers with result shapes and parameter counts, and the totals, as Keras does."""
    from rich.console import Console  # noqa: PLC0415 (rich is loaded only where it shows something)

    text = StringIO()
    sources = list(_connections(model).values())
    read = [name for names in sources for name in names]
    branches = any(len(names) != 1 for names in sources) or len(read) != len(set(read))
    widest = 80 + 20 * branches + 12 * options.show_trainable
    width = line_length or min(widest, shutil.get_terminal_size().columns)
    console = Console(file=text, width=width, highlight=False)
    console.print(f'Model: "{model.name}"', style="bold", markup=False)
    console.print(_table(model, width, branches, options))
    console.print("\n".join(_totals(model)))
    (print_fn or print)(text.getvalue().rstrip())


def _table(model: Any, width: int, branches: bool, options: Options) -> Table:
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    heads = {"Layer (type)": "left", "Output Shape": "left", "Param #": "right"}
    heads |= {"Connected to": "left"} if branches else {}
    heads |= {"Trainable": "center"} if options.show_trainable else {}
    widths = _widths(options.positions, len(heads), width)
    table = Table(show_header=True, header_style="bold")
    for (head, justify), size in zip(heads.items(), widths, strict=True):
        table.add_column(head, justify=justify, width=size)  # type: ignore[arg-type]
    connections = _connections(model)
    for layer, depth in _rows(model, options):
        indent = "   " * depth + "└ " if depth else ""
        cells = [f"{indent}{layer.name} ({type(layer).__name__})", _shape_text(layer)]
        cells.append(f"{layer.count_params():,}")
        if branches:
            cells.append(", ".join(connections.get(layer, ())) or "-")
        if options.show_trainable:
            cells.append(("Y" if layer.trainable else "N") if layer.weights else "-")
        table.add_row(*map(escape, cells))
    return table


def _widths(positions: Sequence[float] | None, count: int, width: int) -> list[int | None]:
    """The columns' widths; None where rich finds them."""
    if positions is None:
        return [None] * count
    if len(positions) != count:
        raise ValueError(
            f"summary: positions: expected {count}, one for each column, got {len(positions)}"
        )
    ends = [p * width if p <= 1 else p for p in positions]
    # Two blanks and a line belong to each column.
    sizes = [int(end - start) - 3 for start, end in zip([0, *ends], ends, strict=False)]
    if min(sizes) < 1:
        raise ValueError(f"summary: positions {list(positions)} leave a column no room")
    return list(sizes)


def _rows(model: Any, options: Options) -> Iterator[tuple[Layer, int]]:
    """Each layer to be shown, and how deeply it is nested."""
    layers = model.layers
    if options.layer_range is not None:
        first, last = _bounds([layer.name for layer in layers], options.layer_range)
        layers = layers[first : last + 1]
    for layer in layers:
        yield layer, 0
        if options.expand_nested and hasattr(layer, "layers"):
            inner = Options(expand_nested=True)
            yield from ((nested, depth + 1) for nested, depth in _rows(layer, inner))


def _bounds(names: list[str], layer_range: Sequence[str]) -> tuple[int, int]:
    """The first layer that matches the first pattern, the last one that matches the second."""
    if len(layer_range) != 2 or not all(isinstance(part, str) for part in layer_range):
        raise ValueError(f"summary: layer_range: expected two names, got {layer_range!r}")
    found = []
    for pattern in layer_range:
        matches = [at for at, name in enumerate(names) if re.match(pattern, name)]
        if not matches:
            raise unknown_name("layer", pattern, names)
        found.append(matches)
    first, last = sorted((found[0][0], found[1][-1]))
    return first, last


def _connections(model: Any) -> dict[Layer, list[str]]:
    """For each layer that reads others, their names, as often as it is called."""
    found: dict[Layer, list[str]] = {}
    for call in ordered_calls(model) if model.built else ():
        if reads := arguments(call):
            found.setdefault(call.layer, []).extend(t.call.layer.name for t in reads)
    return found


def _totals(model: Any) -> list[str]:
    total = model.count_params()
    trainable = sum(w.value.size for w in model.trainable_weights)
    lines = [
        f" Total params: {_size_text(total)}",
        f" Trainable params: {_size_text(trainable)}",
        f" Non-trainable params: {_size_text(total - trainable)}",
    ]
    task = model._task
    if task is not None and task.optimizer.built:
        slots = sum(v.value.size for v in task.optimizer.variables)
        lines[0] = f" Total params: {_size_text(total + slots)}"
        lines.append(f" Optimizer params: {_size_text(slots)}")
    return lines
