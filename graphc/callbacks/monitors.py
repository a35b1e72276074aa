"""Callbacks that watch whether a value still improves."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .callback import Callback, Logs


class _Monitor(Callback):
    """Watches one name of the logs.

    Args:
        monitor: the name, such as "val_loss".
        mode: "min" when smaller is better, "max" when larger is; "auto" takes it from the
            metric of that name among `model.metrics` (its `_direction`, "up" or "down", as in
            Keras), and "min" for the loss. Anything else warns and is "auto".
        min_delta: change that does not count as an improvement yet; its sign is ignored.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__}: mode {mode!r} is unknown, falling back to 'auto'.",
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.best: float | None = None

    def _improves(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return True
        if self._smaller_is_better():
            return value + self.min_delta < reference
        return value - self.min_delta > reference

    def _smaller_is_better(self) -> bool:
        """Needs the model, so it is asked during training only.

        Raises:
            ValueError: for mode "auto" and a monitor of unknown direction.
        """
        if self.mode != "auto":
            return self.mode == "min"
        name = self.monitor.removeprefix("val_")
        directions = {
            metric.name: getattr(metric, "_direction", None)
            for metric in getattr(self.model, "metrics", ())
        }
        direction = "down" if name == "loss" else directions.get(name)
        if direction is None:
            raise ValueError(
                f"{type(self).__name__} received monitor={self.monitor!r}, and cannot tell "
                "whether smaller or larger is better. Pass mode='min' or mode='max'."
            )
        return bool(direction == "down")

    def _value(self, logs: Logs) -> float | None:
        """The monitored value, or None with a warning."""
        value = logs.get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} monitors {self.monitor!r}, which is not available. "
                f"Available are: {', '.join(logs)}.",
                stacklevel=3,
            )
            return None
        return float(value)


class EarlyStopping(_Monitor):
    """Stops training when a value has not improved for some epochs (Keras's).

    Args:
        monitor: its name in the logs; "val_loss" by default.
        min_delta: change that does not count as an improvement yet; 0 by default.
        patience: epochs without improvement after which training stops; 0 by default.
        verbose: 1 prints that it stopped, and which weights it restored; 0 by default.
        mode: "min", "max", or "auto" (default), which knows the loss and the model's metrics.
        baseline: while the value is no better than this, epochs count as without improvement.
        restore_best_weights: whether the model ends with the weights of its best epoch, also
            when training was not stopped; False by default.
        start_from_epoch: number of epochs at the start that are not looked at; 0 by default.

    Raises:
        ValueError: during training, for mode "auto" and a monitor that it does not know.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: Sequence[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._smaller_is_better()  # raises in the first epoch, before there is what to compare
        value = self._value(logs or {})
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self._improves(value, self.best):
            self.best = value
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self._improves(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose > 0:
                print(
                    "Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(_Monitor):
    """Multiplies the learning rate by a factor when a value has not improved for some epochs.

    Adds "learning_rate", the rate the epoch ran with, to the epoch's logs.

    Args:
        monitor: the value's name in the logs; "val_loss" by default.
        factor: 0.1 by default.
        patience: epochs without improvement before the rate is reduced; 10 by default.
        verbose: 1 prints each reduction; 0 by default.
        mode: "min", "max", or "auto" (default), which knows the loss and the model's metrics.
        min_delta: change that does not count as an improvement yet; 1e-4 by default.
        cooldown: epochs after a reduction in which nothing is counted; 0 by default. As in
            Keras the epoch in which the cooldown ends counts again, so that 1 has no effect.
        min_lr: lower bound of the rate; 0 by default.

    Raises:
        ValueError: for a factor of 1 or more; during training, for mode "auto" and a monitor
            that it does not know.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if factor >= 1.0:
            raise ValueError(f"Argument `factor`: expected less than 1, received {factor!r}.")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._smaller_is_better()  # raises in the first epoch, before there is what to compare
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self._value(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._improves(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience and self._reduce(epoch):
                self.cooldown_counter = self.cooldown
                self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction was so recent that epochs are not counted."""
        return self.cooldown_counter > 0

    def _reduce(self, epoch: int) -> bool:
        """Reduces the rate unless it is at its lower bound."""
        optimizer = self.model.optimizer
        rate = float(optimizer.learning_rate)
        # In float32, as optimizers may keep it: min_lr itself is not above min_lr.
        if not np.float32(rate) > np.float32(self.min_lr):
            return False
        optimizer.learning_rate = reduced = max(rate * self.factor, self.min_lr)
        if self.verbose > 0:
            print(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {reduced}.")
        return True
