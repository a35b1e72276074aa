"""What a run prints: a progress bar, or a line for each epoch."""

from __future__ import annotations

from typing import Any

from graphc.utils.progbar import Progbar

from .callback import Callback, Logs

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
        self._steps = 0
        self._bar: Progbar | None = None

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
        self._steps = 0
        self._bar = Progbar(
            self.target,
            verbose=self.verbose,
            interval=_SECONDS_BETWEEN_UPDATES,
            stateless_metrics=(),  # logs are averages already
        )

    def _update(self, steps_done: int, logs: Logs | None) -> None:
        self._steps = steps_done
        if self._bar is not None:
            self._bar.update(steps_done, (logs or {}).items(), finalize=False)

    def _end(self, logs: Logs | None) -> None:
        steps = self._steps or self.target or 0
        self.target = self.target or steps
        if self._bar is not None:
            self._bar.update(steps, (logs or {}).items(), finalize=True)
            self._bar = None
