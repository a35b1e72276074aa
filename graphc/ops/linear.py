"""Products of matrices and indexing."""

from __future__ import annotations

from graphc.trace import Tensor

from .base import TensorLike, cast, common_dtype, convert_to_tensor, node, recorded
from .elementwise import equal
from .shaping import expand_dims, reshape


@recorded
def matmul(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Matrix product of (..., m, k) and (k, n), at least one of them floats."""
    a, b = convert_to_tensor(x1), convert_to_tensor(x2)
    dtype = common_dtype([a.type.dtype, b.type.dtype])
    a, b = cast(a, dtype), cast(b, dtype)
    if a.ndim < 1 or b.ndim != 2 or a.shape[-1] != b.shape[0]:
        raise ValueError(
            f"matmul: expected (..., m, k) and (k, n), got {list(a.shape)} and {list(b.shape)}"
        )
    rows = reshape(a, (-1, a.shape[-1]))
    result = node("matmul", rows, b, transpose_a=False, transpose_b=False)
    return reshape(result, (*a.shape[:-1], b.shape[1]))


@recorded
def one_hot(x: TensorLike, num_classes: int, dtype: object = "float32") -> Tensor:
    """1 at each integer's place along a new last axis, 0 elsewhere."""
    x = cast(convert_to_tensor(x), "i32")
    target = (*x.shape, num_classes)
    places = node("iota", shape=target, axis=len(target) - 1)
    return cast(equal(expand_dims(x, -1), places), dtype)
