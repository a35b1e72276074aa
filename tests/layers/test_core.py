"""Dense, Activation, Flatten and Dropout."""

from typing import Any

import numpy as np
import pytest

from graphc import compiler, config, layers, models, ops, utils

Array = np.ndarray


def draw(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def alone(layer: layers.Layer, *shape: int | None) -> Any:
    """A model of one layer."""
    return models.Sequential([layers.Input(shape), layer])


def relu(x: Array) -> Array:
    return np.maximum(x, 0)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# Dense.


@pytest.mark.parametrize("shape", [(6,), (4, 6), (2, 3, 6)], ids=str)
@pytest.mark.parametrize("use_bias", [True, False])
def test_dense(shape: tuple[int, ...], use_bias: bool) -> None:
    layer = layers.Dense(5, activation="relu", use_bias=use_bias)
    model = alone(layer, *shape)
    weights = [draw(6, 5), draw(5)][: 1 + use_bias]
    model.set_weights(weights)
    x = draw(7, *shape)
    wanted = x.astype(np.float64) @ weights[0] + (weights[1] if use_bias else 0)
    result = model.predict(x, verbose=0)
    assert result.shape == (7, *shape[:-1], 5)
    np.testing.assert_allclose(result, relu(wanted), rtol=1e-5, atol=1e-5)
    assert [w.name.rpartition("/")[2] for w in layer.weights] == ["kernel", "bias"][: 1 + use_bias]


@pytest.mark.parametrize("activation", ["softmax", softmax.__name__.upper(), None, ops.exp])
def test_dense_activation(activation: Any) -> None:
    if activation == "SOFTMAX":
        with pytest.raises(ValueError, match="Did you mean 'softmax'"):
            layers.Dense(3, activation=activation)
        return
    layer = layers.Dense(3, activation=activation, kernel_initializer="ones")
    x = draw(4, 2)
    linear = x @ np.ones((2, 3))
    wanted = {"softmax": softmax, None: lambda v: v, ops.exp: np.exp}[activation](linear)
    np.testing.assert_allclose(alone(layer, 2).predict(x, verbose=0), wanted, rtol=1e-5)


def test_dense_starts_with_glorot_uniform_and_zeros() -> None:
    layer = layers.Dense(200)
    alone(layer, 100)
    kernel, bias = layer.get_weights()
    limit = (6 / 300) ** 0.5
    assert limit * 0.99 < np.abs(kernel).max() <= limit
    assert abs(kernel.mean()) < limit / 50
    assert not bias.any()


def test_dense_needs_known_features() -> None:
    with pytest.raises(ValueError, match=r"'d' \(Dense\).*'pixels' of shape \(None, None\)"):
        layers.Dense(3, name="d")(layers.Input((None,), name="pixels"))
    x = layers.Input((None, 2))
    assert layers.Dense(3)(x).shape == (None, None, 3)


def test_dense_of_ints() -> None:
    x = layers.Input((3,), dtype="int32")
    model = models.Model(x, layers.Dense(2, kernel_initializer="ones")(x))
    np.testing.assert_array_equal(model.predict([[1, 2, 3]], verbose=0), [[6, 6]])


# Flatten and Activation.


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), ()], ids=str)
def test_flatten(shape: tuple[int, ...]) -> None:
    x = draw(5, *shape)
    result = alone(layers.Flatten(), *shape).predict(x, verbose=0)
    np.testing.assert_array_equal(result, x.reshape(5, -1))


def test_activation() -> None:
    x = draw(3, 4)
    for given in ("relu", ops.relu, layers.Activation("relu").activation):
        result = alone(layers.Activation(given), 4).predict(x, verbose=0)
        np.testing.assert_array_equal(result, relu(x))


# Dropout.

ONES = np.ones((64, 250), np.float32)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_keeps_its_fraction_and_scales_it(rate: float) -> None:
    utils.set_random_seed(1)
    result = alone(layers.Dropout(rate), 250)(ONES, training=True)
    kept = result != 0
    deviation = (rate * (1 - rate) / ONES.size) ** 0.5
    assert abs(kept.mean() - (1 - rate)) < 4 * deviation
    np.testing.assert_allclose(result[kept], 1 / (1 - rate), rtol=1e-6)
    # Neither rows nor columns are dropped together.
    assert np.abs(kept.mean(0) - (1 - rate)).max() < 0.3
    assert np.abs(kept.mean(1) - (1 - rate)).max() < 0.15


