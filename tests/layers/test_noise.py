"""Layers that are random: the distribution of what they do, in training only, and their seeds."""

from typing import Any

import numpy as np
import pytest

from graphc import layers, models, utils

X = np.ones((200, 8, 25), np.float32)

# Layer -> mean and standard deviation of what it makes of ones.
NOISE: dict[str, tuple[Any, float, float]] = {
    "GaussianNoise": (lambda **seed: layers.GaussianNoise(0.5, **seed), 1.0, 0.5),
    "GaussianDropout": (lambda **seed: layers.GaussianDropout(0.2, **seed), 1.0, 0.5),
    "SpatialDropout1D": (lambda **seed: layers.SpatialDropout1D(0.5, **seed), 1.0, 1.0),
    "Dropout": (lambda **seed: layers.Dropout(0.2, **seed), 1.0, 0.5),
}


def run(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    model = models.Sequential([layers.Input(X.shape[1:]), layer])
    np.testing.assert_array_equal(model.predict(X, verbose=0), X)
    return model.predict_in_training(X), model.predict_in_training(X)


@pytest.mark.parametrize("name", NOISE)
def test_distribution(name: str) -> None:
    make, mean, deviation = NOISE[name]
    utils.set_random_seed(0)
    first, second = run(make())
    assert not np.array_equal(first, second)
    # 40,000 numbers, 5,000 where channels are dropped: four standard errors.
    np.testing.assert_allclose(first.mean(), mean, atol=4 * deviation / np.sqrt(5_000))
    np.testing.assert_allclose(first.std(), deviation, rtol=0.05)
    utils.set_random_seed(0)
    np.testing.assert_array_equal(run(make())[0], first)


def test_normal_noise_is_normal() -> None:
    utils.set_random_seed(1)
    noise = np.sort((run(layers.GaussianNoise(1.0))[0] - 1).ravel())
    for level, quantile in ((0.0228, -2.0), (0.1587, -1.0), (0.5, 0.0), (0.8413, 1.0)):
        np.testing.assert_allclose(noise[int(level * noise.size)], quantile, atol=0.06)


def test_whole_channels_are_dropped() -> None:
    found = run(layers.SpatialDropout1D(0.5))[0]
    assert set(np.unique(found)) == {0.0, 2.0}
    np.testing.assert_array_equal(found, np.broadcast_to(found[:, :1], found.shape))


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    utils.set_random_seed(2)
    x = np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    model = models.Sequential([layers.Input(x.shape[1:]), layers.AlphaDropout(0.3)])
    found = model.predict_in_training(x)
    np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=0.03)


def test_a_seed_of_ones_own() -> None:
    first, second = (run(layers.GaussianNoise(0.5, seed=3))[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
