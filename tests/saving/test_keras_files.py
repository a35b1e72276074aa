"""Files that real Keras wrote: `tests/reference/files/`."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from families import FAMILIES, Family

import graphc

FOLDER = Path(__file__).parent.parent / "reference" / "files"


@cache
def results() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "results.npz") as file:
        return dict(file)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_model_of_keras_goes_on(family: Family) -> None:
    path = FOLDER / f"{family.name}{family.suffix}"
    model = graphc.saving.load_model(path)
    other = family.build(graphc)  # and its weights go into the same model made here
    other.load_weights(path)
    for mine, its in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, its)
    for at, predicted in enumerate(family.predictions(model)):
        wanted = results()[f"{family.name}/prediction/{at}"]
        np.testing.assert_allclose(predicted, wanted, rtol=1e-4, atol=1e-5)
    if family.trains:
        wanted = results()[f"{family.name}/losses"]
        np.testing.assert_allclose(family.losses(model), wanted, rtol=1e-4)
