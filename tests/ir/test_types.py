"""Dimensions that are products of symbols, and tensor types."""

import numpy as np
import pytest

from graphc.ir.types import (
    DTYPES,
    Size,
    TensorType,
    divide,
    evaluate,
    product,
    short_dtype,
)

N, T = Size(("batch",)), Size(("time",))


def test_products_are_in_one_form() -> None:
    assert 2 * N * 3 == N * 6 == 6 * N
    assert T * N == N * T == Size(("batch", "time"))
    assert N * 0 == 0 and product([]) == 1
    assert product([2, N, 3, T]) == Size(("batch", "time"), 6)
    assert str(6 * N * T) == "6*batch*time" and str(N) == "batch"
    assert hash(2 * N) == hash(N * 2)


@pytest.mark.parametrize(
    ("total", "part", "quotient"),
    [
        (12, 4, 3),
        (12, 5, None),
        (12, 0, None),
        (0, 4, 0),
        (6 * N, 3, 2 * N),
        (6 * N, 4, None),
        (6 * N, N, 6),
        (6 * N, 2 * N, 3),
        (6 * N * T, 2 * T, 3 * N),
        (N * N, N, N),
        (N, N * N, None),
        (6, N, None),
        (N, T, None),
    ],
    ids=str,
)
def test_divide(total: int | Size, part: int | Size, quotient: int | Size | None) -> None:
    assert divide(total, part) == quotient
    if quotient is not None:
        assert product([quotient, part]) == total


def test_evaluate() -> None:
    assert evaluate(6 * N * T, {"batch": 5, "time": 7}) == 210
    assert evaluate(3, {}) == 3
    with pytest.raises(KeyError):
        evaluate(N, {"time": 7})


@pytest.mark.parametrize("short", DTYPES)
def test_short_names(short: str) -> None:
    dtype = DTYPES[short]
    assert {short_dtype(d) for d in (short, dtype, dtype.name, dtype.type)} == {short}


@pytest.mark.parametrize("bad", ["float16", "complex64", "object", "U5", "f33", 3])
def test_unsupported_dtypes_name_the_known_ones(bad: object) -> None:
    with pytest.raises(TypeError, match=r"is not supported; expected one of bool, float32, "):
        short_dtype(bad)


def test_tensor_types() -> None:
    type_ = TensorType("f64", (N, 3))
    assert (type_.rank, type_.elements, type_.itemsize, type_.is_float) == (2, 3 * N, 8, True)
    assert str(type_) == "f64[batch, 3]" and str(TensorType("bool")) == "bool[]"
    assert type_.with_dtype("i8") == TensorType("i8", (N, 3))
    assert type_.with_shape([2]) == TensorType("f64", (2,))
    assert not TensorType("i32").is_float and np.dtype(DTYPES["u16"]).itemsize == 2
