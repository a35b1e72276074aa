"""History.plot: the curves of an epoch's logs, by matplotlib."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from graphc.callbacks import History


def history() -> History:
    found = History()
    found.history = {
        "accuracy": [0.5, 0.75, 0.8], "loss": [3.0, 2.0, 1.5], "val_loss": [3.5, 2.5, 2.4]
    }  # fmt: skip
    return found


def test_each_log_has_its_curves(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    figure = history().plot()
    curves = {
        axes.get_title(): {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
        for axes in figure.axes
    }
    assert curves == {
        "accuracy": {"accuracy": [0.5, 0.75, 0.8]},
        "loss": {"loss": [3.0, 2.0, 1.5], "val_loss": [3.5, 2.5, 2.4]},
    }
    figure.savefig(tmp_path / "curves.svg")
    assert figure._repr_png_().startswith(b"\x89PNG")  # what notebooks show
    assert [axes.get_title() for axes in history().plot(["loss"]).axes] == ["loss"]


def test_errors_of_plots() -> None:
    pytest.importorskip("matplotlib", reason="the extra plot is not installed")
    with pytest.raises(ValueError, match=r"Unknown curve 'los'\. Did you mean 'loss'"):
        history().plot(["los"])
    with pytest.raises(ValueError, match="nothing to draw before the first epoch"):
        History().plot()


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "graphc.callbacks.curves", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'graphc\[plot\]'"):
        history().plot()
