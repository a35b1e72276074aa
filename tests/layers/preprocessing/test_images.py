"""Resizing and cropping: dtypes, single images, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import layers, models, ops

IMAGE = (np.arange(2 * 4 * 5 * 3) * 7 % 251).astype(np.uint8).reshape(2, 4, 5, 3)


def test_integers_are_rounded_and_stay_integers() -> None:
    found = layers.Resizing(3, 7)(IMAGE)
    exact = layers.Resizing(3, 7)(IMAGE.astype(np.float32))
    assert found.dtype == np.uint8 and exact.dtype == np.float32
    np.testing.assert_array_equal(found, np.round(exact))
    # Beyond 255, where cubic interpolation overshoots, they end.
    edge = np.repeat(np.array([0, 0, 255, 255], np.uint8), 4).reshape(1, 4, 4, 1)
    assert layers.Resizing(9, 4, "bicubic")(edge).max() == 255
    assert layers.Resizing(9, 4, "bicubic")(edge.astype(np.float32)).max() > 255


def test_one_image_is_resized_as_in_a_batch() -> None:
    for layer in (layers.Resizing(6, 2), layers.CenterCrop(3, 2), layers.CenterCrop(6, 6)):
        np.testing.assert_array_equal(layer(IMAGE[1]), layer(IMAGE)[1])


def test_nearest_repeats_and_leaves_out() -> None:
    found = ops.image.resize(IMAGE, (8, 5), "nearest")
    np.testing.assert_array_equal(found, IMAGE.repeat(2, 1))


def test_a_resized_batch_has_any_number_of_rows() -> None:
    model = models.Sequential([layers.Input((4, 5, 3)), layers.Resizing(2, 2)])
    whole = layers.Resizing(2, 2)(IMAGE.astype(np.float32))
    np.testing.assert_allclose(model.predict(IMAGE, batch_size=2, verbose=0), whole, rtol=1e-6)
    np.testing.assert_allclose(model.predict(IMAGE[:1], verbose=0), whole[:1], rtol=1e-6)


def test_the_identity_moves_nothing() -> None:
    x = IMAGE.astype(np.float32)
    identity = np.tile(np.float32([1, 0, 0, 0, 1, 0, 0, 0]), (2, 1))
    for fill in ("constant", "nearest", "wrap", "mirror", "reflect"):
        np.testing.assert_array_equal(ops.image.affine_transform(x, identity, fill_mode=fill), x)


FILLS = {  # scipy.ndimage's names, of a row 1 2 3 moved by 5 to the right
    "constant": [0, 0, 0],
    "nearest": [1, 1, 1],
    "wrap": [2, 3, 1],
    "mirror": [2, 1, 2],
    "reflect": [2, 3, 3],
}


@pytest.mark.parametrize("fill", FILLS)
def test_what_comes_from_outside(fill: str) -> None:
    row = np.float32([1, 2, 3]).reshape(1, 3, 1)
    moved = ops.image.affine_transform(row, np.float32([1, 0, -5, 0, 1, 0, 0, 0]), fill_mode=fill)
    assert moved.ravel().tolist() == FILLS[fill]


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: layers.Resizing(2, 0), "Resizing: width must be an int of at least 1, got 0"),
    (lambda: layers.Resizing(2, 2, "cubic")(IMAGE), "interpolation must be one of"),
    (lambda: layers.Resizing(2, 2, fill_mode="reflect")(IMAGE), "fill_mode must be 'constant'"),
    (
        lambda: layers.Resizing(2, 2, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)(IMAGE),
        "only one of",
    ),
    (lambda: layers.CenterCrop(2, 2)(layers.Input((None, None, 3))), "must be fixed"),
    (lambda: ops.image.resize(IMAGE, (3,)), "size must be two"),
    (lambda: ops.image.resize(IMAGE[0, 0], (2, 2)), "3 or 4 axes"),
    (
        lambda: ops.image.affine_transform(IMAGE, np.ones((2, 6), np.float32)),
        r"transforms \(batch, 8\)",
    ),
    (
        lambda: ops.image.affine_transform(IMAGE, np.ones(8, np.float32), fill_mode="edge"),
        "fill_mode must be one of",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
