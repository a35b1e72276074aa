"""Dense networks train as with Keras: the cases of `reference/dense.py` against Keras's results."""

import numpy as np
import pytest
from agreement import LIVE, close, expected, stored
from dense import CASES, Case, record

import graphc

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
pytestmark = [pytest.mark.filterwarnings("default")] if LIVE else []


def test_the_file_holds_these_cases() -> None:
    assert set(stored("dense")) - {"made by"} == {case.name for case in CASES}


@each_case
def test_training(case: Case) -> None:
    wanted = expected("dense", case.name)
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
        elif kind == "predictions":
            close(actual[key], value, 1e-5, 1e-6 * np.abs(value).max())
        elif kind in ("history", "evaluate", "single_steps"):
            close(actual[key], value, 1e-3, 1e-6)
