"""graphc.ops against NumPy: functions composed of others."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from computing import compute

from graphc import ops

Array = np.ndarray


def agree(functions: dict[str, Callable[..., Any]], wanted: dict[str, Any], *x: Array) -> None:
    results = compute(functions, *x)
    for name, value in wanted.items():
        assert results[name].shape == np.shape(value), name
        np.testing.assert_allclose(results[name], value, 2e-6, 5e-7, err_msg=name)


def draw(*shape: int) -> Array:
    return np.random.default_rng(math.prod(shape)).uniform(-3, 3, shape).astype(np.float32)


# Functions of each element, which have NumPy's names.

ANY = [
    "ceil", "trunc", "round", "reciprocal", "exp2", "sinh", "cosh", "tan", "arcsinh", "arctan",
    "isnan", "isinf", "square",
]  # fmt: skip
SMALL = ["arcsin", "arccos", "arctanh"]
POSITIVE = ["log2", "log10", "arccosh"]


def test_functions_of_an_element() -> None:
    x = np.concatenate([draw(50), np.float32([0.5, 1.5, -2.5, 1e-4, -1e-4, 40.0, -40.0])])
    inner, above = np.sin(x) * np.float32(0.99), np.abs(x) + 1
    groups = {0: ANY, 1: SMALL, 2: POSITIVE}
    functions: dict[str, Callable[..., Any]] = {
        n: lambda *x, n=n, at=at: getattr(ops, n)(x[at])
        for at, names in groups.items()
        for n in names
    }
    functions["decimals"] = lambda x, *others: ops.round(x, 1)
    results = compute(functions, x, inner, above)
    exact, inner, above = (v.astype(np.float64) for v in (x, inner, above))
    wanted = {n: getattr(np, n)(exact) for n in ANY}
    wanted |= {n: getattr(np, n)(inner) for n in SMALL}
    wanted |= {n: getattr(np, n)(above) for n in POSITIVE}
    wanted["decimals"] = np.round(exact, 1)
    for name, value in wanted.items():
        np.testing.assert_allclose(results[name], value, 4e-6, 5e-7, err_msg=name)


def test_special_values() -> None:
    x = np.float32([np.nan, np.inf, -np.inf, 0.0, -2.5])
    functions = {n: getattr(ops, n) for n in ("isnan", "isinf", "nan_to_num", "round", "arctan")}
    agree(functions, {n: getattr(np, n)(x) for n in functions}, x)
    given = {"given": lambda x: ops.nan_to_num(x, 1.0, 2.0, 3.0)}
    agree(given, {"given": np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=3.0)}, x)


def test_division_with_rest() -> None:
    names = ["mod", "floor_divide"]
    x, y = np.float32([1.0, -7.5, 7.5, 6.0, 1e7]), np.float32([0.1, 2.0, -2.0, 3.0, 0.3])
    agree({n: getattr(ops, n) for n in names}, {n: getattr(np, n)(x, y) for n in names}, x, y)
    i, j = np.int32([7, -7, 7, -7, 2147483647]), np.int32([3, 3, -3, -3, 2])
    agree({n: getattr(ops, n) for n in names}, {n: getattr(np, n)(i, j) for n in names}, i, j)


# Reductions.


def test_reductions() -> None:
    x = draw(3, 5, 4)
    x[0, 1] = 0
    weights = np.abs(draw(5))
    functions: dict[str, Callable[..., Any]] = {}
    wanted: dict[str, Any] = {}
    for axis in (None, 1, (0, 2)):
        for name in ("std", "prod", "any", "all", "count_nonzero"):
            functions[f"{name} {axis}"] = lambda x, n=name, a=axis: getattr(ops, n)(x, axis=a)
            wanted[f"{name} {axis}"] = getattr(np, name)(x, axis=axis)
    for axis in (None, 0, -1):
        for name in ("cumsum", "argmin"):
            functions[f"{name} {axis}"] = lambda x, n=name, a=axis: getattr(ops, n)(x, axis=a)
            wanted[f"{name} {axis}"] = getattr(np, name)(x, axis=axis)
    functions["average"] = lambda x: ops.average(x, 1, weights)
    wanted["average"] = np.average(x, 1, weights)
    functions["moments"] = lambda x: ops.stack(ops.moments(x, (0, 1)))
    wanted["moments"] = np.stack([x.mean((0, 1)), x.var((0, 1))])
    agree(functions, wanted, x)


def test_a_sum_up_to_an_element_does_not_see_later_ones() -> None:
    x = np.float32([1, 2, np.inf, 3])
    agree({"cumsum": ops.cumsum}, {"cumsum": np.cumsum(x)}, x)


# Contractions.


def test_contractions() -> None:
    x, y, z = draw(2, 3, 4), draw(3, 4, 5), draw(2, 4)
    two = [
        "abc,bcd->ad", "abc,bcd->abd", "abc,bcd->dcba", "abc,bcd->", "abc,cde->abde", "abc,bcd",
        "...c,bcd->...bd", "a...,...d->a...d", "abc,def->fa",
    ]  # fmt: skip
    functions: dict[str, Callable[..., Any]] = {}
    wanted: dict[str, Any] = {}
    for name in two:
        if name == "abc,cde->abde":
            functions[name] = lambda x, y, z, n=name: ops.einsum(n, x, ops.transpose(y, (1, 0, 2)))
            wanted[name] = np.einsum(name, x, y.transpose(1, 0, 2))
            continue
        functions[name] = lambda x, y, z, n=name: ops.einsum(n, x, y)
        wanted[name] = np.einsum(name, x, y)
    for name in ("abc->ca", "a...->..."):
        functions[name] = lambda x, y, z, n=name: ops.einsum(n, x)
        wanted[name] = np.einsum(name, x)
    functions["three"] = lambda x, y, z: ops.einsum("abc,bcd,ac->bd", x, y, z)
    wanted["three"] = np.einsum("abc,bcd,ac->bd", x, y, z)
    functions["tensordot"] = lambda x, y, z: ops.tensordot(x, y)
    wanted["tensordot"] = np.tensordot(x, y)
    functions["tensordot axes"] = lambda x, y, z: ops.tensordot(x, z, ([2, 0], [1, 0]))
    wanted["tensordot axes"] = np.tensordot(x, z, ([2, 0], [1, 0]))
    functions["dot"] = lambda x, y, z: ops.dot(z, y)
    wanted["dot"] = np.dot(z, y)
    functions["outer"] = lambda x, y, z: ops.outer(x, z)
    wanted["outer"] = np.outer(x, z)
    results = compute(functions, x, y, z)
    for name, value in wanted.items():
        np.testing.assert_allclose(results[name], value, 1e-5, 1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("subscripts", "message"),
    [
        ("ab,bc->ac", "does not fit"),
        ("aab,bc->ac", "a letter occurs twice in 'aab'"),
        ("abc->ac", "has 1 operands, got 2"),
        ("abc,bd->ad", "axis 'b' has size 3 in one operand, 4 in another"),
        ("abc,bd->ax", "needs letters of operands"),
    ],
)
def test_subscripts_that_do_not_fit(subscripts: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compute({"einsum": lambda x, y: ops.einsum(subscripts, x, y)}, draw(2, 3, 4), draw(4, 5))


# Shapes and patterns.


def test_shapes() -> None:
    x = draw(2, 3, 4)
    calls: dict[str, tuple[Any, ...]] = {
        "ravel": (), "swapaxes": (0, -1), "moveaxis": (0, -1), "repeat": (3, 1), "tile": (2,),
        "roll": (1, 2),
    }  # fmt: skip
    more: dict[str, tuple[Any, ...]] = {
        "moveaxis": ([0, 1], [2, 0]), "repeat": (2,), "tile": ((2, 1, 3, 1),),
        "roll": ((-1, 5), (0, 2)),
    }  # fmt: skip
    for each in (calls, more):
        functions = {n: lambda x, n=n, a=a: getattr(ops, n)(x, *a) for n, a in each.items()}
        agree(functions, {n: getattr(np, n)(x, *a) for n, a in each.items()}, x)
    agree({"roll": lambda x: ops.roll(x, 5)}, {"roll": np.roll(x, 5)}, x)


def test_patterns() -> None:
    x = draw(4, 5)
    calls: dict[str, tuple[Any, ...]] = {
        "zeros": ((2, 3),), "ones": ((2,),), "full": ((2, 3), 1.5), "eye": (3, 4, 1),
        "identity": (3,), "tri": (3, 5, -1), "arange": (7,), "linspace": (1, 2, 5),
    }  # fmt: skip
    functions: dict[str, Callable[..., Any]] = {
        n: lambda x, n=n, a=a: getattr(ops, n)(*a) for n, a in calls.items()
    }
    wanted = {n: getattr(np, n)(*a) for n, a in calls.items()}
    for k in (-1, 0, 2):
        functions |= {
            f"{n}{k}": lambda x, n=n, k=k: getattr(ops, n)(x, k) for n in ("tril", "triu")
        }
        wanted |= {f"{n}{k}": getattr(np, n)(x, k) for n in ("tril", "triu")}
    functions["backwards"] = lambda x: ops.arange(1.0, -1.0, -0.25)
    wanted["backwards"] = np.arange(1.0, -1.0, -0.25)
    functions["open"] = lambda x: ops.linspace(0, 1, 4, endpoint=False)
    wanted["open"] = np.linspace(0, 1, 4, endpoint=False)
    agree(functions, wanted, x)


def test_a_step_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match="step must not be 0"):
        compute({"arange": lambda x: ops.arange(0, 3, 0)}, np.float32(1))
