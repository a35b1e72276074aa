"""Infinities and NaN: fit says so once and goes on, callbacks stop it, find_nonfinite names it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models, ops, optimizers

X = np.random.default_rng(9).normal(size=(20, 3)).astype(np.float32)
Y = np.ones((20, 1), np.float32)


def spoiled(row: int) -> Any:
    x = X.copy()
    x[row, 1] = np.nan
    return x


def linear_model(**compile_options: Any) -> Any:
    model = models.Sequential([layers.Input((3,)), layers.Dense(1, name="only")])
    model.compile(**{"optimizer": "sgd", "loss": "mse", **compile_options})
    return model


def test_fit_says_once_when_the_loss_is_no_number(capsys: Any) -> None:
    model = linear_model()
    history = model.fit(spoiled(9), Y, batch_size=4, epochs=3, shuffle=False, verbose=0)
    text = capsys.readouterr().out
    assert text.count("The loss became nan in epoch 1, step 3") == 1
    assert text.count("The loss became") == 1 and "find_nonfinite" in text
    assert len(history.epoch) == 3 and np.isnan(history.history["loss"]).all()
    assert model.optimizer.iterations.value == 15


def test_fit_says_so_in_the_epoch_where_it_happens(capsys: Any) -> None:
    model = linear_model(optimizer=optimizers.SGD(1e6))
    model.fit(X, Y, batch_size=20, epochs=9, verbose=0)
    said = [line for line in capsys.readouterr().out.splitlines() if "The loss became" in line]
    assert len(said) == 1 and said[0].startswith("The loss became inf in epoch 4, step 1")


def test_terminate_on_nan(capsys: Any) -> None:
    model = linear_model()
    stop = callbacks.TerminateOnNaN()
    history = model.fit(
        spoiled(9), Y, batch_size=4, epochs=3, shuffle=False, verbose=0, callbacks=[stop]
    )
    assert history.epoch == [0] and model.optimizer.iterations.value == 3
    assert "Batch 2: Invalid loss, terminating training" in capsys.readouterr().out


# Where it comes from.


def test_finite_steps_have_no_culprit() -> None:
    model = linear_model(optimizer="adam")
    before = model.get_weights()
    assert model.find_nonfinite(X, Y) is None
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def chain(*activations: Any) -> Any:
    model = models.Sequential([layers.Input((3,))])
    for at, activation in enumerate(activations):
        model.add(layers.Activation(activation, name=f"stage_{at}"))
    model.compile("sgd", "mse")
    return model


def infinite_weights() -> Any:
    model = linear_model()
    kernel, bias = model.get_weights()
    model.set_weights([kernel * np.inf, bias])
    return model


def root() -> Any:
    """A model that is fine at 0, where its derivative is infinite."""
    model = models.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(1, use_bias=False),
            layers.Activation(ops.sqrt, name="root"),
        ]
    )
    model.compile("sgd", "mse")
    return model


# What happens: a model, x, y, and op, layer and phase of the first value that is not finite.
CASES: dict[str, tuple[Callable[[], Any], Any, Any, tuple[str, str, str]]] = {
    "data": (linear_model, spoiled(3), Y, ("input", "data", "data")),
    "targets": (linear_model, X, Y * np.inf, ("input", "data", "data")),
    "weights": (infinite_weights, X, Y, ("input", "only", "forward")),
    "forward": (
        partial(chain, "linear", ops.log, "relu"), -np.abs(X), X, ("log", "stage_1", "forward")
    ),
    "loss": (partial(chain, "linear"), X * 1e30, X, ("mul", "loss", "forward")),
    "backward": (root, np.zeros((4, 3)), Y[:4], ("div", "root", "backward")),
    "update": (
        partial(linear_model, optimizer=optimizers.SGD(1e30)), X * 1e15, Y,
        ("mul", "only", "update"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_first_node_is_named(name: str) -> None:
    make, x, y, wanted = CASES[name]
    found = make().find_nonfinite(x, y)
    assert found is not None
    assert (found.op, found.layer, found.phase) == wanted
    assert all(part in str(found) for part in (found.node, *wanted))
    if name == "forward":
        assert found.where.startswith("test_nonfinite.py:") and found.where in str(found)
