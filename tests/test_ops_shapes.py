"""graphc.ops against NumPy, native and interpreted: reductions, shapes, matrices, and errors."""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from computing import Functions, compute

from graphc import layers, models, ops
from graphc.ir.interpret import interpret
from graphc.ir.types import TensorType
from graphc.trace import Trace, Variable

Array = np.ndarray


def close(actual: Array, wanted: Any) -> None:
    wanted = np.asarray(wanted)
    assert actual.shape == wanted.shape
    np.testing.assert_allclose(actual, wanted, rtol=2e-6, atol=2e-7)


def draw(*shape: int, low: float = -3.0, high: float = 3.0) -> Array:
    random = np.random.default_rng(math.prod(shape))
    return random.uniform(low, high, shape).astype(np.float32)


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x: Array, axis: int) -> Array:
    return np.log(softmax(x, axis))


# Reductions.

AXES: list[Any] = [None, 0, 1, -1, (0, 2), (0, 1, 2)]
REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": np.sum,
    "mean": np.mean,
    "max": np.max,
    "min": np.min,
    "var": np.var,
    "logsumexp": lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str) -> None:
    x = draw(4, 5, 11)
    function = getattr(ops, name)
    cases = [(axis, keep) for axis in AXES for keep in (False, True)]
    results = compute({c: (lambda x, c=c: function(x, axis=c[0], keepdims=c[1])) for c in cases}, x)
    for (axis, keep), result in results.items():
        wanted = REDUCTIONS[name](x.astype(np.float64), axis=axis, keepdims=keep)
        assert result.shape == wanted.shape
        np.testing.assert_allclose(result, wanted, rtol=3e-6, atol=3e-6)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_argmax_is_the_first_maximum(axis: int | None) -> None:
    x = np.round(draw(6, 9))
    result = compute({"argmax": lambda x: ops.argmax(x, axis)}, x)["argmax"]
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, np.argmax(x, axis))


def test_argmax_of_one() -> None:
    result = compute({"argmax": lambda x: ops.argmax(x, -1)}, draw(6, 1))["argmax"]
    np.testing.assert_array_equal(result, np.zeros(6))


def test_small_ints_add_up_without_overflow() -> None:
    full = [np.full(1000, np.iinfo(d).max, d) for d in ("int8", "uint8", "int16", "uint16")]
    results = compute(
        {at: (lambda *x, at=at: ops.sum(x[at])) for at in range(4)}
        | {"bool": lambda *x: ops.sum(x[0] > 0)},
        *full,
    )
    for at, array in enumerate(full):
        assert results[at] == array.sum(dtype=np.int64)
    assert results["bool"] == 1000


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name: str) -> None:
    x = draw(3, 4, 10)
    function, wanted = getattr(ops, name), {"softmax": softmax, "log_softmax": log_softmax}[name]
    results = compute({a: (lambda x, a=a: function(x, axis=a)) for a in (-1, 1)}, x)
    for axis, result in results.items():
        close(result, wanted(x.astype(np.float64), axis))


def test_normalize_and_logaddexp() -> None:
    x = draw(3, 4, 10)
    results = compute(
        {
            "rows": ops.normalize,
            "axes": lambda x: ops.normalize(x, (0, 1)),
            "zeros": lambda x: ops.normalize(x * 0.0),
            "logaddexp": lambda x: ops.logaddexp(x, 90.0 * x[0]),
            "impossible": lambda x: ops.logaddexp(-math.inf, ops.log(x * 0.0)),
        },
        x,
    )
    close(results["rows"], x / np.linalg.norm(x, axis=-1, keepdims=True))
    close(results["axes"], x / np.sqrt((x * x).sum((0, 1))))
    close(results["zeros"], np.zeros_like(x))
    close(results["logaddexp"], np.logaddexp(x, 90 * x[0]))
    assert (results["impossible"] == -np.inf).all()


# Shapes, matrices, indexing.


