"""The callbacks of a run as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np

from .backup import BackupAndRestore, Feed
from .callback import Callback, Logs
from .progress import ProgbarLogger
from .records import History

Phase = Literal["train", "test", "predict"]

_BATCH_HOOKS: dict[Phase, tuple[str, ...]] = {
    "train": ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}


class CallbackList(Callback):
    """Callbacks of a run, called one after the other (`keras.callbacks.CallbackList`).

    Every hook forwards to the callbacks in the order given, then to the History and the
    ProgbarLogger it added, then to a `BackupAndRestore`. Each call gives them one new dict of
    logs, sorted by name, with numbers as Python floats.

    Args:
        callbacks: a callback, or a list of callbacks, possibly nested; None for none.
        add_history: adds a `History` unless there is one.
        add_progbar: adds a `ProgbarLogger` unless there is one.
        model: given to all by `set_model`.
        params: given to all by `set_params`: verbose, epochs, steps.

    Raises:
        TypeError: for an element that is no callback, such as a class.
    """

    def __init__(
        self,
        callbacks: object = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        self.callbacks = list(_flat(callbacks))
        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(c, ProgbarLogger) for c in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        # Last, so that what it keeps is what all others have left.
        self.callbacks.sort(key=lambda callback: isinstance(callback, BackupAndRestore))
        for callback in self.callbacks:
            if isinstance(callback, BackupAndRestore):
                apart = (BackupAndRestore, ProgbarLogger)  # clocks do not go on
                callback.others = [c for c in self.callbacks if not isinstance(c, apart)]
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def feed(self, **feeds: Feed | None) -> None:
        """Tells what keeps backups of the data that come batch by batch: training, validation."""
        for callback in self.callbacks:
            if isinstance(callback, BackupAndRestore):
                callback.feeds = {name: feed for name, feed in feeds.items() if feed is not None}

    @property
    def history(self) -> History:
        """The History among the callbacks.

        Raises:
            ValueError: when there is none.
        """
        for callback in self.callbacks:
            if isinstance(callback, History):
                return callback
        raise ValueError("CallbackList: there is no History among the callbacks.")

    def wants_batches(self, phase: Phase) -> bool:
        """Whether any callback overrides a batch hook of the phase."""
        return any(
            _overrides(callback, hook)
            for callback in self.callbacks
            for hook in _BATCH_HOOKS[phase]
        )

    def on_chunk(self, phase: Phase, done_steps: int, logs: Logs | None = None) -> None:
        """Forwards to the phase's chunk hook.

        Args:
            phase: "train", "test" or "predict".
            done_steps: how many steps of the epoch, evaluation or prediction are done.
            logs: the values so far.
        """
        self._forward(f"on_{phase}_chunk_end", done_steps, logs=_plain(logs))

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            self._forward("set_params", params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            if isinstance(callback, History):
                model.history = callback
        self._forward("set_model", model)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._forward("on_train_begin", _plain(logs))

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._forward("on_train_end", _plain(logs))

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._forward("on_epoch_begin", epoch, _plain(logs))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._forward("on_epoch_end", epoch, _plain(logs))

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._forward("on_train_batch_begin", batch, logs=_plain(logs))

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._forward("on_train_batch_end", batch, logs=_plain(logs))

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._forward("on_batch_begin", batch, logs=_plain(logs))

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._forward("on_batch_end", batch, logs=_plain(logs))

    def on_train_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        self.on_chunk("train", steps_done, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._forward("on_test_begin", _plain(logs))

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._forward("on_test_end", _plain(logs))

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._forward("on_test_batch_begin", batch, logs=_plain(logs))

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._forward("on_test_batch_end", batch, logs=_plain(logs))

    def on_test_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        self.on_chunk("test", steps_done, logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._forward("on_predict_begin", _plain(logs))

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._forward("on_predict_end", _plain(logs))

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._forward("on_predict_batch_begin", batch, logs=_plain(logs))

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._forward("on_predict_batch_end", batch, logs=_plain(logs))

    def on_predict_chunk_end(self, steps_done: int, logs: Logs | None = None) -> None:
        self.on_chunk("predict", steps_done, logs)

    def on_close(self) -> None:
        self._forward("on_close")

    def _forward(self, hook: str, *args: object, **kwargs: object) -> None:
        for callback in self.callbacks:
            getattr(callback, hook)(*args, **kwargs)


def _flat(callbacks: object) -> Iterator[Callback]:
    if callbacks is None:
        return
    if isinstance(callbacks, CallbackList):
        yield from callbacks.callbacks
    elif isinstance(callbacks, Callback):
        yield callbacks
    elif isinstance(callbacks, Iterable) and not isinstance(callbacks, (str, dict, type)):
        for part in callbacks:
            yield from _flat(part)
    else:
        hint = "; make an instance of the class" if isinstance(callbacks, type) else ""
        raise TypeError(
            f"Argument `callbacks`: expected instances of Callback, received {callbacks!r}{hint}."
        )


def _overrides(callback: Callback, hook: str) -> bool:
    method = getattr(callback, hook)
    # A LambdaCallback's functions are attributes of the instance, with no class behind them.
    return getattr(method, "__func__", method) is not getattr(Callback, hook)


def _plain(logs: Logs | None) -> Logs:
    """A sorted copy with numbers as Python floats; other values stay what they are."""
    return {name: _plain_value(value) for name, value in sorted((logs or {}).items())}


def _plain_value(value: Any) -> Any:
    is_number = isinstance(value, (int, float, np.number, np.ndarray)) and np.ndim(value) == 0
    return float(value) if is_number else value
