"""The reference interpreter: evaluates any graph, at any stage, with NumPy.

It says what each op means. It is for tests, for bisecting a wrong result to the pass that made it
and for `model.find_nonfinite`; nothing that a user trains or predicts with goes through it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .graph import Graph, Node
from .ops import ANNOTATIONS
from .scan import parts, stacked
from .types import DTYPES, Dim, Size, TensorType, evaluate

Array = np.ndarray
Symbols = dict[str, int]


def philox_uniform(seed: int, stream: int, step: int, count: int) -> Array:
    """`count` float32 in [0, 1) from Philox2x32-10 (Salmon et al. 2011, "Random123").

    The counter is (element index, step), the key mixes seed and stream.
    """
    mask = np.uint64(0xFFFFFFFF)
    x0 = np.arange(count, dtype=np.uint64) & mask
    x1 = np.full(count, step & 0xFFFFFFFF, np.uint64)
    key = (seed + stream * 0x85EBCA6B) & 0xFFFFFFFF
    for _ in range(10):
        wide = x0 * np.uint64(0xD256D193)
        x0, x1 = (wide >> np.uint64(32)) ^ np.uint64(key) ^ x1, wide & mask
        key = (key + 0x9E3779B9) & 0xFFFFFFFF
    return (x0 >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)


def _broadcast(x: Array, shape: Sequence[int], axes: Sequence[int]) -> Array:
    stretched = [1] * len(shape)
    for axis, size in zip(axes, x.shape, strict=True):
        stretched[axis] = size
    return np.broadcast_to(x.reshape(stretched), shape)


def _sigmoid(x: Array) -> Array:
    half = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + half), half / (1 + half)).astype(x.dtype)


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


def _iota(shape: Sequence[int], axis: int) -> Array:
    return _broadcast(np.arange(shape[axis], dtype=np.int32), shape, (axis,))


def _matmul(a: Array, b: Array, transpose_a: bool, transpose_b: bool) -> Array:
    return (a.swapaxes(-1, -2) if transpose_a else a) @ (b.swapaxes(-1, -2) if transpose_b else b)


def _slice(x: Array, starts: Sequence[int], sizes: Sequence[int], steps: Sequence[int]) -> Array:
    ranges = zip(starts, sizes, steps, strict=True)
    return x[tuple(slice(start, start + size * step, step) for start, size, step in ranges)]


def _reverse(x: Array, axes: Sequence[int]) -> Array:
    return np.flip(x, tuple(axes))


def _pad(
    x: Array, low: Sequence[int], high: Sequence[int], interior: Sequence[int], value: float
) -> Array:
    spread = [max(n + (n - 1) * gap, 0) for n, gap in zip(x.shape, interior, strict=True)]
    sizes = [a + n + b for a, n, b in zip(low, spread, high, strict=True)]
    result = np.full(sizes, value, x.dtype)
    places = zip(low, spread, interior, strict=True)
    result[tuple(slice(a, a + n, gap + 1) for a, n, gap in places)] = x
    return result


def _window_places(
    shape: Sequence[int], axis: int, sizes: Sequence[int], strides: Sequence[int],
    dilations: Sequence[int],
) -> Any:  # fmt: skip
    """An index that takes all windows of an array of this shape."""
    rank = len(sizes)
    index: list[Array | slice] = [slice(None)] * axis
    for at, (size, stride, dilation) in enumerate(zip(sizes, strides, dilations, strict=True)):
        count = (shape[axis + at] - (size - 1) * dilation - 1) // stride + 1
        places = np.arange(count)[:, None] * stride + np.arange(size) * dilation
        wide = [1] * (2 * rank)
        wide[at], wide[rank + at] = count, size
        index.append(places.reshape(wide))
    return tuple(index)


def _windows(x: Array, axis: int, **how: Sequence[int]) -> Array:
    return x[_window_places(x.shape, axis, **how)]


def _fold(x: Array, axis: int, shape: Sequence[int], **how: Sequence[int]) -> Array:
    result = np.zeros(shape, x.dtype)
    np.add.at(result, _window_places(shape, axis, **how), x)
    return result


def _conv(x: Array, kernel: Array, strides: Sequence[int], dilations: Sequence[int]) -> Array:
    rank = len(strides)
    windows = _windows(x, 1, sizes=kernel.shape[:rank], strides=strides, dilations=dilations)
    return np.tensordot(windows, kernel, (range(rank + 1, 2 * rank + 2), range(rank + 1)))


def _conv_kernel_grad(
    x: Array, dy: Array, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
    parts: int,
) -> Array:  # fmt: skip
    rank = len(strides)
    windows = _windows(x, 1, sizes=sizes, strides=strides, dilations=dilations)
    bounds = [len(x) * part // parts for part in range(parts + 1)]
    over = range(rank + 1)
    return np.stack(
        [
            np.tensordot(windows[start:stop], dy[start:stop], (over, over))
            for start, stop in pairwise(bounds)
        ]
    )


def _gather(data: Array, index: Array) -> Array:
    inside = (index >= 0) & (index < len(data))
    result = np.zeros((*index.shape, *data.shape[1:]), data.dtype)
    result[inside] = data[index[inside]]
    return result


def _scatter_add(index: Array, updates: Array, rows: int) -> Array:
    result = np.zeros((rows, *updates.shape[index.ndim :]), updates.dtype)
    inside = (index >= 0) & (index < rows)
    np.add.at(result, index[inside], updates[inside])
    return result


def _divide(x: Array, y: Array) -> Array:
    return x / y if np.issubdtype(x.dtype, np.floating) else x // y


# Op -> its meaning; attributes are passed by name, with symbols replaced by their values.
MEANING: dict[str, Callable[..., Array]] = {
    "iota": _iota,
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "erf": _erf,
    "is_finite": np.isfinite,
    "logical_not": np.logical_not,
    "stop_gradient": lambda x: x,
    "copy": np.copy,
    "cast": lambda x, dtype: x.astype(DTYPES[dtype]),
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": _divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
    "equal": np.equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "select": np.where,
    "broadcast": _broadcast,
    "reshape": np.reshape,
    "transpose": lambda x, permutation: x.transpose(permutation),
    "slice": _slice,
    "reverse": _reverse,
    "pad": _pad,
    "concat": lambda *operands, axis: np.concatenate(operands, axis),
    "windows": _windows,
    "fold": _fold,
    "reduce_sum": lambda x, axes: np.sum(x, axes, dtype=x.dtype),
    "reduce_max": lambda x, axes: x.max(axes),
    "reduce_min": lambda x, axes: x.min(axes),
    "argmax": lambda x, axis: np.asarray(np.argmax(x, axis), np.int32),
    "matmul": _matmul,
    "conv": _conv,
    "conv_kernel_grad": _conv_kernel_grad,
    "gather": _gather,
    "scatter_add": _scatter_add,
    "random_uniform": lambda seed, step, shape, stream: philox_uniform(
        int(seed), stream, int(step), math.prod(shape)
    ).reshape(shape),
}


def _concrete(value: object, symbols: Symbols) -> object:
    if isinstance(value, Size):
        return evaluate(value, symbols)
    if isinstance(value, tuple):
        return tuple(_concrete(v, symbols) for v in value)
    return value


def _run_node(
    node: Node, operands: list[Array], symbols: Symbols, watch: Callable[[Node, Array], None] | None
) -> Array | tuple[Array, ...]:
    if node.op == "const":
        return np.asarray(node.attrs["value"], DTYPES[node.tensor.dtype])
    if node.op == "size":
        dim: Dim = node.attrs["dim"]
        return np.asarray(evaluate(dim, symbols), DTYPES[node.tensor.dtype])
    if node.op == "item":
        return operands[0][node.attrs["index"]]
    if node.op == "fused":
        body = node.attrs["body"]
        assert isinstance(body, Graph)
        feeds = dict(zip((i.name for i in body.inputs()), operands, strict=True))
        return tuple(interpret(body, feeds, symbols, watch).values())
    if node.op == "scan":
        return _scan(node, operands, symbols, watch)
    attrs = {
        key: _concrete(value, symbols)
        for key, value in node.attrs.items()
        if key not in ANNOTATIONS
    }
    return MEANING[node.op](*operands, **attrs)


def _scan(
    node: Node, operands: list[Array], symbols: Symbols, watch: Callable[[Node, Array], None] | None
) -> tuple[Array, ...]:
    body, length = node.attrs["body"], evaluate(node.attrs["length"], symbols)
    outer, inner = parts(operands, node.attrs), parts(body.inputs(), node.attrs)
    feeds = {n.name: x for n, x in zip(inner.constants, outer.constants, strict=True)}
    feeds |= {n.name: x for n, x in zip(inner.carries, outer.carries, strict=True)}
    names, shapes = stacked(body), node.type[len(inner.carries) :]  # type: ignore[index]
    results = {
        name: np.empty([evaluate(d, symbols) for d in type_.shape], DTYPES[type_.dtype])
        for name, type_ in zip(names, shapes, strict=True)
    }
    for at in reversed(range(length)) if node.attrs["reverse"] else range(length):
        feeds |= {n.name: x[at] for n, x in zip(inner.sequences, outer.sequences, strict=True)}
        values = interpret(body, feeds, symbols, watch)
        for name in names:
            results[name][at] = values[name]
        feeds |= {carry.name: values[carry.name] for carry in inner.carries}
    return (*(feeds[carry.name] for carry in inner.carries), *results.values())


def interpret(
    graph: Graph,
    feeds: Mapping[str, Array],
    symbols: Symbols | None = None,
    watch: Callable[[Node, Array], None] | None = None,
) -> dict[str, Array]:
    """Evaluates a graph.

    Args:
        graph: at any stage, from traced to scheduled.
        feeds: an array for each input, by name.
        symbols: values of symbolic dimensions; those that feeds' shapes tell may be left out.
        watch: called with each node that has one result and its value, in order.

    Returns:
        The outputs by name.

    Raises:
        ValueError: when an input has no feed, or one of another shape.
    """
    symbols = dict(symbols or {})
    for node in graph.inputs():
        if node.name not in feeds:
            raise ValueError(f"input %{node.name}: no array given")
        _bind(node, np.shape(feeds[node.name]), symbols)
    values: dict[Node, Array | tuple[Array, ...]] = {}
    with np.errstate(all="ignore"):
        for node in graph.nodes():
            if node.op == "input":
                values[node] = np.asarray(feeds[node.name], DTYPES[node.tensor.dtype])
            else:
                operands = [values[o] for o in graph.operands(node)]
                values[node] = _run_node(node, operands, symbols, watch)  # type: ignore[arg-type]
            value = values[node]
            if watch is not None and not isinstance(value, tuple):
                watch(node, value)
    return {name: np.asarray(values[node]) for name, node in graph.outputs.items()}


def _bind(node: Node, shape: tuple[int, ...], symbols: Symbols) -> None:
    type_: TensorType = node.tensor
    fits = len(shape) == type_.rank
    for dim, size in zip(type_.shape, shape, strict=False):
        if isinstance(dim, Size) and dim.factor == 1 and len(dim.symbols) == 1:
            symbols.setdefault(dim.symbols[0], size)
    known = all(s in symbols for d in type_.shape if isinstance(d, Size) for s in d.symbols)
    if (
        not fits
        or not known
        or any(evaluate(d, symbols) != s for d, s in zip(type_.shape, shape, strict=True))
    ):
        raise ValueError(f"input %{node.name}: expected {type_}, got shape {shape}")
