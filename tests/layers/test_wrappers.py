"""SpectralNormalization: what it divides by, what it keeps, and what it refuses."""

import numpy as np
import pytest

from graphc import layers, models, optimizers, utils


def test_the_kernel_of_training_has_a_largest_singular_value_of_1() -> None:
    utils.set_random_seed(0)
    dense = layers.Dense(6, use_bias=False)
    model = models.Sequential(
        [layers.Input((9,)), layers.SpectralNormalization(dense, power_iterations=30)]
    )
    kernel = dense.kernel.numpy()
    trained = model.predict_in_training(np.eye(9, dtype=np.float32))
    np.testing.assert_allclose(np.linalg.svd(trained)[1][0], 1, rtol=1e-4)
    np.testing.assert_allclose(trained * np.linalg.svd(kernel)[1][0], kernel, atol=1e-4)
    np.testing.assert_array_equal(dense.kernel.numpy(), kernel)
    np.testing.assert_allclose(model.predict(np.eye(9), verbose=0), kernel, rtol=1e-6)


def test_one_iteration_a_step_goes_on_from_step_to_step() -> None:
    utils.set_random_seed(1)
    model = models.Sequential(
        [layers.Input((9,)), layers.SpectralNormalization(layers.Dense(6, use_bias=False))]
    )
    model.compile(optimizers.SGD(0.0), "mse")
    x = np.eye(9, dtype=np.float32)
    model.fit(x, np.zeros((9, 6)), batch_size=1, epochs=8, verbose=0)
    np.testing.assert_allclose(np.linalg.svd(model.predict_in_training(x))[1][0], 1, rtol=1e-3)


def test_a_kernel_of_zeros_stays_zeros() -> None:
    layer = layers.SpectralNormalization(layers.Dense(2, kernel_initializer="zeros"))
    assert not layer(np.ones((3, 4), np.float32), training=True).any()


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="neither a kernel nor embeddings"):
        layers.SpectralNormalization(layers.Dropout(0.1))(np.ones((2, 2), np.float32))
    with pytest.raises(ValueError, match="power_iterations must be"):
        layers.SpectralNormalization(layers.Dense(2), power_iterations=0)
    with pytest.raises(ValueError, match="SpectralNormalization: expected a layer"):
        layers.SpectralNormalization("dense")  # type: ignore[arg-type]
