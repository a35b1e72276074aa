"""House prices around Boston in the 1970s."""

from __future__ import annotations

from . import housing
from .digits import Split
from .source import KERAS_FILES, Source, read_npz

SOURCE = Source(
    "boston_housing.npz",
    KERAS_FILES + "boston_housing.npz",
    "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5",
)


def load_data(
    path: str = "boston_housing.npz", test_split: float = 0.2, seed: int = 113
) -> tuple[Split, Split]:
    """Median prices of 506 towns' houses (`keras.datasets.boston_housing`).

    One of its columns assumes that house prices depend on the residents' skin colour;
    `california_housing` with version="small" is there instead.

    Args:
        path: name of the file in the cache, ~/.keras/datasets.
        test_split: share of the test half, at least 0 and less than 1; 0.2 by default.
        seed: of the shuffle before the split.

    Returns:
        (x_train, y_train), (x_test, y_test): x (n, 13); y (n,), in thousands of dollars. Both in
        the dtypes of the file.

    Raises:
        ValueError: for another test_split, and when the file is damaged.
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
    """
    x, y = read_npz(SOURCE.fetch(path), "x", "y")
    return housing.split(x, y, test_split, seed)
