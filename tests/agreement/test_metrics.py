"""Metrics as with Keras: the cases of `reference/metrics.py`."""

import numpy as np
import pytest
from agreement import LIVE, close, expected, stored
from metrics import CASES, Case, record

import graphc

pytestmark = [pytest.mark.filterwarnings("default")] if LIVE else []


def test_the_file_holds_these_cases() -> None:
    assert set(stored("metrics")) - {"made by"} == {case.name for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_metric(case: Case) -> None:
    wanted, actual = expected("metrics", case.name), record(graphc, case)
    assert {k: v.shape for k, v in actual.items()} == {k: v.shape for k, v in wanted.items()}
    for key, value in wanted.items():
        close(actual[key], value, 1e-4, 2e-5 * float(np.abs(value).max()), key)
