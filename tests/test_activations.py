"""Activations against their formulas in float64, and their derivatives against differences."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from computing import compute

from graphc import activations, ops
from graphc.ir.interpret import interpret
from graphc.ir.types import TensorType
from graphc.passes.gradient import gradient
from graphc.trace import Trace

Array = np.ndarray


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sparsemax(x: Array) -> Array:
    falling = -np.sort(-x, -1)
    mean = (np.cumsum(falling, -1) - 1) / np.arange(1, x.shape[-1] + 1)
    count = (falling > mean).sum(-1, keepdims=True)
    return np.maximum(x - np.take_along_axis(mean, count - 1, -1), 0)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def phi(x: Array) -> Array:
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def approximate_phi(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


FORMULAS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": relu6,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": elu,
    "celu": elu,
    "selu": lambda x: 1.0507009873554805 * elu(x, 1.6732632423543772),
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "softmax": softmax,
    "log_softmax": lambda x: np.log(softmax(x)),
    "sigmoid": sigmoid,
    "log_sigmoid": lambda x: -softplus(-x),
    "tanh": np.tanh,
    "exponential": np.exp,
    "gelu": lambda x: x * phi(x),
    "silu": lambda x: x * sigmoid(x),
    "swish": lambda x: x * sigmoid(x),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "hard_sigmoid": lambda x: relu6(x + 3) / 6,
    "hard_silu": lambda x: x * relu6(x + 3) / 6,
    "hard_swish": lambda x: x * relu6(x + 3) / 6,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "squareplus": lambda x: (x + np.sqrt(x**2 + 4)) / 2,
    "sparse_plus": lambda x: np.where(x < -1, 0, np.where(x > 1, x, (x + 1) ** 2 / 4)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "sparsemax": sparsemax,
}
OPTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array]]] = {
    "relu with all": (
        partial(activations.relu, negative_slope=0.1, max_value=2.0, threshold=0.25),
        lambda x: np.minimum(np.where(x >= 0.25, x, 0.1 * (x - 0.25)), 2),
    ),
    "relu max": (partial(activations.relu, max_value=1.5), lambda x: np.clip(x, 0, 1.5)),
    "relu threshold": (
        partial(activations.relu, threshold=1.0), lambda x: np.where(x >= 1, x, 0)
    ),
    "leaky": (
        partial(activations.leaky_relu, negative_slope=0.5), lambda x: np.where(x > 0, x, x / 2)
    ),
    "elu 2": (partial(activations.elu, alpha=2.0), partial(elu, alpha=2.0)),
    "celu 2": (
        partial(activations.celu, alpha=2.0),
        lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0) / 2)),
    ),
    "gelu approximate": (
        partial(activations.gelu, approximate=True), lambda x: x * approximate_phi(x)
    ),
    "threshold": (
        partial(activations.threshold, threshold=0.5, default_value=-7.0),
        lambda x: np.where(x > 0.5, x, -7),
    ),
    "soft_shrink 1": (
        partial(activations.soft_shrink, threshold=1.0),
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 1, 0),
    ),
    "glu": (
        lambda x: activations.glu(ops.concatenate([x, 1 - x], -1)), lambda x: x * sigmoid(1 - x)
    ),
    "softmax 0": (partial(activations.softmax, axis=0), lambda x: softmax(x.T).T),
}  # fmt: skip
EVERY: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array]]] = {
    **{name: (activations.get(name), formula) for name, formula in FORMULAS.items()},
    **OPTIONS,
}
EDGES = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 3.0, -3.0, 6.0, -6.0, 0.25, 1.5, 30.0, -30.0]


def points() -> Array:
    random = np.random.default_rng(1)
    return np.concatenate([EDGES, random.uniform(-7, 7, 66)]).astype(np.float32).reshape(8, 10)


@pytest.fixture(scope="module")
def results() -> dict[str, Array]:
    return compute({name: function for name, (function, _) in EVERY.items()}, points())


@pytest.mark.parametrize("name", EVERY)
def test_values(name: str, results: dict[str, Array]) -> None:
    wanted = EVERY[name][1](points().astype(np.float64))
    np.testing.assert_allclose(results[name], wanted, rtol=3e-6, atol=5e-7)


def derivative(function: Callable[[Any], Any], x: Array) -> Array:
    """That of the sum of 0.1, 0.2, ... times the function's values, by graphc."""
    trace = Trace("derivative")
    weight = 0.1 * np.arange(1, x.size + 1).reshape(x.shape)
    with trace:
        y = function(trace.input("x", TensorType("f64", x.shape), role="state"))
        trace.output("loss", ops.sum(y * ops.convert_to_tensor(weight, "float64")))
    return interpret(gradient(trace.graph, "loss", ["x"]), {"x": x})["gradient/x"]


@pytest.mark.parametrize("name", EVERY)
def test_derivatives(name: str) -> None:
    function, formula = EVERY[name]
    x = points().astype(np.float64)
    x.flat[: len(EDGES)] += 0.01  # off the kinks
    actual = derivative(function, x)
    weight = 0.1 * np.arange(1, x.size + 1).reshape(x.shape)
    for at in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[at] = 1e-6
        wanted = ((formula(x + step) - formula(x - step)) * weight).sum() / 2e-6
        assert math.isclose(actual[at], wanted, rel_tol=1e-5, abs_tol=1e-6), (x[at], wanted)


@pytest.mark.parametrize("name", EVERY)
def test_derivatives_are_finite_at_kinks_and_far_out(name: str) -> None:
    x = np.array([*EDGES, 80.0, -80.0])
    assert np.isfinite(derivative(EVERY[name][0], x[None] if "softmax" in name else x)).all()


AT_ZERO = {
    "relu": 0, "relu6": 0, "elu": 1, "celu": 1, "softplus": 0.5, "log_sigmoid": 0.5, "mish": 0.6,
    "sigmoid": 0.25, "tanh": 1, "gelu": 0.5, "silu": 0.5, "softsign": 1, "squareplus": 0.5,
    "selu": 1.0507009873554805 * 1.6732632423543772, "sparse_plus": 0.5, "hard_sigmoid": 1 / 6,
}  # fmt: skip


@pytest.mark.parametrize("name", AT_ZERO)
def test_derivatives_at_zero(name: str) -> None:
    """Zeros are common: biases start there. What JAX's functions give."""
    actual = derivative(activations.get(name), np.zeros(1))
    np.testing.assert_allclose(actual, [0.1 * AT_ZERO[name]], rtol=1e-6)


def test_every_activation_is_tested() -> None:
    assert {*FORMULAS, "threshold", "glu"} == set(activations._ALL)


def test_get() -> None:
    assert activations.get(None) is activations.linear
    assert activations.get("relu") is activations.relu
    assert activations.get(ops.tanh) is ops.tanh
    assert activations.serialize(activations.get("swish")) == "silu"
    with pytest.raises(ValueError, match=r"Unknown activation 'rellu'\. Did you mean 'relu'"):
        activations.get("rellu")
    with pytest.raises(ValueError, match="Could not interpret the activation 3"):
        activations.get(3)
