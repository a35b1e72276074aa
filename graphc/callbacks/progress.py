"""What a run prints: a progress bar, or a line for each epoch."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from .callback import Callback, Logs

if TYPE_CHECKING:
    from rich.progress import Progress

_SECONDS_BETWEEN_UPDATES = 0.1


class ProgbarLogger(Callback):
    """Prints how a run goes; added by `fit`, `evaluate` and `predict` unless `verbose` is 0.

    With `verbose` 1 (or "auto") a bar with the steps done, the time and the values so far, drawn
    again at most ten times a second. With 2, and where the output is no terminal, one line when
    the epoch, evaluation or prediction ends. Validation within training is silent; the values it
    gives come with the epoch's. The time is that since the beginning, the time per step that of
    the steps alone, without validation.
    """

    def __init__(self) -> None:
        super().__init__()
        self.verbose: int = 1
        self.epochs: int = 1
        self.target: int | None = None  # steps of an epoch, None while unknown
        self._training = False
        self._timer = _StepTimer()
        self._bar: _Bar | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params.get("epochs") or 1
        self.target = params.get("steps")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._training = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if self.verbose and self.epochs > 1:
            print(f"Epoch {epoch + 1}/{self.epochs}")
        self._begin()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._end(logs)

    def on_train_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        self._update(steps_done, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if not self._training:
            self._begin()

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not self._training:
            self._end(logs)

    def on_test_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        if not self._training:
            self._update(steps_done, logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._end(None)

    def on_predict_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        self._update(steps_done, None)

    def on_close(self) -> None:
        self._training = False
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _begin(self) -> None:
        self._timer = _StepTimer()
        if self.verbose == 1 and sys.stdout.isatty():
            self._bar = _Bar(self.target)

    def _update(self, steps_done: int, logs: Logs | None) -> None:
        self._timer.reached(steps_done)
        if self._bar is not None and self._bar.is_due():
            left = self._timer.left(self.target)
            self._bar.show(steps_done, f"{left}{self._timer.per_step()}{_values(logs)}")

    def _end(self, logs: Logs | None) -> None:
        if self.target is None:
            self.target = self._timer.steps
        steps = self._timer.steps or self.target
        total, per_step = self._timer.total(), self._timer.per_step()
        if self._bar is not None:
            self._bar.total = self.target
            self._bar.show(steps, f"{total} {per_step}{_values(logs)}")
            self._bar.close()
            self._bar = None
        elif self.verbose:
            print(f"{steps}/{self.target} - {total} - {per_step}{_values(logs)}")


class _StepTimer:
    """Measures a run of steps from its making on."""

    def __init__(self) -> None:
        self._begin = time.perf_counter()
        self._last_step_end = self._begin
        self.steps = 0

    def reached(self, steps: int) -> None:
        self.steps = steps
        self._last_step_end = time.perf_counter()

    def total(self) -> str:
        return f"{time.perf_counter() - self._begin:.0f}s"

    def left(self, target: int | None) -> str:
        """Time that the other steps will take, or nothing if nobody knows how many there are."""
        if target is None:
            return ""
        seconds = self._seconds_per_step() * max(target - self.steps, 0)
        return f"{seconds:.0f}s " if seconds < 60 else f"{timedelta(seconds=round(seconds))} "

    def per_step(self) -> str:
        """In the unit that suits, as Keras writes it: "45ms/step"."""
        seconds = self._seconds_per_step()
        if seconds >= 1 or seconds == 0:
            return f"{seconds:.0f}s/step"
        if seconds >= 1e-3:
            return f"{seconds * 1e3:.0f}ms/step"
        return f"{seconds * 1e6:.0f}us/step"

    def _seconds_per_step(self) -> float:
        return (self._last_step_end - self._begin) / max(self.steps, 1)


class _Bar:
    """A bar on the terminal. While it is there, what others print appears above it."""

    def __init__(self, total: int | None) -> None:
        self.total = total
        self._shown_at = -np.inf
        self._progress: Progress | None = None

    def is_due(self) -> bool:
        """Whether it was last drawn long enough ago."""
        return time.perf_counter() - self._shown_at >= _SECONDS_BETWEEN_UPDATES

    def show(self, steps: int, text: str) -> None:
        self._shown_at = time.perf_counter()
        if self._progress is None:
            self._progress = _progress(self.total)
        task = self._progress.tasks[0].id
        self._progress.update(task, completed=steps, total=self.total, text=text)
        self._progress.refresh()

    def close(self) -> None:
        """Leaves the bar as it is and gives the terminal back."""
        if self._progress is not None:
            self._progress.stop()


def _progress(total: int | None) -> Progress:
    # Imported here, as it takes longer than importing all of graphc's own modules.
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    progress = Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[text]}", markup=False),
        auto_refresh=False,  # no thread of its own beside the program's
    )
    progress.add_task("", total=total, text="")
    progress.start()
    return progress


def _values(logs: Mapping[str, Any] | None) -> str:
    """ " - accuracy: 0.9000 - loss: 0.3000", as Keras writes it."""
    return "".join(f" - {name}: {_value(value)}" for name, value in (logs or {}).items())


def _value(value: Any) -> str:
    try:
        number = float(np.mean(value))
    except (TypeError, ValueError):
        return str(value)
    return f"{number:.4f}" if abs(number) > 1e-3 else f"{number:.4e}"
