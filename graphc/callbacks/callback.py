"""The hooks that a callback may define, and a callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc.errors import unknown_name

Logs = dict[str, Any]  # name -> value, such as {"accuracy": 0.9, "loss": 0.3}


class Callback:
    """Base of all callbacks: a hook for every point of a run, each doing nothing (Keras's).

    Compiled programs run many steps in one call. They come back to Python for every batch only
    when a callback overrides one of that phase's batch hooks; the chunk hooks, graphc's own, cost
    nothing: they follow each call, about ten times a second, and after the last step.

    In all hooks `logs` maps names to the values so far in this epoch; hooks that report a
    beginning get an empty dict. The callbacks of a run share it and are called in their order,
    so that what one of them adds to it in `on_epoch_end` the later ones and `History` see.

    Attributes:
        model: the model; `model.stop_training = True` ends `fit` after the batch or epoch.
        params: dict with "verbose", "epochs" and "steps" (of an epoch; None when unknown).
    """

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that the run is of."""
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before the run, with `params`."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before the run, with the model."""
        self._model = model

    # Training.

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, with its logs. Not called when `fit` raises."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch; the first is 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation, whose results have names starting with "val_"."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step; the first of an epoch is 0."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step, with the means over the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Older name of `on_train_batch_end`."""

    def on_train_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        """After some steps, `steps_done` in this epoch so far (graphc's own)."""

    # Evaluation, also that within training.

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation, with its results."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a step of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a step of evaluation, with the means so far."""

    def on_test_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        """After some steps of evaluation, `steps_done` so far (graphc's own)."""

    # Prediction.

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a step of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a step of prediction."""

    def on_predict_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        """After some steps of prediction, `steps_done` so far (graphc's own)."""

    def on_close(self) -> None:
        """Last of all, also after an exception or Ctrl-C: lets go of what is held open.

        graphc's own. May be called when nothing is open.
        """


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class LambdaCallback(Callback):
    """A callback made of functions.

    Args:
        on_epoch_begin, on_epoch_end: called with (epoch, logs).
        on_train_begin, on_train_end: called with (logs).
        on_train_batch_begin, on_train_batch_end: called with (batch, logs=logs).
        others: functions for the other hooks of `Callback`, by name and with their arguments;
            names that do not start with "on_" become attributes.

    Raises:
        ValueError: for a hook that does not exist. (Keras never calls it.)
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., object] | None = None,
        on_epoch_end: Callable[..., object] | None = None,
        on_train_begin: Callable[..., object] | None = None,
        on_train_end: Callable[..., object] | None = None,
        on_train_batch_begin: Callable[..., object] | None = None,
        on_train_batch_end: Callable[..., object] | None = None,
        **others: Any,
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **others,
        }
        for name, value in given.items():
            if name.startswith("on_") and name not in HOOKS:
                raise unknown_name("hook", name, HOOKS)
            if value is not None:
                setattr(self, name, value)
