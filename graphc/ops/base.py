"""What all of graphc.ops stands on: conversion, casting, broadcasting, recording as layers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar
from typing import cast as typing_cast

import numpy as np

from graphc.eager import Programs, compute
from graphc.ir.types import DTYPES, FLOATS, Dim, Shape, short_dtype
from graphc.trace import Tensor, Variable, current, is_tracing

TensorLike = Any  # Tensor, Variable, number, array, or a layer's symbolic tensor
P = ParamSpec("P")
R = TypeVar("R")


def _symbolic(values: object) -> Any:
    """The first symbolic tensor of a layer among arguments, if any."""
    if isinstance(values, (list, tuple)):
        return next((s for v in values if (s := _symbolic(v)) is not None), None)
    return values if hasattr(values, "record_op") else None


def recorded(function: Callable[P, R]) -> Callable[P, R]:
    """Makes a function work outside of traces too.

    Called on a layer's symbolic tensor it records itself as a layer; called on arrays it computes
    with a program of its own, and returns arrays.
    """
    programs: Programs = {}

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        symbolic = _symbolic((*args, *kwargs.values()))
        if symbolic is not None:
            return typing_cast(R, symbolic.record_op(wrapper, args, kwargs))
        if not is_tracing():
            return typing_cast(R, compute(function, function.__name__, programs, args, kwargs))
        return function(*args, **kwargs)

    return wrapper


def node(op: str, *operands: Tensor, **attrs: object) -> Tensor:
    trace = current()
    return Tensor(trace.builder.node(op, *map(trace.local, operands), **attrs))


def convert_to_tensor(x: TensorLike, dtype: object = None) -> Tensor:
    """A tensor of a variable, number, array or tensor; floats become float32 unless told.

    Outside of a trace an array, which all functions take as well.
    """
    if not is_tracing():
        array = np.asarray(x.value if isinstance(x, Variable) else x)
        kind = "f32" if dtype is None and array.dtype == np.float64 else dtype
        return typing_cast(
            Tensor, array if kind is None else array.astype(DTYPES[short_dtype(kind)])
        )
    if isinstance(x, Tensor):
        return x if dtype is None else cast(x, dtype)
    if isinstance(x, Variable):
        return convert_to_tensor(current().read(x), dtype)
    array = np.asarray(x)
    if dtype is None and array.dtype == np.float64:
        dtype = "f32"
    if dtype is None and array.dtype == np.int64:
        dtype = "i32"
    array = array.astype(DTYPES[short_dtype(dtype or array.dtype)])
    builder = current().builder
    if array.ndim == 0:
        return Tensor(builder.const(array.item(), short_dtype(array.dtype)))
    return Tensor(builder.node("const", value=array))


def floating(x: TensorLike) -> Tensor:
    """x as a tensor of floats: ints and bools become float32."""
    x = convert_to_tensor(x)
    return x if x.type.dtype in FLOATS else cast(x, "f32")


def common_dtype(dtypes: Sequence[str]) -> str:
    """NumPy's promotion, except that an integer and a float give the float."""
    floats = [d for d in dtypes if d in FLOATS]
    kinds = [DTYPES[d] for d in floats or dtypes]
    return short_dtype(functools.reduce(np.promote_types, kinds))


def align(*values: TensorLike) -> list[Tensor]:
    """Operands of one dtype and shape."""
    numbers = [v for v in values if isinstance(v, (bool, int, float))]
    tensors = [None if isinstance(v, (bool, int, float)) else convert_to_tensor(v) for v in values]
    dtypes = [t.type.dtype for t in tensors if t is not None]
    if any(isinstance(v, float) for v in numbers):
        dtypes.append("f32")
    elif set(dtypes) <= {"bool"}:
        dtypes += ["bool" if isinstance(v, bool) else "i32" for v in numbers]
    dtype = common_dtype(dtypes)
    whole = [
        convert_to_tensor(v, dtype) if t is None else t if t.type.dtype == dtype else cast(t, dtype)
        for v, t in zip(values, tensors, strict=True)
    ]
    shape = functools.reduce(broadcast_shapes, (t.shape for t in whole))
    return [t if t.shape == shape else broadcast_to(t, shape) for t in whole]


def broadcast_shapes(a: Shape, b: Shape) -> Shape:
    rank = max(len(a), len(b))
    long_a: Shape = (1,) * (rank - len(a)) + a
    long_b: Shape = (1,) * (rank - len(b)) + b
    if any(x != y and 1 not in (x, y) for x, y in zip(long_a, long_b, strict=True)):
        raise ValueError(f"shapes {list(a)} and {list(b)} do not broadcast together")
    return tuple(y if x == 1 else x for x, y in zip(long_a, long_b, strict=True))


@recorded
def cast(x: TensorLike, dtype: object) -> Tensor:
    """x converted to a dtype; to bool, whether it is not 0."""
    x, short = convert_to_tensor(x), short_dtype(dtype)
    if x.type.dtype == short:
        return x
    if short == "bool":
        zero = broadcast_to(convert_to_tensor(0, x.type.dtype), x.shape)
        return node("logical_not", node("equal", x, zero))
    return node("cast", x, dtype=short)


@recorded
def broadcast_to(x: TensorLike, shape: Sequence[Dim]) -> Tensor:
    """x repeated to a shape, aligned at the last axis."""
    x = convert_to_tensor(x)
    target = tuple(shape)
    if x.shape == target:
        return x
    if broadcast_shapes(x.shape, target) != target:
        raise ValueError(f"shape {list(x.shape)} does not broadcast to {list(target)}")
    offset = len(target) - x.ndim
    kept = [a for a in range(x.ndim) if x.shape[a] == target[a + offset]]
    if len(kept) < x.ndim:
        x = node("reshape", x, shape=tuple(x.shape[a] for a in kept))
    return node("broadcast", x, shape=target, axes=tuple(a + offset for a in kept))
