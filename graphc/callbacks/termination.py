"""Stopping at a loss that is no number."""

from __future__ import annotations

import math

from .callback import Callback, Logs


class TerminateOnNaN(Callback):
    """Stops training after the batch that made the loss NaN or infinite.

    It asks for every batch, which costs a return to Python for each step.

    Args:
        raise_error: whether to raise rather than to set `model.stop_training`; False by default.

    Raises:
        RuntimeError: at such a loss, with `raise_error`.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"Batch {batch}: the loss is {loss}; terminating training.")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
