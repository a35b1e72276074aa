"""Callbacks on a fake model and a loop driven by hand. What Keras 3.15 does is the reference."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphc.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    LearningRateScheduler,
    ProgbarLogger,
    ReduceLROnPlateau,
    TerminateOnNaN,
)

NAN = math.nan


class Model:
    """Its weight is the number of the epoch."""

    def __init__(self, **directions: str) -> None:
        self.optimizer = SimpleNamespace(learning_rate=0.5)
        self.stop_training = False
        self.weights = [np.zeros(1)]
        self.history: History | None = None
        self.metrics = [SimpleNamespace(name=k, _direction=v) for k, v in directions.items()]

    def get_weights(self) -> list[np.ndarray]:
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.weights = weights


def fit(callbacks: Any, epochs: Sequence[dict[str, Any]], model: Model | None = None) -> Model:
    """Runs epochs that end with these logs."""
    model = model or Model()
    calls = CallbackList(
        callbacks, add_history=True, model=model, verbose=0, epochs=len(epochs), steps=1
    )
    model.stop_training = False
    calls.on_train_begin()
    for epoch, logs in enumerate(epochs):
        calls.on_epoch_begin(epoch)
        model.weights = [np.full(1, float(epoch))]
        calls.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    calls.on_train_end()
    return model


def epochs_run(model: Model) -> int:
    assert model.history is not None
    return len(model.history.epoch)


def losses(*values: float) -> list[dict[str, float]]:
    return [{"val_loss": value} for value in values]


# The list.


class Recorder(Callback):
    """Writes down every call of a hook."""

    def __init__(self, log: list[Any], name: str) -> None:
        super().__init__()
        self.log = log
        self.name = name

    def __getattribute__(self, attribute: str) -> Any:
        if attribute.startswith("on_"):
            return lambda *args, **kwargs: self.log.append((self.name, attribute, args, kwargs))
        return super().__getattribute__(attribute)


def test_hooks_reach_every_callback_in_order() -> None:
    log: list[Any] = []
    calls = CallbackList([Recorder(log, "first"), [Recorder(log, "second")]])
    hooks: dict[str, tuple[Any, ...]] = {"on_close": ()}
    for name in vars(Callback):
        if name.startswith("on_") and name != "on_close":
            takes_number = "epoch" in name or "batch" in name or "chunk" in name
            hooks[name] = (3,) if takes_number else ()
    assert len(hooks) == 20
    for name, args in hooks.items():
        log.clear()
        getattr(calls, name)(*args)
        assert [(who, hook) for who, hook, *_ in log] == [("first", name), ("second", name)]
        assert log[0][2][: len(args)] == args


def test_logs_arrive_sorted_as_floats_in_one_dict_for_all() -> None:
    log: list[Any] = []
    given = {"loss": np.float32(0.5), "acc": np.array(1), "matrix": np.eye(2), "note": "x"}
    CallbackList([Recorder(log, "a"), Recorder(log, "b")]).on_epoch_end(0, given)
    (_, logs), (_, others) = log[0][2], log[1][2]
    assert logs is others
    assert logs is not given
    assert list(logs) == ["acc", "loss", "matrix", "note"]
    assert [type(logs[name]) for name in ("acc", "loss", "note")] == [float, float, str]
    assert logs["matrix"] is given["matrix"]


def test_history_and_bar_are_added_once() -> None:
    history, bar = History(), ProgbarLogger()
    model = Model()
    calls = CallbackList([history, bar], add_history=True, add_progbar=True, model=model)
    assert calls.callbacks == [history, bar]
    assert calls.history is history
    assert model.history is history
    added = CallbackList(None, add_history=True, add_progbar=True)
    assert [type(c) for c in added.callbacks] == [History, ProgbarLogger]
    with pytest.raises(ValueError, match="no History"):
        _ = CallbackList().history


def test_model_and_params_are_handed_on() -> None:
    callback, model = Callback(), Model()
    CallbackList(callback, model=model, epochs=3, steps=7, verbose=0)
    assert callback.model is model
    assert callback.params == {"epochs": 3, "steps": 7, "verbose": 0}


@pytest.mark.parametrize("wrong", [EarlyStopping, "EarlyStopping", 3, [History, 3]])
def test_only_callbacks_are_accepted(wrong: object) -> None:
    with pytest.raises(TypeError, match="`callbacks`: expected instances of Callback, received"):
        CallbackList(wrong)


def override(hook: str) -> Callback:
    methods = {hook: lambda self, batch, logs=None: None}
    cls: type[Callback] = type("Overriding", (Callback,), methods)
    return cls()


@pytest.mark.parametrize(
    ("callback", "phases"),
    [
        (Callback(), ""),
        (override("on_batch_begin"), "train"),
        (override("on_batch_end"), "train"),
        (override("on_train_batch_begin"), "train"),
        (override("on_train_batch_end"), "train"),
        (override("on_test_batch_begin"), "test"),
        (override("on_test_batch_end"), "test"),
        (override("on_predict_batch_begin"), "predict"),
        (override("on_predict_batch_end"), "predict"),
        (override("on_epoch_end"), ""),
        (override("on_train_chunk_end"), ""),
        (LambdaCallback(on_train_batch_end=lambda batch, logs: None), "train"),
        (LambdaCallback(on_test_batch_end=lambda batch, logs: None), "test"),
        (LambdaCallback(on_epoch_end=lambda epoch, logs: None), ""),
        (TerminateOnNaN(), "train"),
        (ProgbarLogger(), ""),
        (History(), ""),
        (EarlyStopping(), ""),
        (ReduceLROnPlateau(), ""),
        (CSVLogger("x"), ""),
        (CallbackList([TerminateOnNaN()]), "train"),
        (CallbackList([History()]), ""),
    ],
)
def test_batches_are_wanted_where_a_batch_hook_is_overridden(
    callback: Callback, phases: str
) -> None:
    calls = CallbackList([Callback(), callback])
    wanted = [p for p in ("train", "test", "predict") if calls.wants_batches(p)]
    assert " ".join(wanted) == phases


def test_train_batch_hooks_call_their_older_names() -> None:
    log: list[Any] = []
    callback = Callback()
    callback.on_batch_begin = lambda *args, **kwargs: log.append(("begin", args, kwargs))  # type: ignore[method-assign]
    callback.on_batch_end = lambda *args, **kwargs: log.append(("end", args, kwargs))  # type: ignore[method-assign]
    calls = CallbackList([callback])
    calls.on_train_batch_begin(4)
    calls.on_train_batch_end(4, {"loss": 1})
    assert log == [("begin", (4,), {"logs": {}}), ("end", (4,), {"logs": {"loss": 1.0}})]


def test_chunks_reach_their_phase() -> None:
    log: list[Any] = []
    calls = CallbackList([Recorder(log, "a")])
    for phase in ("train", "test", "predict"):
        calls.on_chunk(phase, 12, {"loss": 0.5})
    assert log == [
        ("a", f"on_{phase}_chunk_end", (12,), {"logs": {"loss": 0.5}})
        for phase in ("train", "test", "predict")
    ]


# Those that keep and those that act.


def test_history_keeps_sorted_values_an_epoch() -> None:
    model = fit(None, [{"loss": 2, "acc": 0.5}, {"loss": 1, "acc": 0.75, "val_loss": 3}])
    assert model.history is not None
    assert model.history.history == {"acc": [0.5, 0.75], "loss": [2.0, 1.0], "val_loss": [3.0]}
    assert list(model.history.history)[:2] == ["acc", "loss"]
    assert model.history.epoch == [0, 1]


def test_a_history_goes_on_over_runs() -> None:
    history = History()
    fit(history, losses(1, 2))
    fit(history, losses(3))
    assert history.history == {"val_loss": [1, 2, 3]}
    assert history.epoch == [0]


def test_lambda_callback() -> None:
    log: list[Any] = []
    callback = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: log.append(("begin", epoch)),
        on_train_end=lambda logs: log.append("end"),
        on_test_begin=lambda logs: log.append("test"),
        size=5,
    )
    fit(callback, losses(1.0, 2.0))
    callback.on_test_begin({})
    assert log == [("begin", 0), ("begin", 1), "end", "test"]
    assert callback.size == 5  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"Unknown hook 'on_epoch_ends'. Did you mean 'on_epoch_e"):
        LambdaCallback(on_epoch_ends=print)


@pytest.mark.parametrize("loss", [NAN, math.inf, -math.inf])
def test_terminate_on_nan(loss: float, capsys: pytest.CaptureFixture[str]) -> None:
    model, stopped = Model(), []
    calls = CallbackList([TerminateOnNaN()], model=model)
    for batch, logs in enumerate([{"accuracy": NAN}, {"loss": 1.0}, {"loss": loss}]):
        calls.on_train_batch_end(batch, logs)
        stopped.append(model.stop_training)
    assert stopped == [False, False, True]
    assert capsys.readouterr().out == "Batch 2: Invalid loss, terminating training\n"
    with pytest.raises(RuntimeError, match="Batch 3: the loss is"):
        CallbackList([TerminateOnNaN(raise_error=True)]).on_train_batch_end(3, {"loss": loss})


@pytest.mark.parametrize(
    ("arguments", "values", "ran"),
    [
        ({}, (1, 2, 3), 2),
        ({}, (3, 2, 1), 3),
        ({"patience": 2}, (1, 2, 2, 0, 2, 2, 2), 3),
        ({"patience": 3}, (1, 2, 2, 0, 2, 2, 2, 2), 7),
        ({"min_delta": 0.25}, (1, 0.8, 0.5), 2),
        ({"min_delta": -0.25}, (1, 0.8, 0.5), 2),  # its sign does not matter
        ({"mode": "max"}, (1, 2, 3, 2, 3), 4),
        ({"start_from_epoch": 2}, (1, 2, 3, 4), 4),
        ({"patience": 2, "baseline": 0.5}, (1, 1, 1), 2),
        ({"patience": 2, "baseline": 0.5}, (1, 0.4, 1, 1, 1), 4),
        ({}, (NAN, 1, 1), 2),  # nothing is better than NaN
        ({"patience": 1}, (1, NAN, NAN), 2),
    ],
)
def test_early_stopping(arguments: dict[str, Any], values: tuple[float, ...], ran: int) -> None:
    assert epochs_run(fit(EarlyStopping(**arguments), losses(*values))) == ran


def test_early_stopping_restores_the_best_weights_even_if_it_never_stopped() -> None:
    stopping = EarlyStopping(patience=5, restore_best_weights=True)
    model = fit(stopping, losses(3, 1, 2))
    assert model.weights[0] == 1.0
    assert stopping.best_epoch == 1
    assert fit(EarlyStopping(patience=5), losses(3, 1, 2)).weights[0] == 2.0


def test_early_stopping_forgets_an_earlier_run() -> None:
    stopping = EarlyStopping(patience=1)
    assert epochs_run(fit(stopping, losses(1, 2, 3))) == 2
    assert epochs_run(fit(stopping, losses(7, 6, 5))) == 3
    assert stopping.stopped_epoch == 0


def test_early_stopping_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    fit(EarlyStopping(verbose=1, restore_best_weights=True), losses(1, 2))
    assert capsys.readouterr().out == (
        "Epoch 2: early stopping\nRestoring model weights from the end of the best epoch: 1.\n"
    )


def test_auto_mode_asks_the_metrics() -> None:
    rising = [{"val_accuracy": v, "error": v} for v in (0.1, 0.2, 0.3)]
    model = Model(accuracy="up", error="down")
    assert epochs_run(fit(EarlyStopping("val_accuracy"), rising, model)) == 3
    assert epochs_run(fit(EarlyStopping("error"), rising, model)) == 2


@pytest.mark.parametrize("cls", [EarlyStopping, ReduceLROnPlateau])
def test_unknown_monitors(cls: Callable[..., Callback]) -> None:
    with pytest.raises(ValueError, match=r"monitor='val_acc', and cannot tell .* mode='min'"):
        fit(cls(monitor="val_acc"), losses(1))
    with pytest.warns(UserWarning, match=r"'val_acc', which is not available. .*: .*val_loss"):
        fit(cls(monitor="val_acc", mode="max"), losses(1))
    with pytest.warns(UserWarning, match="mode 'best' is unknown"):
        cls(mode="best")


@pytest.mark.parametrize(
    ("arguments", "values", "rates"),
    [
        ({"patience": 1}, (1, 2, 2), (1, 1, 0.5)),
        ({"patience": 2}, (1, 2, 2, 2), (1, 1, 1, 0.5)),
        ({"patience": 1, "min_delta": 0.5}, (1, 0.6, 0.4), (1, 1, 0.5)),
        ({"patience": 1, "cooldown": 1}, (1, 1, 1, 1), (1, 1, 0.5, 0.25)),  # 1 has no effect
        ({"patience": 1, "cooldown": 2}, (1, 1, 1, 1, 1), (1, 1, 0.5, 0.5, 0.25)),
        ({"patience": 1, "min_lr": 0.2}, (1, 1, 1, 1, 1), (1, 1, 0.5, 0.4, 0.4)),
        ({"patience": 1, "mode": "max"}, (1, 2, 2), (1, 1, 1)),
    ],
)
def test_reduce_lr_on_plateau(
    arguments: dict[str, Any], values: tuple[float, ...], rates: tuple[float, ...]
) -> None:
    model = fit(ReduceLROnPlateau(factor=0.5, **arguments), losses(*values))
    assert model.history is not None
    assert model.history.history["learning_rate"] == pytest.approx([0.5 * r for r in rates])


def test_reduce_lr_on_plateau_messages(capsys: pytest.CaptureFixture[str]) -> None:
    fit(ReduceLROnPlateau(factor=0.5, patience=1, verbose=1, min_lr=0.25), losses(1, 1, 1, 1))
    assert capsys.readouterr().out == (
        "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.25.\n"
    )
    with pytest.raises(ValueError, match=r"`factor`: expected less than 1, received 1.5"):
        ReduceLROnPlateau(factor=1.5)


@pytest.mark.parametrize("schedule", [lambda epoch, rate: rate / 2, lambda epoch: 0.25 / 2**epoch])
def test_learning_rate_scheduler(schedule: Callable[..., float]) -> None:
    model = fit(LearningRateScheduler(schedule), losses(1, 1, 1))
    assert model.history is not None
    assert model.history.history["learning_rate"] == [0.25, 0.125, 0.0625]
    assert model.optimizer.learning_rate == 0.0625


def test_learning_rate_scheduler_messages(capsys: pytest.CaptureFixture[str]) -> None:
    fit(LearningRateScheduler(lambda epoch: np.float32(0.25), verbose=1), losses(1))
    assert capsys.readouterr().out == (
        "Epoch 1: LearningRateScheduler setting learning rate to 0.25.\n"
    )
    with pytest.raises(ValueError, match=r"`schedule` .* returns a float, received 1 "):
        fit(LearningRateScheduler(lambda epoch: 1), losses(1))
    with pytest.raises(TypeError, match="oops"):  # the schedule's own, not taken for a signature
        fit(LearningRateScheduler(raising), losses(1))


def raising(epoch: int, rate: float) -> float:
    raise TypeError("oops")


def test_csv_logger(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    epochs = [{"loss": 0.5, "acc": 0.25}, {"loss": 0.25, "acc": 1.0, "val_loss": 3.0}]
    fit(CSVLogger(path), epochs)
    lines = ["epoch,acc,loss,val_acc,val_loss", "0,0.25,0.5,NA,NA", "1,1.0,0.25,NA,3.0"]
    assert path.read_text().splitlines() == lines
    fit(CSVLogger(path, append=True), epochs)
    assert path.read_text().splitlines() == lines + lines[1:]
    fit(CSVLogger(path, separator=";"), [{"v": np.array([1.0, 2.0]), "val_v": 1.0}])
    assert path.read_text().splitlines() == ["epoch;v;val_v", '0;"""[1.0, 2.0]""";1.0']


def test_csv_logger_writes_each_epoch_at_once_and_closes(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "log.csv", append=True)  # nothing there yet: with a header
    calls = CallbackList([logger], model=Model())
    calls.on_train_begin()
    calls.on_epoch_end(0, {"loss": 1.0})
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 2
    calls.on_close()  # as after an exception; a file left open would fail the test by a warning
    assert logger._file is None
