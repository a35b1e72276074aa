"""House prices in California's districts, 1990."""

from __future__ import annotations

from . import housing
from .digits import Split
from .source import KERAS_FILES, Source, read_npz

SOURCE = Source(
    "california_housing.npz",
    KERAS_FILES + "california_housing.npz",
    "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
)


def load_data(
    version: str = "large",
    path: str = "california_housing.npz",
    test_split: float = 0.2,
    seed: int = 113,
) -> tuple[Split, Split]:
    """Median prices of houses, by district (`keras.datasets.california_housing`).

    Args:
        version: "large" (default), 20,640 districts, or "small", the first 600.
        path: name of the file in the cache, ~/.keras/datasets.
        test_split: share of the test half, at least 0 and less than 1; 0.2 by default.
        seed: of the shuffle before the split.

    Returns:
        (x_train, y_train), (x_test, y_test): x (n, 8), the district's median income, house age,
        rooms, bedrooms, population, occupants, latitude and longitude; y (n,), in dollars. Both
        in the dtypes of the file.

    Raises:
        ValueError: for another version or test_split, and when the file is damaged.
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
    """
    if version not in ("small", "large"):
        raise ValueError(f"california_housing: version must be 'small' or 'large', got {version!r}")
    x, y = read_npz(SOURCE.fetch(path), "x", "y")
    if version == "small":
        x, y = x[:600], y[:600]
    return housing.split(x, y, test_split, seed)
