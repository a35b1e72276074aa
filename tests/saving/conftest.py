"""Good files to damage, and limits at which tests take little time."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from damage import made

from graphc import budget
from graphc.saving import hdf5

REFERENCE = Path(__file__).parent.parent / "reference"
sys.path[:0] = [str(REFERENCE / "files"), str(REFERENCE)]


@pytest.fixture(scope="module")
def low_limits() -> Iterator[None]:
    """Limits of what takes long, so that the tests do not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget, "MAX_CALLS", 500)
        patch.setattr(hdf5, "MOST_OBJECTS", 500)
        yield


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A file of each kind."""
    folder = tmp_path_factory.mktemp("good")
    model = made()
    model.save_weights(folder / "m.weights.h5")
    model.save(folder / "m.keras")
    return {suffix: (folder / f"m{suffix}").read_bytes() for suffix in (".weights.h5", ".keras")}
