"""Curves that are drawn while training goes on."""

from __future__ import annotations

import importlib
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphc.utils.atomic import replacing

from .callback import Callback, Logs
from .records import drawing


class LivePlot(Callback):
    """Draws the curves of training while it goes on, in a notebook or into a file (not in Keras).

    They are drawn by matplotlib (the extra `plot`) after epochs, and once more when training ends.
    With one LivePlot they go on over several runs.

    Args:
        names: what to draw, each in a plot of its own together with its `val_` curve; all of it by
            default.
        filename: path of a file that is replaced each time, whose suffix chooses the format: .png,
            .svg, .pdf; None (default) to show the plots in the notebook.
        seconds: the least time between two drawings; 1 by default.

    Raises:
        ImportError: when training begins and matplotlib is not installed.
        ValueError: when training begins outside of a notebook without a filename; after the first
            epoch for a name that it does not report.
    """

    def __init__(
        self,
        names: Sequence[str] | None = None,
        filename: str | os.PathLike[str] | None = None,
        seconds: float = 1.0,
    ) -> None:
        super().__init__()
        self.names = names
        self.filename = filename
        self.seconds = seconds
        self.history: dict[str, list[Any]] = {}
        self._drawn = -math.inf  # when, by a clock that only goes forward
        self._behind = False  # whether there was an epoch since
        self._display: Any = None  # IPython's, of the output of this run

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if self.filename is None and not in_notebook():
            raise ValueError(
                "LivePlot: there is no notebook to draw in; give a filename: "
                "LivePlot(filename='curves.svg')"
            )
        drawing("LivePlot")
        self._display = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self._behind = True
        # A run that goes on from a backup has the time of another one, which may be later.
        if not 0 <= time.monotonic() - self._drawn < self.seconds:
            self._draw()

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self._behind:
            self._draw()

    def _draw(self) -> None:
        figure = drawing("LivePlot")(self.history, self.names, "LivePlot")
        if self.filename is not None:
            with replacing(self.filename) as temporary:
                figure.savefig(temporary, format=Path(self.filename).suffix.lstrip(".") or "png")
        elif self._display is None:
            # A notebook has it; and it has types or not, as it is installed or not.
            show = importlib.import_module("IPython.display").display
            self._display = show(figure, display_id=True)
        else:
            self._display.update(figure)
        self._drawn, self._behind = time.monotonic(), False


def in_notebook() -> bool:
    """Whether this process runs a notebook's cells, which show pictures."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return hasattr(shell, "kernel")
