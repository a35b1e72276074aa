"""graphc.ops against NumPy, native and interpreted: elementwise functions, dtypes, broadcasting."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from computing import Functions, compute

from graphc import ops
from graphc.ir.types import DTYPES

Array = np.ndarray


def close(actual: Array, wanted: Any) -> None:
    wanted = np.asarray(wanted)
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, rtol=2e-6, atol=2e-7)


def draw(*shape: int, low: float = -3.0, high: float = 3.0) -> Array:
    random = np.random.default_rng(math.prod(shape))
    return random.uniform(low, high, shape).astype(np.float32)


def erf(x: Array) -> Array:
    return np.vectorize(math.erf)(x)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


# One operand, elementwise.

POSITIVE = {"log", "sqrt", "rsqrt"}
UNARY: dict[str, Callable[[Array], Array]] = {
    "negative": np.negative,
    "absolute": np.abs,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": lambda x: np.log1p(np.maximum(x, -0.9)),
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "erf": erf,
    "isfinite": np.isfinite,
    "stop_gradient": lambda x: x,
    "square": np.square,
    "relu": lambda x: np.maximum(x, 0),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "log_sigmoid": lambda x: np.log(sigmoid(x)),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
    "logical_not": np.logical_not,
}


def function_of(name: str) -> Callable[[Any], Any]:
    function: Callable[[Any], Any] = getattr(ops, name)
    if name in POSITIVE:
        return lambda x: function(ops.add(ops.absolute(x), 0.1))
    return (lambda x: function(ops.maximum(x, -0.9))) if name == "log1p" else function


@pytest.fixture(scope="module")
def unary() -> tuple[Array, dict[str, Array]]:
    x = draw(7, 13)
    x[0, :3] = 0.0, 1.0, -1.0
    return x, compute({name: function_of(name) for name in UNARY}, x)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, unary: tuple[Array, dict[str, Array]]) -> None:
    x, results = unary
    exact = x.astype(np.float64)
    exact = np.abs(exact) + np.float64(np.float32(0.1)) if name in POSITIVE else exact
    close(results[name], UNARY[name](exact))


def test_exact_gelu_and_stable_tails() -> None:
    x = np.array([-90.0, -2.0, 0.0, 2.0, 90.0], np.float32)
    exact = x.astype(np.float64)
    results = compute(
        {
            "gelu": lambda x: ops.gelu(x, approximate=False),
            "softplus": ops.softplus,
            "log_sigmoid": ops.log_sigmoid,
            "log_softmax": ops.log_softmax,
            "logsumexp": ops.logsumexp,
        },
        x,
    )
    close(results["gelu"], 0.5 * exact * (1 + erf(exact / math.sqrt(2))))
    close(results["softplus"], np.logaddexp(0, exact))
    close(results["log_sigmoid"], -np.logaddexp(0, -exact))
    close(results["log_softmax"], exact - 90)
    close(results["logsumexp"], 90.0)


def test_logsumexp_of_infinities() -> None:
    """As in Keras: log(0) is -inf, not NaN."""
    x = np.array([[-np.inf, -np.inf], [1, -np.inf], [np.inf, 0]], np.float32)
    result = compute({"y": lambda x: ops.logsumexp(x, axis=1)}, x)["y"]
    np.testing.assert_array_equal(result, np.array([-np.inf, 1, np.inf], np.float32))


def test_ints_become_floats_where_the_function_needs_it() -> None:
    x = np.array([[0, 1, 2], [5, 4, 3]], np.int32)
    names = ["exp", "sqrt", "floor", "isfinite", "softmax", "logsumexp", "mean", "sigmoid"]
    results = compute({name: getattr(ops, name) for name in names}, x)
    assert {name: r.dtype.name for name, r in results.items()} == {
        **dict.fromkeys(names, "float32"), "isfinite": "bool",
    }  # fmt: skip
    close(results["softmax"], np.exp(x) / np.exp(x).sum(-1, keepdims=True))
    close(results["mean"], 2.5)


# Two operands: broadcasting and dtypes.

BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
}
SHAPES: list[Any] = [
    ((3, 5), (3, 5)),
    ((3, 5), (5,)),
    ((3, 1), (5,)),
    ((2, 1, 5), (3, 1)),
    ((), (3, 5)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_binary_broadcasts(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    a = np.round(draw(*shapes[0], low=1))
    b = np.round(draw(*shapes[1], low=-2) + 0.5)
    results = compute({name: getattr(ops, name) for name in BINARY}, a, b)
    for name, function in BINARY.items():
        with np.errstate(all="ignore"):
            wanted = function(a.astype(np.float64), b.astype(np.float64))
        close(results[name], wanted)
        assert results[name].dtype == (np.float32 if wanted.dtype == np.float64 else np.bool_)


def test_nan_compares_false_and_is_kept_by_extremes() -> None:
    a, b = np.float32([np.nan, 1, np.nan]), np.float32([1, np.nan, np.nan])
    names = ["equal", "not_equal", "less", "less_equal", "maximum", "minimum"]
    results = compute({name: getattr(ops, name) for name in names}, a, b)
    for name in ("equal", "less", "less_equal"):
        assert not results[name].any()
    assert results["not_equal"].all()
    assert np.isnan(results["maximum"]).all() and np.isnan(results["minimum"]).all()


def test_unsigned_ints_compare_as_such() -> None:
    a, b = np.uint8([1, 200, 100]), np.uint8([255, 5, 100])
    names = ["maximum", "minimum", "less", "less_equal", "greater"]
    results = compute({name: getattr(ops, name) for name in names}, a, b)
    for name in names:
        np.testing.assert_array_equal(results[name], getattr(np, name)(a, b))


def test_dtypes_promote_as_in_numpy_except_that_floats_win() -> None:
    inputs = [np.arange(3).astype(dtype) for dtype in DTYPES.values()]
    pairs = {(a, b): (i, j) for i, a in enumerate(DTYPES) for j, b in enumerate(DTYPES)}
    functions = {
        pair: (lambda *x, i=i, j=j: ops.maximum(x[i], x[j])) for pair, (i, j) in pairs.items()
    }
    for (a, b), result in compute(functions, *inputs).items():
        floats = [DTYPES[d] for d in (a, b) if d.startswith("f")]
        wanted = max(floats) if floats else np.promote_types(DTYPES[a], DTYPES[b])
        assert result.dtype == wanted, (a, b)
        np.testing.assert_array_equal(
            result, np.maximum(inputs[pairs[a, b][0]], inputs[pairs[a, b][1]])
        )


def test_numbers_take_the_tensors_dtype() -> None:
    x = np.arange(4)
    arrays = [x.astype(d) for d in ("int8", "uint8", "int64", "float32", "float64", "bool")]
    functions: Functions = {
        "int8 + int": lambda i8, u8, i64, f32, f64, b: i8 + 1,
        "uint8 - int": lambda i8, u8, i64, f32, f64, b: 3 - u8,
        "int64 + float": lambda i8, u8, i64, f32, f64, b: i64 + 0.5,
        "float32 + int": lambda i8, u8, i64, f32, f64, b: f32 + 1,
        "float64 * float": lambda i8, u8, i64, f32, f64, b: 0.1 * f64,
        "bool + int": lambda i8, u8, i64, f32, f64, b: b + 2,
        "bool or bool": lambda i8, u8, i64, f32, f64, b: ops.logical_or(b, True),
        "int / int": lambda i8, u8, i64, f32, f64, b: i8 / 2,
        "where": lambda i8, u8, i64, f32, f64, b: ops.where(b, 1, 0),
    }
    wanted = {
        "int8 + int": np.int8(x + 1), "uint8 - int": np.uint8(3 - x),
        "int64 + float": np.float32(x + 0.5), "float32 + int": np.float32(x + 1),
        "float64 * float": x * 0.1, "bool + int": np.int32([2, 3, 3, 3]),
        "bool or bool": np.ones(4, bool), "int / int": np.float32(x / 2),
        "where": np.int32([0, 1, 1, 1]),
    }  # fmt: skip
    for name, result in compute(functions, *arrays).items():
        assert result.dtype == wanted[name].dtype, name
        np.testing.assert_array_equal(result, wanted[name], err_msg=name)


CASTS = [
    ("float32", "int32", [-2.7, -0.5, 0.5, 2.7], [-2, 0, 0, 2]),
    ("float32", "bool", [0.0, -0.0, 0.5, np.nan], [False, False, True, True]),
    ("int32", "float32", [-7, 0, 16777217], [-7, 0, 16777216]),
    ("int64", "int32", [-7, 0, 2**31 - 1], [-7, 0, 2**31 - 1]),
    ("uint8", "float32", [0, 127, 128, 255], [0, 127, 128, 255]),
    ("uint32", "float64", [0, 2**31, 2**32 - 1], [0, 2**31, 2**32 - 1]),
    ("bool", "int64", [True, False], [1, 0]),
    ("float64", "float32", [0.1, 1e-3], np.float32([0.1, 1e-3])),
]


@pytest.mark.parametrize(("source", "target", "given", "wanted"), CASTS)
def test_cast(source: str, target: str, given: list[float], wanted: list[float]) -> None:
    x = np.array(given, source)
    result = compute({"cast": lambda x: ops.cast(x, target)}, x)["cast"]
    assert result.dtype == target
    np.testing.assert_array_equal(result, wanted)


def test_selections() -> None:
    x = draw(4, 6)
    results = compute(
        {
            "where": lambda x: ops.where(x > 0, x, ops.zeros_like(x)),
            "where broadcast": lambda x: ops.where(ops.greater(x, 0), 1.0, ops.sum(x, 0)),
            "clip": lambda x: ops.clip(x, -1, 0.5),
            "clip crossed": lambda x: ops.clip(x, 1.0, -1.0),
            "full_like": lambda x: ops.full_like(x, 2.5),
        },
        x,
    )
    close(results["where"], np.where(x > 0, x, 0))
    close(results["where broadcast"], np.where(x > 0, 1, x.sum(0)))
    close(results["clip"], np.clip(x, -1, 0.5))
    close(results["clip crossed"], np.clip(x, 1.0, -1.0))
    close(results["full_like"], np.full_like(x, 2.5))