def test_shapes() -> None:
    x = draw(2, 1, 6)
    wanted: dict[Any, Array] = {
        "reshape": x.reshape(3, 4),
        "reshape -1": x.reshape(4, -1),
        "transpose": x.transpose(),
        "transpose axes": x.transpose(1, -1, 0),
        "expand_dims": x[:, None],
        "expand_dims -1": x[..., None],
        "squeeze": x.squeeze(),
        "squeeze 1": x.squeeze(1),
        "broadcast_to": np.broadcast_to(x, (3, 2, 5, 6)),
    }
    functions: Functions = {
        "reshape": lambda x: ops.reshape(x, (3, 4)),
        "reshape -1": lambda x: ops.reshape(x, (4, -1)),
        "transpose": ops.transpose,
        "transpose axes": lambda x: ops.transpose(x, (1, -1, 0)),
        "expand_dims": lambda x: ops.expand_dims(x, 1),
        "expand_dims -1": lambda x: ops.expand_dims(x, -1),
        "squeeze": ops.squeeze,
        "squeeze 1": lambda x: ops.squeeze(x, 1),
        "broadcast_to": lambda x: ops.broadcast_to(x, (3, 2, 5, 6)),
    }
    results = compute(functions, x)
    for name, array in wanted.items():
        np.testing.assert_array_equal(results[name], array, err_msg=name)


def test_matmul() -> None:
    a, b, c = draw(7, 5), draw(5, 3), draw(2, 3, 5)
    results = compute(
        {
            "matrices": lambda a, b, c: ops.matmul(a, b),
            "stack": lambda a, b, c: ops.matmul(c, b),
            "vector": lambda a, b, c: ops.matmul(ops.sum(a, 0), b),
            "operator": lambda a, b, c: a @ b,

            "ints": lambda a, b, c: ops.matmul(ops.cast(a, "int32"), b),
        },
        a, b, c,
    )  # fmt: skip
    close(results["matrices"], a @ b)
    close(results["operator"], a @ b)

    close(results["ints"], a.astype(np.int32) @ b)
    for name, wanted in (("stack", c @ b), ("vector", a.sum(0) @ b)):
        np.testing.assert_allclose(results[name], wanted, rtol=1e-5, atol=1e-5)


def test_matmul_with_an_array() -> None:
    x, w = draw(4, 3), draw(3, 2)
    close(compute({"product": lambda x: x @ w}, x)["product"], x @ w)


def test_one_hot() -> None:
    x = np.array([[0, 3], [2, 5]])
    functions: Functions = {d: lambda x, d=d: ops.one_hot(x, 4, d) for d in ("float32", "int32")}
    for dtype, result in compute(functions, x).items():
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, x[..., None] == np.arange(4))


def test_shape_tells_symbols() -> None:
    x = layers.Input((3,))
    shapes = []
    models.Model(x, layers.Activation(lambda t: shapes.append(ops.shape(t)) or t)(x))
    assert [str(d) for d in shapes[0]] == ["batch", "3"]


