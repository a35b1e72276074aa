"""Evaluating and saving with the moving averages of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from .callback import Callback, Logs


class SwapEMAWeights(Callback):
    """Puts the weights' moving averages in their place while the model is evaluated (Keras's).

    The optimizer must have `use_ema=True`. The averages stay in the optimizer as they are, so that
    training ends with them however it ends. After `predict` the weights are back. (In Keras the
    averages stay in the model, and so do the weights of a training that was stopped early.)

    Args:
        swap_on_epoch: whether the averages are also in place from the end of an epoch to the
            beginning of the next, for callbacks that come after this one, such as
            `ModelCheckpoint`; False by default.

    Raises:
        ValueError: when a run begins, unless the optimizer has `use_ema=True`.
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        super().__init__()
        self.swap_on_epoch = swap_on_epoch
        self._weights: list[tuple[Any, np.ndarray]] = []  # with their values, while averages are in

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        if not model.optimizer.use_ema:
            raise ValueError(
                "SwapEMAWeights: the optimizer keeps no moving averages; compile the model with "
                f"{type(model.optimizer).__name__}(use_ema=True)"
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._put_back()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.swap_on_epoch:
            self._put_averages()

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._put_averages()

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._put_back()

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._put_averages()

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._put_back()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._weights = []  # `fit` has put the averages in place for good

    def on_close(self) -> None:
        self._put_back()

    def _put_averages(self) -> None:
        if self._weights:
            return
        averages = self.model.optimizer.moving_averages
        self._weights = [(weight, weight.numpy()) for weight in averages]
        for weight, average in averages.items():
            weight.assign(average.value)

    def _put_back(self) -> None:
        for weight, value in self._weights:
            weight.assign(value)
        self._weights = []
