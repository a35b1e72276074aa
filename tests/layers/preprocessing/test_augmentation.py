"""Layers that change images in training: what they draw, when, and what they refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import layers, models, utils

SHAPE = (6, 8, 2)
X = np.random.default_rng(0).uniform(0, 255, (400, *SHAPE)).astype(np.float32)

MAKERS: dict[str, Callable[..., Any]] = {
    "RandomFlip": layers.RandomFlip,
    "RandomTranslation": lambda **seed: layers.RandomTranslation(0.3, 0.2, **seed),
    "RandomRotation": lambda **seed: layers.RandomRotation(0.2, **seed),
    "RandomZoom": lambda **seed: layers.RandomZoom(0.5, **seed),
    "RandomContrast": lambda **seed: layers.RandomContrast(0.5, **seed),
    "RandomBrightness": lambda **seed: layers.RandomBrightness(0.5, **seed),
}
CHANGES = [*MAKERS, "RandomCrop"]


def make(name: str, **seed: int) -> Any:
    return layers.RandomCrop(4, 5, **seed) if name == "RandomCrop" else MAKERS[name](**seed)


@pytest.mark.parametrize("name", CHANGES)
def test_only_in_training_and_other_numbers_at_every_step(name: str) -> None:
    utils.set_random_seed(0)
    model = models.Sequential([layers.Input(SHAPE), make(name)])
    if name != "RandomCrop":
        np.testing.assert_array_equal(model.predict(X, verbose=0), X)
    np.testing.assert_array_equal(model.predict(X, verbose=0), model(X))
    first, second = model.predict_in_training(X), model.predict_in_training(X)
    assert first.shape == second.shape == (400, *model.output_shape[1:])
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("name", CHANGES)
def test_on_arrays_they_change_unless_told_otherwise(name: str) -> None:
    layer = make(name, seed=3)
    changed, same = layer(X), layer(X, training=False)
    assert changed.dtype == same.dtype == np.float32
    assert not np.array_equal(changed, same)
    assert layer(X.astype(np.uint8)).dtype == np.float32
    assert layer(X[0]).shape == changed.shape[1:]


@pytest.mark.parametrize("name", CHANGES)
def test_a_seed_of_ones_own(name: str) -> None:
    found = [
        models.Sequential([layers.Input(SHAPE), make(name, seed=5)]).predict_in_training(X)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize(
    ("mode", "axes"),
    [("horizontal", (2,)), ("vertical", (1,)), ("horizontal_and_vertical", (1, 2))],
)
def test_flip_turns_every_second_image(mode: str, axes: tuple[int, ...]) -> None:
    utils.set_random_seed(1)
    found = layers.RandomFlip(mode)(X)
    turned = (found == np.flip(X, axes)).all((1, 2, 3))
    np.testing.assert_array_equal(turned, (found != X).any((1, 2, 3)))
    assert abs(turned.mean() - 0.5) < 4 * 0.5 / 20  # four standard errors of 400


def test_brightness_is_uniform() -> None:
    utils.set_random_seed(2)
    found = layers.RandomBrightness((-0.2, 0.6))(np.full((2000, 1, 1, 1), 100.0))
    added = np.sort((found.ravel() - 100) / 255)
    for level in (0.3, 0.5, 0.9):
        np.testing.assert_allclose(added[int(2000 * level)], -0.2 + 0.8 * level, atol=0.04)
    assert added.min() >= -0.2 and added.max() < 0.6


def test_contrast_of_a_number_only_grows() -> None:
    utils.set_random_seed(3)
    x = np.array([100.0, 120.0]).reshape(1, 2, 1, 1).repeat(2000, 0)
    factor = np.sort(np.diff(layers.RandomContrast(0.5)(x), axis=1).ravel() / 20)
    for level in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(factor[int(2000 * level)], 1 + 0.5 * level, atol=0.04)


def test_translation_moves_by_whole_images_at_most() -> None:
    utils.set_random_seed(4)
    column = np.arange(10, dtype=np.float32).reshape(1, 10, 1, 1).repeat(2000, 0)
    layer = layers.RandomTranslation((0.1, 0.3), 0, fill_mode="nearest")
    moved = np.sort(5 - layer(column)[:, 5, 0, 0])
    for level in (0.1, 0.5, 0.9):
        np.testing.assert_allclose(moved[int(2000 * level)], 1 + 2 * level, atol=0.1)


def test_each_image_has_its_own_angle() -> None:
    utils.set_random_seed(5)
    found = layers.RandomRotation(0.5)(np.repeat(X[:1], 50, 0))
    assert len(np.unique(found[:, 0, 0, 0])) > 40


def test_crop_takes_one_part_of_all_images_from_everywhere() -> None:
    utils.set_random_seed(6)
    rows, columns = np.indices((5, 9))
    image = (10 * rows + columns)[None, :, :, None].repeat(3, 0).astype(np.float32)
    layer = layers.RandomCrop(3, 6)
    corners = set()
    for _ in range(200):
        found = layer(image)
        corner = int(found[0, 0, 0, 0])
        np.testing.assert_array_equal(found, image[:, corner // 10 :, corner % 10 :][:, :3, :6])
        corners.add(corner)
    assert corners == {10 * row + column for row in range(3) for column in range(4)}


def test_crop_outside_of_training_takes_the_largest_part() -> None:
    image = X[:2, :, :, :1]  # 6 by 8
    found = layers.RandomCrop(3, 3)(image, training=False)
    np.testing.assert_allclose(found, layers.Resizing(3, 3)(image[:, :, 1:7]), rtol=1e-6)


def test_training_goes_through_them() -> None:
    utils.set_random_seed(0)
    model = models.Sequential(
        [layers.Input(SHAPE), layers.Rescaling(1 / 255), layers.RandomFlip("horizontal"),
         layers.RandomRotation(0.05), layers.RandomZoom(0.1), layers.RandomTranslation(0.1, 0.1),
         layers.Flatten(), layers.Dense(1)]
    )  # fmt: skip
    y = X.mean((1, 2, 3))[:, None] / 255
    model.compile("adam", "mse")
    losses = model.fit(X, y, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2


REFUSED = [
    (lambda: layers.RandomFlip("sideways"), "mode must be one of"),
    (lambda: layers.RandomRotation(1.5), r"RandomRotation: factor must be .* in \[-1, 1\], got"),
    (lambda: layers.RandomZoom("much"), "RandomZoom: height_factor must be a number or a pair"),
    (lambda: layers.RandomTranslation(0.1, (0.1, 0.2, 0.3)), "RandomTranslation: width_factor"),
    (lambda: layers.RandomRotation(0.1, fill_mode="edge"), "fill_mode must be one of"),
    (lambda: layers.RandomRotation(0.1, interpolation="cubic"), "interpolation must be one of"),
    (lambda: layers.RandomContrast(-0.1), r"RandomContrast: factor .* in \[0, 1\]"),
    (lambda: layers.RandomBrightness(0.1, value_range=5), "value_range must be two numbers"),
    (lambda: layers.RandomCrop(0, 3), "RandomCrop: height must be an int of at least 1"),
    (lambda: layers.RandomFlip(data_format="middle"), "data_format must be"),
    (lambda: layers.RandomFlip()(np.ones((2, 3))), "expected images"),
    (lambda: layers.RandomFlip()({"images": X, "labels": X}), "takes images alone"),
    (lambda: layers.RandomZoom(0.1)(layers.Input((None, 4, 3))), "height and width must be fixed"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
