"""LivePlot: curves while training goes on, in notebooks and in files."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models

pytest.importorskip("matplotlib", reason="the extra plot is not installed")
X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
Y = X[:, :1]


@pytest.fixture(scope="module")
def model() -> Any:
    made = models.Sequential([layers.Input((3,)), layers.Dense(1)])
    made.compile("sgd", "mse", metrics=["mae"])
    return made


def fit(model: Any, *watch: callbacks.Callback, epochs: int = 3) -> Any:
    return model.fit(
        X, Y, epochs=epochs, verbose=0, validation_data=(X, Y), callbacks=list(watch)
    ).history


class Notebook:
    """Stands in for IPython: keeps the curves of what it shows, for each output."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outputs: list[list[dict[str, list[float]]]] = []
        shell, display = ModuleType("IPython"), ModuleType("IPython.display")
        shell.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
        display.display = self.display  # type: ignore[attr-defined]
        shell.version_info = (9, 0)  # type: ignore[attr-defined] # matplotlib asks
        monkeypatch.setitem(sys.modules, "IPython", shell)
        monkeypatch.setitem(sys.modules, "IPython.display", display)

    def display(self, figure: Any, display_id: bool) -> Any:
        assert display_id
        self.outputs.append([])
        self.update(figure)
        return self

    def update(self, figure: Any) -> None:
        assert figure._repr_png_().startswith(b"\x89PNG")
        lines = [line for axes in figure.axes for line in axes.get_lines()]
        self.outputs[-1].append({line.get_label(): list(line.get_ydata()) for line in lines})


def test_a_notebook_shows_each_epoch_in_one_output(
    model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Notebook(monkeypatch)
    live = callbacks.LivePlot(["loss"], seconds=0)
    history = fit(model, live)
    curves = {name: history[name] for name in ("loss", "val_loss")}
    wanted = [{name: values[:n] for name, values in curves.items()} for n in (1, 2, 3)]
    assert notebook.outputs == [wanted]
    more = fit(model, live, epochs=1)
    assert notebook.outputs[1:] == [[{name: curves[name] + more[name] for name in curves}]]


def test_seconds_between_drawings(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first epoch, and the end: as little as that when training is fast."""
    notebook = Notebook(monkeypatch)
    fit(model, callbacks.LivePlot(["mae"], seconds=1e9))
    assert [len(shown["mae"]) for shown in notebook.outputs[0]] == [1, 3]


@pytest.mark.parametrize(("name", "start"), [("c.svg", b"<?xml"), ("c.png", b"\x89PNG")])
def test_a_file_has_the_curves(tmp_path: Path, model: Any, name: str, start: bytes) -> None:
    fit(model, callbacks.LivePlot(filename=tmp_path / name))
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_errors(model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no notebook to draw in; give a filename"):
        fit(model, callbacks.LivePlot())
    path = tmp_path / "c.svg"
    with pytest.raises(ValueError, match=r"Unknown curve 'los'\. Did you mean 'loss'"):
        fit(model, callbacks.LivePlot(["los"], path))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "graphc.callbacks.curves", raising=False)
    with pytest.raises(ImportError, match=r"LivePlot draws with matplotlib: pip install"):
        fit(model, callbacks.LivePlot(filename=path))
