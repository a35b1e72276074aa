"""A progress bar on the terminal, or a line at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rich.progress import Progress


class Progbar:
    """Shows how many steps are done, the time and some values (`keras.utils.Progbar`).

    On a terminal a bar, drawn again at every update but not too often; what others print appears
    above it. Elsewhere (Keras writes a line at every update), and with verbose 2, one line at the
    end. The end is when `current` reaches the target, or when `update` is told so.

    Args:
        target: number of steps, None if nobody knows.
        width: of the bar in characters; 20 by default.
        verbose: 0 silent, 1 (default) a bar, 2 a line at the end.
        interval: least number of seconds between two drawings; 0.05 by default.
        stateful_metrics: names of values to show as they are; others are averaged over the steps,
            but for the last, which is shown as it is.
        stateless_metrics: names of values to average; others are shown as they are.
        unit_name: what steps are called; "step" by default.

    Raises:
        ValueError: when both lists of names are given.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Iterable[str] | None = None,
        stateless_metrics: Iterable[str] | None = None,
        unit_name: str = "step",
    ) -> None:
        if stateful_metrics is not None and stateless_metrics is not None:
            raise ValueError("Progbar: pass stateful_metrics or stateless_metrics, not both")
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.unit_name = unit_name
        self._stateful = frozenset(stateful_metrics or ())
        self._stateless = None if stateless_metrics is None else frozenset(stateless_metrics)
        self._values: dict[str, tuple[Any, int]] = {}  # name -> sum, number of steps
        self._steps = 0
        self._begin = self._last_step_end = time.perf_counter()
        self._drawn_at = -np.inf
        self._display: Progress | None = None

    def update(
        self,
        current: int,
        values: Iterable[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Shows progress.

        Args:
            current: number of steps done.
            values: pairs of a name and the value of the steps since the last update.
            finalize: whether this is the end; by default whether `current` is the target.
        """
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        self._take(values or (), 1 if finalize else max(current - self._steps, 1), finalize)
        if current > self._steps:
            self._steps, self._last_step_end = current, time.perf_counter()
        if finalize and self.target is None:
            self.target = current
        if self.verbose == 1 and (self._display is not None or sys.stdout.isatty()):
            now = time.perf_counter()
            if finalize or now - self._drawn_at >= self.interval:
                self._drawn_at = now
                self._draw(f"{self._elapsed() if finalize else self._left()}{self._per_step()}")
            if finalize:
                self.close()
        elif self.verbose and finalize:
            counts = f"{self._steps}/{self.target}"
            print(f"{counts} - {self._elapsed()}- {self._per_step()}{self._shown_values()}")

    def add(self, n: int, values: Iterable[tuple[str, Any]] | None = None) -> None:
        """`update` with n steps more than before."""
        self.update(self._steps + n, values)

    def close(self) -> None:
        """Leaves the bar as it is and gives the terminal back (graphc's own)."""
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _take(self, values: Iterable[tuple[str, Any]], steps: int, anew: bool) -> None:
        for name, value in values:
            stateless = self._stateless
            averaged = name not in self._stateful if stateless is None else name in stateless
            if anew or not averaged:
                self._values[name] = value, 1
            else:
                total, count = self._values.get(name, (0.0, 0))
                self._values[name] = total + value * steps, count + steps

    def _draw(self, text: str) -> None:
        if self._display is None:
            self._display = _display(self.target, self.width)
        task = self._display.tasks[0].id
        self._display.update(
            task, completed=self._steps, total=self.target, text=text + self._shown_values()
        )
        self._display.refresh()

    def _elapsed(self) -> str:
        return f"{time.perf_counter() - self._begin:.0f}s "

    def _left(self) -> str:
        """Time that the other steps will take, or nothing if nobody knows how many there are."""
        if self.target is None:
            return ""
        seconds = self._seconds_per_step() * max(self.target - self._steps, 0)
        return f"{seconds:.0f}s " if seconds < 60 else f"{timedelta(seconds=round(seconds))} "

    def _per_step(self) -> str:
        """In the unit that suits, as Keras writes it: "45ms/step"."""
        seconds = self._seconds_per_step()
        if seconds >= 1 or seconds == 0:
            return f"{seconds:.0f}s/{self.unit_name}"
        if seconds >= 1e-3:
            return f"{seconds * 1e3:.0f}ms/{self.unit_name}"
        return f"{seconds * 1e6:.0f}us/{self.unit_name}"

    def _seconds_per_step(self) -> float:
        return (self._last_step_end - self._begin) / max(self._steps, 1)

    def _shown_values(self) -> str:
        """ " - accuracy: 0.9000 - loss: 0.3000", as Keras writes it."""
        return "".join(
            f" - {name}: {_number(total, count)}" for name, (total, count) in self._values.items()
        )


def _display(total: int | None, width: int) -> Progress:
    # Imported here, as it takes longer than importing all of graphc's own modules.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    progress = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=width),
        TextColumn("{task.fields[text]}", markup=False),
        auto_refresh=False,  # no thread of its own beside the program's
    )
    progress.add_task("", total=total, text="")
    progress.start()
    return progress


def _number(total: Any, count: int) -> str:
    try:
        mean = float(np.mean(total)) / count
    except (TypeError, ValueError):
        return str(total)
    return f"{mean:.4f}" if abs(mean) > 1e-3 else f"{mean:.4e}"
