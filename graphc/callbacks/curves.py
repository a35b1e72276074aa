"""The curves of training, drawn by matplotlib (the extra `plot`), which is imported here only."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from graphc.errors import unknown_name


class Curves(Figure):
    """A figure that shows itself in notebooks, which do not know figures before pyplot is used."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        self.savefig(stream, format="png", dpi=96)
        return stream.getvalue()


def curves(history: Mapping[str, list[Any]], names: Sequence[str] | None, owner: str) -> Curves:
    """A plot for each name, with its `val_` curve; see `History.plot`.

    Args:
        owner: who draws, for messages.
    """
    own = [name for name in history if not name.startswith("val_")]
    chosen = list(own if names is None else names)
    for name in chosen:
        if name not in history:
            raise unknown_name("curve", name, history)
    if not chosen:
        raise ValueError(f"{owner}: nothing to draw before the first epoch")
    figure = Curves(figsize=(4.5 * len(chosen), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(chosen), squeeze=False)[0], chosen, strict=True):
        for curve in (name, f"val_{name}"):
            if curve in history:
                values = history[curve]
                epochs = range(1, len(values) + 1)
                axes.plot(epochs, values, label=curve, marker="." if len(values) < 30 else "")
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
