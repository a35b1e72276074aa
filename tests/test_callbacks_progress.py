"""What ProgbarLogger prints, with a clock turned by hand."""

import io
import sys
from contextlib import redirect_stdout
from types import SimpleNamespace
from typing import Any

import pytest

from graphc.callbacks import CallbackList
from graphc.utils import progbar

SHOW_CURSOR = "\x1b[?25h"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progbar, "time", clock)
    return clock


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Written to within `redirect_stdout`: pytest sets stdout anew between fixture and test."""
    for name, value in {"TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    return Terminal()


def logger(**params: Any) -> CallbackList:
    return CallbackList(add_progbar=True, model=SimpleNamespace(), **params)


def train_epoch(calls: CallbackList, clock: Clock, epoch: int = 0, seconds: float = 0.045) -> None:
    """Twelve steps in three chunks, then a second of validation."""
    calls.on_epoch_begin(epoch)
    for done in (4, 8, 12):
        clock.now += 4 * seconds
        calls.on_chunk("train", done, {"loss": 1 / done})
    calls.on_test_begin()
    clock.now += 1
    calls.on_chunk("test", 5, {"loss": 0.5})
    calls.on_test_end({"loss": 0.5})
    calls.on_epoch_end(epoch, {"val_loss": 0.5, "loss": 0.3, "accuracy": 0.9, "tiny": -1e-5})


@pytest.mark.parametrize("verbose", [1, 2, "auto", True])
def test_a_line_an_epoch(verbose: Any, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    calls = logger(verbose=verbose, epochs=10, steps=12)
    calls.on_train_begin()
    train_epoch(calls, clock, epoch=2)
    # 0.54 s of steps and 1 s of validation, which does not count as time of the steps.
    assert capsys.readouterr().out == (
        "Epoch 3/10\n12/12 - 2s - 45ms/step - "
        "loss: 0.3000 - accuracy: 0.9000 - tiny: -1.0000e-05 - val_loss: 0.5000\n"
    )


def test_silence(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    calls = logger(verbose=0, epochs=10, steps=12)
    calls.on_train_begin()
    train_epoch(calls, clock)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2s/step"), (0.0021, "2ms/step"), (30e-6, "30us/step")]
)
def test_units(seconds: float, text: str, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    calls = logger(verbose=2, epochs=1, steps=12)
    calls.on_train_begin()
    train_epoch(calls, clock, seconds=seconds)
    out = capsys.readouterr().out
    assert f" - {text} - " in out
    assert "Epoch" not in out  # of a single epoch, as in Keras


def test_unknown_number_of_steps(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    calls = logger(verbose=2, epochs=1, steps=None)
    calls.on_train_begin()
    train_epoch(calls, clock)
    assert capsys.readouterr().out.startswith("12/12 - ")


def test_an_epoch_that_was_broken_off(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    calls = logger(verbose=2, epochs=1, steps=12)
    calls.on_train_begin()
    calls.on_epoch_begin(0)
    calls.on_chunk("train", 5, {"loss": 1.0})
    calls.on_epoch_end(0, {"loss": 1.0})
    assert capsys.readouterr().out.startswith("5/12 - ")


def test_evaluate_and_predict_on_their_own(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = logger(verbose=2, epochs=1, steps=4)
    calls.on_test_begin()
    clock.now += 0.04
    calls.on_chunk("test", 4, {"loss": 0.5})
    calls.on_test_end({"loss": 0.5})
    assert capsys.readouterr().out == "4/4 - 0s - 10ms/step - loss: 0.5000\n"
    calls.on_predict_begin()
    clock.now += 0.04
    calls.on_chunk("predict", 4, {})
    calls.on_predict_end({"outputs": 1.0})
    assert capsys.readouterr().out == "4/4 - 0s - 10ms/step\n"


def test_evaluate_after_training_prints_again(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = logger(verbose=2, epochs=1, steps=4)
    calls.on_train_begin()
    calls.on_train_end()
    calls.on_test_begin()
    calls.on_test_end({"loss": 0.5})
    assert "loss: 0.5000" in capsys.readouterr().out


def test_the_bar(clock: Clock, terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        calls = logger(verbose=1, epochs=10, steps=12)
        calls.on_train_begin()
        train_epoch(calls, clock, epoch=2)
        assert sys.stdout is terminal, "the bar gave standard output back"
    out = terminal.getvalue()
    assert out.startswith("Epoch 3/10\n")
    for part in (" 4/12 ━", " 8/12 ━", "12/12 ━", "0s 45ms/step - loss: 0.2500", SHOW_CURSOR):
        assert part in out
    final = "2s 45ms/step - loss: 0.3000 - accuracy: 0.9000 - tiny: -1.0000e-05 - val_loss: 0.5000"
    assert final in out.splitlines()[-2]


def test_the_bar_is_drawn_ten_times_a_second_at_most(clock: Clock, terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        calls = logger(verbose=1, epochs=1, steps=1000)
        calls.on_train_begin()
        calls.on_epoch_begin(0)
        for step in range(1, 1001):  # a second of steps
            clock.now += 0.001
            calls.on_chunk("train", step, {"loss": float(step)})
        drawn = terminal.getvalue().count("loss: ")
        calls.on_close()
    assert 8 <= drawn <= 10


def test_the_bar_shows_the_time_left(clock: Clock, terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        calls = logger(verbose=1, epochs=1, steps=5000)
        calls.on_predict_begin()
        clock.now += 10
        calls.on_chunk("predict", 10, {})
        calls.on_close()
    assert "1:23:10 1s/step" in terminal.getvalue()


def test_closing_gives_the_terminal_back(clock: Clock, terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        calls = logger(verbose=1, epochs=1, steps=12)
        calls.on_train_begin()
        calls.on_epoch_begin(0)
        calls.on_chunk("train", 4, {"loss": 1.0})
        print("from a callback")
        before = terminal.getvalue()
        calls.on_close()  # as after Ctrl-C
        calls.on_close()
        assert sys.stdout is terminal
    assert "from a callback\n" in before, "prints go above the bar"
    assert SHOW_CURSOR not in before
    assert terminal.getvalue().endswith(SHOW_CURSOR)
