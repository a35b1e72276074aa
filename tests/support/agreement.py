"""Agreement with Keras: a module `tests/reference/<group>.py` has CASES and record(library, case).

What Keras gave is kept in `tests/reference/<group>.npz`, which `tests/reference/make_reference.py`
writes. With GRAPHC_LIVE_KERAS=1 Keras computes it on the spot, on the backend that KERAS_BACKEND
names.
"""

import os
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Arrays = dict[str, np.ndarray]

FOLDER = Path(__file__).parent.parent / "reference"
sys.path.insert(0, str(FOLDER))

LIVE = os.environ.get("GRAPHC_LIVE_KERAS") == "1"


@cache
def stored(group: str) -> dict[str, Arrays]:
    """Keras's results of a group's cases, from its file."""
    found: dict[str, Arrays] = {}
    with np.load(FOLDER / f"{group}.npz") as file:
        for key in file:
            case, _, name = key.partition("/")
            found.setdefault(case, {})[name] = file[key]
    return found


@cache
def expected(group: str, name: str) -> Arrays:
    """Keras's results of a case, from the file or live."""
    if LIVE:
        keras = pytest.importorskip("keras", reason="GRAPHC_LIVE_KERAS=1, but no Keras")
        module: Any = import_module(group)
        return dict(module.record(keras, next(c for c in module.CASES if c.name == name)))
    return stored(group)[name]


def close(
    actual: np.ndarray, wanted: np.ndarray, relative: float, absolute: float, what: str = ""
) -> None:
    """Asserts equality within absolute + relative * |wanted|."""
    np.testing.assert_allclose(actual, wanted, rtol=relative, atol=absolute, err_msg=what)