def test_dropout_is_off_in_inference() -> None:
    model = alone(layers.Dropout(0.5), 250)
    model.compile("sgd", "mse")
    np.testing.assert_array_equal(model.predict(ONES, verbose=0), ONES)
    np.testing.assert_array_equal(model(ONES, training=False), ONES)
    assert model.evaluate(ONES, ONES, verbose=0) == 0


@pytest.mark.parametrize(("rate", "wanted"), [(0, 1), (1, 0)])
def test_dropout_of_nothing_and_of_all(rate: float, wanted: float) -> None:
    np.testing.assert_array_equal(
        alone(layers.Dropout(rate), 250)(ONES, training=True), wanted * ONES
    )


def test_dropout_noise_shape_is_shared() -> None:
    utils.set_random_seed(2)
    result = alone(layers.Dropout(0.5, noise_shape=(None, 1, 40)), 5, 40)(
        np.ones((30, 5, 40), np.float32), training=True
    )
    np.testing.assert_array_equal(result, np.broadcast_to(result[:, :1], result.shape))
    assert 0.4 < (result[:, 0] != 0).mean() < 0.6


@pytest.mark.parametrize("wrong", [(0, 3), (None, -1), (None, 2.5)], ids=str)
def test_dropout_noise_shape_is_checked(wrong: Any) -> None:
    with pytest.raises(ValueError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape=wrong)


@pytest.mark.parametrize("wrong", [(None, 1), (None, 2, 2), (None, 2, 3, 1)], ids=str)
def test_dropout_noise_shape_must_fit_the_input(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"'input_layer.*' of shape \(None, 2, 3\): noise_shape"):
        alone(layers.Dropout(0.5, noise_shape=wrong), 2, 3)


@pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
def test_dropout_rate_is_checked(rate: float) -> None:
    with pytest.raises(ValueError, match="Dropout: rate must be between 0 and 1"):
        layers.Dropout(rate)


def test_dropout_differs_from_step_to_step_and_from_layer_to_layer() -> None:
    utils.set_random_seed(3)
    x = layers.Input((250,))
    model = models.Model(x, [layers.Dropout(0.5)(x), layers.Dropout(0.5)(x)])
    steps = [model(ONES, training=True) for _ in range(2)]
    masks = [mask for step in steps for mask in step]
    for at, mask in enumerate(masks):
        for other in masks[at + 1 :]:
            assert 0.4 < (mask == other).mean() < 0.6


@pytest.mark.parametrize("seed", [None, 5, 2**31 - 1, -1, 2**40])
def test_dropout_is_reproducible(seed: int | None) -> None:
    def steps(process_seed: int) -> list[Array]:
        utils.set_random_seed(process_seed)
        model = alone(layers.Dropout(0.5, seed=seed), 250)
        return [model(ONES, training=True) for _ in range(2)]

    first, again, other = steps(8), steps(8), steps(9)
    np.testing.assert_array_equal(first, again)
    assert (np.array(first) == np.array(other)).all() == (seed is not None)


def test_dropout_does_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "WORK_FOR_THREADS", 0)
    results = []
    try:
        for threads in (1, 2, 3, 4):
            config.set_num_threads(threads)
            utils.set_random_seed(4)
            results.append(alone(layers.Dropout(0.3), 250)(ONES, training=True))
    finally:
        config.set_num_threads(None)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_dropout_masks_the_gradient() -> None:
    utils.set_random_seed(5)
    model = models.Sequential(
        [layers.Input((400,)), layers.Dropout(0.25), layers.Dense(1, use_bias=False)]
    )
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    model.train_on_batch(np.ones((1, 400)), np.ones((1, 1)))
    change = model.get_weights()[0] - before
    kept = change != 0
    assert 0.65 < kept.mean() < 0.85
    np.testing.assert_allclose(change[kept], change[kept][0], rtol=1e-3)


def test_training_given_in_the_call_holds_everywhere() -> None:
    x = layers.Input((250,))
    inner = models.Sequential([layers.Input((250,)), layers.Dropout(0.5)])
    always = models.Model(x, inner(x, training=True))
    assert (always.predict(ONES, verbose=0) == 0).any()
    never = models.Model(x, inner(x, training=False))
    np.testing.assert_array_equal(never(ONES, training=True), ONES)
