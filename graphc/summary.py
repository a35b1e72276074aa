"""The table that `model.summary()` prints."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from io import StringIO
from typing import Any

from .layers.base import Layer


def _shape_text(layer: Layer) -> str:
    calls = layer._calls
    if not calls:
        return "?"
    outputs = calls[-1].outputs
    return str(outputs.shape) if hasattr(outputs, "shape") else "multiple"


def _size_text(count: int) -> str:
    size, unit = float(count * 4), "B"
    for larger in ("KB", "MB", "GB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count:,} ({size:.2f} {unit})"


def print_summary(
    model: Any, line_length: int | None, print_fn: Callable[[str], object] | None
) -> None:
    """Prints layers with result shapes and parameter counts, and the totals, as Keras does."""
    from rich.console import Console  # noqa: PLC0415 (rich is loaded only where it shows something)
    from rich.table import Table  # noqa: PLC0415

    table = Table(show_header=True, header_style="bold")
    table.add_column("Layer (type)")
    table.add_column("Output Shape")
    table.add_column("Param #", justify="right")
    linear = model.layers
    for layer in linear:
        kind = type(layer).__name__
        table.add_row(f"{layer.name} ({kind})", _shape_text(layer), f"{layer.count_params():,}")
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
    text = StringIO()
    width = line_length or min(80, shutil.get_terminal_size().columns)
    console = Console(file=text, width=width, highlight=False)
    console.print(f'Model: "{model.name}"', style="bold")
    console.print(table)
    console.print("\n".join(lines))
    (print_fn or print)(text.getvalue().rstrip())
