"""A learning rate that is a function of the epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .callback import Callback, Logs


class LearningRateScheduler(Callback):
    """Sets the optimizer's learning rate at the beginning of each epoch.

    Adds "learning_rate" to the epoch's logs, and so to the history.

    Args:
        schedule: function of the epoch (int, from 0) and the current rate (float) that returns
            the new rate as a float; one of the epoch alone will do.
        verbose: 1 prints each new rate; 0 by default.

    Raises:
        ValueError: at the beginning of an epoch, when `schedule` does not return a float.
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        if _takes_two(self.schedule):
            rate = self.schedule(epoch, float(optimizer.learning_rate))
        else:
            rate = self.schedule(epoch)
        if not isinstance(rate, (float, np.floating)):
            raise ValueError(
                "Argument `schedule` of LearningRateScheduler: expected a function that returns "
                f"a float, received {rate!r} from it."
            )
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # some built-in functions have no signature
        return True
    return True
