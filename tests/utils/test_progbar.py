"""The bar on its own; tests/test_callbacks_progress.py has what it draws."""

import pytest

from graphc.utils import Progbar


def test_values_are_averaged_over_steps(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(None, verbose=2, stateful_metrics=["rate"], unit_name="sample")
    bar.update(2, [("loss", 4.0), ("rate", 4.0)])
    bar.add(4, [("loss", 1.0), ("rate", 1.0)])
    assert capsys.readouterr().out == ""
    bar.update(6, finalize=True)
    out = capsys.readouterr().out
    assert out.startswith("6/6 - 0s - ")
    assert out.endswith("/sample - loss: 2.0000 - rate: 1.0000\n")  # (2 * 4 + 4 * 1) / 6


def test_the_end_shows_its_own_values(capsys: pytest.CaptureFixture[str]) -> None:
    bar = Progbar(2, stateless_metrics=["loss"])
    bar.add(1, [("loss", 4.0), ("name", "x")])
    bar.add(1, [("loss", 1.0)])
    assert capsys.readouterr().out.endswith(" - loss: 1.0000 - name: x\n")


def test_silence_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    Progbar(1, verbose=0).update(1)
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="pass stateful_metrics or stateless_metrics, not both"):
        Progbar(1, stateful_metrics=[], stateless_metrics=[])
