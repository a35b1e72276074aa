"""The table that `model.summary()` prints."""

from __future__ import annotations

import math
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

from .costs import layer_flops, scaled
from .errors import unknown_name
from .inspect.layer_graph import arguments, ordered_calls
from .inspect.programs import example
from .ir.types import BATCH, DTYPES, short_dtype
from .layers.base import Layer
from .layers.symbolic import known_shape
from .tree import flatten

if TYPE_CHECKING:
    from rich.table import Table


def _results(layer: Layer) -> list[tuple[tuple[int | None, ...], str]]:
    """(shape, dtype) of each result of the last call."""
    if layer._calls:
        return [(t.shape, t.dtype) for t in flatten(layer._calls[-1].outputs)]
    return [(known_shape(type_, None), type_.dtype) for type_ in layer.result_types]


def _shape_text(layer: Layer) -> str:
    shapes = [shape for shape, _ in _results(layer)]
    return str(shapes[0]) if len(shapes) == 1 else "multiple" if shapes else "?"


def _bytes_text(count: int) -> str:
    size, unit = scaled(count, 1024, ("B", "KB", "MB", "GB"))
    return f"{size:.2f} {unit}"


def _size_text(count: int) -> str:
    return f"{count:,} ({_bytes_text(count * 4)})"


@dataclass(frozen=True)
class Options:
    """What a summary's table has; see `models.Model.summary`."""

    positions: Sequence[float] | None = None
    expand_nested: bool = False
    show_trainable: bool = False
    layer_range: Sequence[str] | None = None
    show_memory: bool = False
    show_flops: bool = False


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
    more = options.show_trainable + 2 * options.show_memory + options.show_flops
    widest = 80 + 20 * branches + 12 * more
    width = line_length or min(widest, shutil.get_terminal_size().columns)
    console = Console(file=text, width=width, highlight=False)
    console.print(f'Model: "{model.name}"', style="bold", markup=False)
    flops = _flops(model) if options.show_flops else Counter()
    console.print(_table(model, width, branches, options, flops))
    console.print("\n".join(_totals(model, flops)))
    (print_fn or print)(text.getvalue().rstrip())


def _table(
    model: Any, width: int, branches: bool, options: Options, flops: Mapping[str, int]
) -> Table:
    from rich.markup import escape  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    heads = {"Layer (type)": "left", "Output Shape": "left", "Param #": "right"}
    heads |= {"Connected to": "left"} if branches else {}
    heads |= {"Trainable": "center"} if options.show_trainable else {}
    heads |= {"Weights": "right", "Result / row": "right"} if options.show_memory else {}
    heads |= {"FLOP / row": "right"} if options.show_flops else {}
    widths = _widths(options.positions, len(heads), width)
    table = Table(show_header=True, header_style="bold")
    for (head, justify), size in zip(heads.items(), widths, strict=True):
        table.add_column(head, justify=justify, width=size)  # type: ignore[arg-type]
    connections = _connections(model)
    for layer, path in _rows(model, options):
        depth = path.count("/")
        indent = "   " * depth + "└ " if depth else ""
        cells = [f"{indent}{layer.name} ({type(layer).__name__})", _shape_text(layer)]
        cells.append(f"{layer.count_params():,}")
        if branches:
            cells.append(", ".join(connections.get(layer, ())) or "-")
        if options.show_trainable:
            cells.append(("Y" if layer.trainable else "N") if layer.weights else "-")
        if options.show_memory:
            weights = sum(w.value.nbytes for w in layer.weights)
            cells += [_bytes_text(weights), _bytes_text(_result_bytes(layer))]
        if options.show_flops:
            cells.append(_flops_text(sum(n for at, n in flops.items() if _within(at, path))))
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


def _rows(model: Any, options: Options, path: str = "") -> Iterator[tuple[Layer, str]]:
    """Each layer to be shown, and its path, "outer/inner" of one in a nested model."""
    layers = model.layers
    if options.layer_range is not None:
        first, last = _bounds([layer.name for layer in layers], options.layer_range)
        layers = layers[first : last + 1]
    for layer in layers:
        yield layer, f"{path}{layer.name}"
        if options.expand_nested and hasattr(layer, "layers"):
            inner = Options(expand_nested=True)
            yield from _rows(layer, inner, f"{path}{layer.name}/")


def _within(place: str, path: str) -> bool:
    return place == path or place.startswith(f"{path}/")


def _result_bytes(layer: Layer) -> int:
    """What a call returns for one row, of one step where their number is open."""
    return sum(
        math.prod(size or 1 for size in shape[1:]) * DTYPES[short_dtype(dtype)].itemsize
        for shape, dtype in _results(layer)
    )


def _flops(model: Any) -> Counter[str]:
    """Floating-point operations of a row of prediction, by the layers' paths."""
    if not model.built:
        raise ValueError(f"summary: model {model.name!r} needs an input_shape or data first")
    types = example(model, "predict", "summary").types("batch")
    (trace,) = model.traced("predict", types, ())
    rows = trace.batch_size or 1
    symbols = {**dict.fromkeys(trace.graph.symbols(), 1), BATCH: rows}
    own = f"{model.name}/"
    counted = layer_flops(trace.graph, symbols).items()
    return Counter({place.removeprefix(own): count // rows for place, count in counted})


def _flops_text(count: int) -> str:
    size, unit = scaled(count, 1000, ("", "k", "M", "G", "T"))
    return f"{size:.2f} {unit}" if unit else f"{count}"


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


def _totals(model: Any, flops: Mapping[str, int]) -> list[str]:
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
    if flops:
        lines.append(f" FLOP / row: {_flops_text(sum(flops.values()))}")
    return lines
