"""graphc trains as Keras does: the cases of `reference/cases.py` against Keras's results.

The results are read from `reference/dense.npz`, which `reference/make_reference.py` wrote.
With GRAPHC_LIVE_KERAS=1 Keras computes them on the spot instead, on the backend that
KERAS_BACKEND names.
"""

import os
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import graphc

FOLDER = Path(__file__).with_name("reference")
sys.path.insert(0, str(FOLDER))

from cases import CASES, Arrays, Case, predictions, record, started  # noqa: E402

LIVE = os.environ.get("GRAPHC_LIVE_KERAS") == "1"
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
pytestmark = [pytest.mark.filterwarnings("default")] if LIVE else []


@cache
def stored() -> Arrays:
    with np.load(FOLDER / "dense.npz") as file:
        return dict(file)


@cache
def expected(case_name: str) -> Arrays:
    """What Keras gave for a case, from the file or live."""
    if LIVE:
        keras = pytest.importorskip("keras", reason="GRAPHC_LIVE_KERAS=1, but no Keras")
        return record(keras, next(case for case in CASES if case.name == case_name))
    prefix = f"{case_name}/"
    return {k.removeprefix(prefix): v for k, v in stored().items() if k.startswith(prefix)}


def close(actual: np.ndarray, wanted: np.ndarray, relative: float, absolute: float) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=relative, atol=absolute)


def test_the_file_holds_these_cases() -> None:
    names = {key.split("/")[0] for key in stored() if "/" in key}
    assert names == {case.name for case in CASES}
    assert str(stored()["keras_version"]).startswith("3.")


@each_case
def test_predictions(case: Case) -> None:
    wanted = expected(case.name)["predictions"]
    model = started(graphc, case)
    close(predictions(model, case), wanted, 1e-5, 1e-6 * np.abs(wanted).max())


@each_case
def test_training(case: Case) -> None:
    wanted = expected(case.name)
    actual = record(graphc, case)
    assert list(actual) == list(wanted)  # the keys of History among them, in their order
    assert {k: v.shape for k, v in actual.items()} == {k: v.shape for k, v in wanted.items()}
    close(actual["data"], wanted["data"], 1e-6, 1e-5)
    for key, value in wanted.items():
        kind, _, index = key.partition("/")
        if kind == "initial":
            close(actual[key], value, 1e-6, 0)
        elif kind == "final":  # within a thousandth of how far training moved the weights
            close(actual[key], value, 0, 1e-3 * np.abs(value - wanted[f"initial/{index}"]).max())
        elif kind in ("history", "evaluate", "single_steps"):
            close(actual[key], value, 1e-3, 1e-6)
