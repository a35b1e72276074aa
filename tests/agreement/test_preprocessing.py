"""Layers that prepare data as with Keras: the cases of `reference/preprocessing.py`."""

import numpy as np
import pytest
from agreement import LIVE, close, expected, stored
from preprocessing import CASES, Case, record

import graphc

pytestmark = [pytest.mark.filterwarnings("default")] if LIVE else []


def test_the_file_holds_these_cases() -> None:
    assert set(stored("preprocessing")) - {"made by"} == {case.name for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_layer(case: Case) -> None:
    wanted, actual = expected("preprocessing", case.name), record(graphc, case)
    assert {k: v.shape for k, v in actual.items()} == {k: v.shape for k, v in wanted.items()}
    for key, value in wanted.items():
        if value.dtype.kind == "f":
            close(actual[key], value, 1e-5, 1e-6, key)
        else:
            np.testing.assert_array_equal(actual[key], value, key)
