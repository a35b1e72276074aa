"""The bundled data: what it holds, and how it is split."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from graphc.datasets import digits


@pytest.fixture
def ten_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Image number i is all i, and its label is i."""
    numbers = np.arange(10, dtype=np.uint8)
    (tmp_path / "data").mkdir()
    x = np.broadcast_to(numbers[:, None, None], (10, 8, 8))
    np.savez(tmp_path / "data" / "digits.npz", x=x, y=numbers)
    monkeypatch.setattr(digits, "files", lambda package: tmp_path)
    yield


@pytest.mark.usefixtures("ten_images")
def test_every_image_is_in_one_half_with_its_label() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data(test_fraction=0.3)
    assert x_train.shape == (7, 8, 8)
    assert x_test.shape == (3, 8, 8)
    labels = np.concatenate([y_train, y_test])
    np.testing.assert_array_equal(np.concatenate([x_train, x_test])[:, 0, 0], labels)
    assert sorted(labels) == list(range(10))
    assert labels.tolist() != list(range(10))


@pytest.mark.usefixtures("ten_images")
def test_the_seed_makes_the_split() -> None:
    first, again, other = (digits.load_data(seed=seed)[0][1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.usefixtures("ten_images")
@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2, 1.5])
def test_both_halves_need_images(fraction: float) -> None:
    with pytest.raises(ValueError, match=f"more than 0 and less than 1, received {fraction}"):
        digits.load_data(test_fraction=fraction)


def test_the_digits_are_those_of_the_source() -> None:
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert x_train.shape == (1438, 8, 8)
    assert x_test.shape == (359, 8, 8)
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    assert x.dtype == y.dtype == np.uint8
    assert (x.min(), x.max()) == (0, 16)
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
