"""The same seed gives the same bits: on any number of threads, and in every process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from graphc import compiler, config, layers, models, utils

Array = np.ndarray
RANDOM = np.random.default_rng(8)
X = RANDOM.normal(size=(301, 61)).astype(np.float32)
Y = RANDOM.integers(0, 7, 301)


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads run however little there is to do."""
    monkeypatch.setattr(compiler, "WORK_FOR_THREADS", 0)
    yield
    config.set_num_threads(None)


def trained(count: int) -> tuple[Any, list[Array]]:
    """A model trained on so many threads; weights, history, losses and metrics."""
    config.set_num_threads(count)
    utils.set_random_seed(11)
    model = models.Sequential(
        [
            layers.Input((61,)),
            layers.Dense(93, activation="relu"),
            layers.Dropout(0.4),
            layers.Dense(7, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(X, Y, batch_size=64, epochs=2, verbose=0).history
    return model, [*model.get_weights(), *map(np.array, history.values())]


def same(actual: list[Array], wanted: list[Array]) -> None:
    for a, b in zip(actual, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_does_not_depend_on_threads() -> None:
    model, alone = trained(1)
    for count in (2, 3, 4):
        same(trained(count)[1], alone)
    results = []
    for count in (1, 2, 3, 4):
        config.set_num_threads(count)
        logs = model.evaluate(X, Y, batch_size=50, verbose=0)
        results.append([model.predict(X, verbose=0), model(X[:3]), np.array(logs)])
    for result in results[1:]:
        same(result, results[0])


def test_the_seed_decides() -> None:
    def kernel(seed: int) -> Array:
        utils.set_random_seed(seed)
        return models.Sequential([layers.Input((61,)), layers.Dense(93)]).get_weights()[0]

    np.testing.assert_array_equal(kernel(11), kernel(11))
    assert not np.array_equal(kernel(11), kernel(12))


PROGRAM = """
import numpy as np
from graphc import layers, models, utils
utils.set_random_seed(3)
x = np.random.default_rng(1).normal(size=(90, 9)).astype("f")
inputs = layers.Input((9,))
hidden = layers.Dropout(0.3)(layers.Dense(8, activation="tanh")(inputs))
model = models.Model(inputs, layers.Dense(3)(hidden) + layers.Dense(3)(inputs))
model.compile("rmsprop", "mse", metrics=["mae", "accuracy"])
model.fit(x, x[:, :3], batch_size=32, epochs=2, verbose=0)
print(b"".join(w.tobytes() for w in model.get_weights()).hex())
"""


def test_every_process_gives_the_same() -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "GRAPHC_NUM_THREADS": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("1", "2")
    ]
    outputs = [process.communicate(timeout=60)[0] for process in running]
    assert outputs[0] == outputs[1] and len(outputs[0]) > 500