ERRORS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "broadcast": (lambda x: ops.add(x, np.ones(4)), r"\[2, 3\] and \[4\] do not broadcast"),
    "broadcast_to": (lambda x: ops.broadcast_to(x, (2, 4)), r"\[2, 3\].*\[2, 4\]"),
    "reshape": (lambda x: ops.reshape(x, (4, 2)), r"\[2, 3\] has 6 elements"),
    "reshape -1": (lambda x: ops.reshape(x, (4, -1)), r"\[2, 3\] does not fit"),
    "two -1": (lambda x: ops.reshape(x, (-1, -1)), "does not fit"),
    "axis": (lambda x: ops.sum(x, 2), r"axis 2 is out of range for shape \[2, 3\]"),
    "argmax": (lambda x: ops.argmax(x, -3), "axis -3 is out of range"),
    "squeeze": (lambda x: ops.squeeze(x, 1), "axis 1 .* is not of size 1"),
    "matmul": (lambda x: ops.matmul(x, x), r"matmul: .*\[2, 3\] and \[2, 3\]"),
    "transpose": (lambda x: ops.transpose(x, (0,)), "permutation"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_name_the_shapes(name: str) -> None:
    function, message = ERRORS[name]
    with Trace("test") as trace, pytest.raises(ValueError, match=message):
        function(trace.input("x", TensorType("f32", (2, 3))))


def test_outside_of_a_graph() -> None:
    np.testing.assert_allclose(ops.exp(1.0), math.e, 1e-6)
    with Trace("test") as trace:
        x = trace.input("x", TensorType("f32", (2, 3)))
        for wrong in (bool, iter, lambda t: ops.cast(t, "complex64")):
            with pytest.raises(TypeError):
                wrong(x)


def test_variables_are_operands() -> None:
    v = Variable([1.0, 2.0, 3.0], "v")
    trace = Trace("test")
    with trace:
        x = trace.input("x", TensorType("f32", (2, 3)))
        for name, value in {"a": x * v, "b": v - x, "c": ops.sum(v * 1 + -v) + 6}.items():
            trace.output(name, value)
    results = interpret(trace.graph, {"x": np.ones((2, 3), np.float32), "v": v.value})
    np.testing.assert_array_equal(results["a"], [[1, 2, 3], [1, 2, 3]])
    np.testing.assert_array_equal(results["b"], [[0, 1, 2], [0, 1, 2]])
    assert results["c"] == 6


# On the tensors of layers.Input, a function becomes a layer.

ROW = np.float32([1.0, 2.0, 3.0])
SYMBOLIC: dict[str, tuple[Callable[[Any], Any], Callable[[Array], Array]]] = {
    "x + 1": (lambda x: x + 1, lambda x: x + 1),
    "1 - x": (lambda x: 1 - x, lambda x: 1 - x),
    "x * row": (lambda x: x * ROW, lambda x: x * ROW),
    "row * x": (lambda x: ROW * x, lambda x: ROW * x),
    "row - x": (lambda x: ROW - x, lambda x: ROW - x),
    "2 / x": (lambda x: 2 / x, lambda x: 2 / x),
    "x ** 2": (lambda x: x**2, lambda x: x**2),
    "2 ** x": (lambda x: 2**x, lambda x: 2**x),
    "-x": (lambda x: -x, lambda x: -x),
    "abs": (abs, np.abs),
    "exp": (ops.exp, np.exp),
    "x < 0": (lambda x: x < 0, lambda x: x < 0),
    "x >= 0": (lambda x: x >= 0, lambda x: x >= 0),
    "where": (lambda x: ops.where(x > 0, x, 0.0), lambda x: np.where(x > 0, x, 0)),
    "sum": (lambda x: ops.sum(x, axis=-1, keepdims=True), lambda x: x.sum(-1, keepdims=True)),
    "reshape": (lambda x: ops.reshape(x, (-1, 3, 1)), lambda x: x.reshape(-1, 3, 1)),
    "twice": (lambda x: x + x * x, lambda x: x + x * x),
}


@pytest.mark.parametrize("name", SYMBOLIC)
def test_on_the_tensors_of_a_model(name: str) -> None:
    function, wanted = SYMBOLIC[name]
    x = draw(5, 3, low=0.5) * np.float32([1, -1, 1])
    inputs = layers.Input((3,))
    model = models.Model(inputs, function(inputs))
    result = model.predict(x, verbose=0)
    expected = wanted(x)
    assert model.output_shape == (None, *expected.shape[1:])
    assert result.dtype == expected.dtype
    close(result, expected)


@pytest.mark.parametrize(
    ("value", "dtype", "wanted"),
    [
        (1.5, None, "float32"),
        (3, None, "int32"),
        (True, None, "bool"),
        ([1.0, 2.0], None, "float32"),
        (np.arange(3), None, "int32"),
        (np.arange(3, dtype=np.uint8), None, "uint8"),
        (np.ones(3), "float64", "float64"),
        (Variable([1, 2], "v", dtype="int64"), None, "int64"),
        (Variable([1, 2], "v"), "int32", "int32"),
    ],
)
def test_convert_to_tensor(value: Any, dtype: str | None, wanted: str) -> None:
    with Trace("test"):
        tensor = ops.convert_to_tensor(value, dtype)
        assert (tensor.dtype, tensor.shape) == (wanted, np.shape(getattr(value, "value", value)))
        assert ops.convert_to_tensor(tensor) is tensor


def test_every_function_is_tested() -> None:
    here = Path(__file__).parent
    files = [*here.glob("test_ops*.py"), here / "test_activations.py"]
    sources = "".join(path.read_text() for path in files)
    functions = [
        name for name, value in vars(ops).items()
        if inspect.isfunction(value)
        and value.__module__.startswith(ops.__name__)
        and name[0] != "_"
    ]  # fmt: skip
    assert len(functions) > 50
    assert [n for n in functions if f"ops.{n}" not in sources and f'"{n}"' not in sources] == []


def test_functions_are_layers_of_the_model() -> None:
    x = layers.Input((3,))
    hidden = ops.tanh(layers.Dense(4, name="first")(x))
    model = models.Model(x, ops.multiply(hidden, 2.0))
    kinds = [layer.name.rstrip("_0123456789") for layer in model.layers[1:]]
    assert kinds == ["first", "tanh", "multiply"]
    assert model.count_params() == 16


def test_an_error_on_a_models_tensors_names_both() -> None:
    x = layers.Input((3,), name="pixels")
    with pytest.raises(ValueError, match=r"add.*'pixels' of shape \(None, 3\).*broadcast"):
        x + np.ones(4)
