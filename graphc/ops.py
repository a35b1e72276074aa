"""Functions that build nodes, named and behaving as in `keras.ops`.

Layers, losses, metrics and optimizers are written with these, and so are a user's own. Arguments
are tensors, variables, numbers or NumPy arrays; shapes broadcast and dtypes promote as in NumPy,
except that Python numbers take the tensor's dtype. Every function works on the symbolic tensors
of `layers.Input` too, where it becomes a layer of the model.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec
from typing import cast as typing_cast

import numpy as np

from graphc.ir.types import DTYPES, FLOATS, Dim, Shape, product, short_dtype
from graphc.ir.types import divide as divide_dims

from .trace import Operand, Tensor, Variable, current

TensorLike = Any  # Tensor, Variable, number, array, or a layer's symbolic tensor
P = ParamSpec("P")


def _symbolic(values: object) -> Any:
    """The first symbolic tensor of a layer among arguments, if any."""
    if isinstance(values, (list, tuple)):
        return next((s for v in values if (s := _symbolic(v)) is not None), None)
    return values if hasattr(values, "record_op") else None


def _op(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Makes a function record itself as a layer when it is called on a layer's symbolic tensor."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        symbolic = _symbolic((*args, *kwargs.values()))
        if symbolic is not None:
            return typing_cast(Tensor, symbolic.record_op(wrapper, args, kwargs))
        return function(*args, **kwargs)

    return wrapper


def _node(op: str, *operands: Tensor, **attrs: object) -> Tensor:
    return Tensor(current().builder.node(op, *(o.node for o in operands), **attrs))


def convert_to_tensor(x: TensorLike, dtype: object = None) -> Tensor:
    """A tensor of a variable, number, array or tensor; floats become float32 unless told."""
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


def _floating(x: TensorLike) -> Tensor:
    """x as a tensor of floats: ints and bools become float32."""
    x = convert_to_tensor(x)
    return x if x.type.dtype in FLOATS else cast(x, "f32")


def _common_dtype(dtypes: Sequence[str]) -> str:
    """NumPy's promotion, except that an integer and a float give the float."""
    floats = [d for d in dtypes if d in FLOATS]
    kinds = [DTYPES[d] for d in floats or dtypes]
    return short_dtype(functools.reduce(np.promote_types, kinds))


def _align(*values: TensorLike) -> list[Tensor]:
    """Operands of one dtype and shape."""
    numbers = [v for v in values if isinstance(v, (bool, int, float))]
    tensors = [None if isinstance(v, (bool, int, float)) else convert_to_tensor(v) for v in values]
    dtypes = [t.type.dtype for t in tensors if t is not None]
    if any(isinstance(v, float) for v in numbers):
        dtypes.append("f32")
    elif set(dtypes) <= {"bool"}:
        dtypes += ["bool" if isinstance(v, bool) else "i32" for v in numbers]
    dtype = _common_dtype(dtypes)
    whole = [
        convert_to_tensor(v, dtype) if t is None else cast(t, dtype)
        for v, t in zip(values, tensors, strict=True)
    ]
    shape = functools.reduce(_broadcast_shapes, (t.shape for t in whole))
    return [broadcast_to(t, shape) for t in whole]


def _broadcast_shapes(a: Shape, b: Shape) -> Shape:
    rank = builtins.max(len(a), len(b))
    long_a: Shape = (1,) * (rank - len(a)) + a
    long_b: Shape = (1,) * (rank - len(b)) + b
    if any(x != y and 1 not in (x, y) for x, y in zip(long_a, long_b, strict=True)):
        raise ValueError(f"shapes {list(a)} and {list(b)} do not broadcast together")
    return tuple(y if x == 1 else x for x, y in zip(long_a, long_b, strict=True))


@_op
def broadcast_to(x: TensorLike, shape: Sequence[Dim]) -> Tensor:
    """x repeated to a shape, aligned at the last axis."""
    x = convert_to_tensor(x)
    target = tuple(shape)
    if x.shape == target:
        return x
    if _broadcast_shapes(x.shape, target) != target:
        raise ValueError(f"shape {list(x.shape)} does not broadcast to {list(target)}")
    offset = len(target) - x.ndim
    kept = [a for a in range(x.ndim) if x.shape[a] == target[a + offset]]
    x = reshape(x, [x.shape[a] for a in kept])
    return _node("broadcast", x, shape=target, axes=tuple(a + offset for a in kept))


def _unary(op: str, name: str, doc: str) -> Callable[[TensorLike], Tensor]:
    def function(x: TensorLike) -> Tensor:
        if op in ("neg", "abs", "sign", "stop_gradient"):
            return _node(op, convert_to_tensor(x))
        return _node(op, _floating(x))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return _op(function)


def _binary(op: str, name: str, doc: str, swap: bool = False) -> Callable[..., Tensor]:
    def function(x1: TensorLike, x2: TensorLike) -> Tensor:
        a, b = _align(x1, x2)
        if op in ("div", "power") and a.type.dtype not in FLOATS:
            a, b = cast(a, "f32"), cast(b, "f32")
        if op.startswith("logical"):
            a, b = cast(a, "bool"), cast(b, "bool")
        return _node(op, b, a) if swap else _node(op, a, b)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return _op(function)


negative = _unary("neg", "negative", "-x.")
absolute = abs = _unary("abs", "absolute", "|x|.")
sign = _unary("sign", "sign", "-1, 0 or 1.")
floor = _unary("floor", "floor", "The largest integer not above x.")
exp = _unary("exp", "exp", "e**x.")
expm1 = _unary("expm1", "expm1", "e**x - 1, exact near 0.")
log = _unary("log", "log", "Natural logarithm.")
log1p = _unary("log1p", "log1p", "log(1 + x), exact near 0.")
sqrt = _unary("sqrt", "sqrt", "Square root.")
rsqrt = _unary("rsqrt", "rsqrt", "1 / sqrt(x).")
sin = _unary("sin", "sin", "Sine, x in radians.")
cos = _unary("cos", "cos", "Cosine, x in radians.")
tanh = _unary("tanh", "tanh", "Hyperbolic tangent.")
sigmoid = _unary("sigmoid", "sigmoid", "1 / (1 + e**-x).")
erf = _unary("erf", "erf", "The error function.")
isfinite = _unary("is_finite", "isfinite", "Whether x is neither infinite nor NaN.")
stop_gradient = _unary("stop_gradient", "stop_gradient", "x, taken as a constant by gradients.")

add = _binary("add", "add", "x1 + x2.")
subtract = _binary("sub", "subtract", "x1 - x2.")
multiply = _binary("mul", "multiply", "x1 * x2.")
divide = _binary("div", "divide", "x1 / x2; integers are divided as float32.")
power = _binary("power", "power", "x1**x2.")
maximum = _binary("maximum", "maximum", "The larger of two, element by element.")
minimum = _binary("minimum", "minimum", "The smaller of two, element by element.")
equal = _binary("equal", "equal", "x1 == x2.")
less = _binary("less", "less", "x1 < x2.")
less_equal = _binary("less_equal", "less_equal", "x1 <= x2.")
greater = _binary("less", "greater", "x1 > x2.", swap=True)
greater_equal = _binary("less_equal", "greater_equal", "x1 >= x2.", swap=True)
logical_and = _binary("logical_and", "logical_and", "x1 and x2.")
logical_or = _binary("logical_or", "logical_or", "x1 or x2.")


@_op
def logical_not(x: TensorLike) -> Tensor:
    """Not x."""
    return _node("logical_not", cast(convert_to_tensor(x), "bool"))


@_op
def not_equal(x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 != x2."""
    return logical_not(equal(x1, x2))


@_op
def where(condition: TensorLike, x1: TensorLike, x2: TensorLike) -> Tensor:
    """x1 where the condition holds, else x2."""
    a, b = _align(x1, x2)
    condition = cast(convert_to_tensor(condition), "bool")
    shape = _broadcast_shapes(condition.shape, a.shape)
    return _node("select", *(broadcast_to(t, shape) for t in (condition, a, b)))


@_op
def clip(x: TensorLike, x_min: TensorLike, x_max: TensorLike) -> Tensor:
    """x held between x_min and x_max."""
    return minimum(maximum(x, x_min), x_max)


@_op
def square(x: TensorLike) -> Tensor:
    """x * x."""
    return multiply(x, x)


@_op
def cast(x: TensorLike, dtype: object) -> Tensor:
    """x converted to a dtype; to bool, whether it is not 0."""
    x, short = convert_to_tensor(x), short_dtype(dtype)
    if x.type.dtype == short:
        return x
    if short == "bool":
        return not_equal(x, 0)
    return _node("cast", x, dtype=short)


# Shape.


def shape(x: TensorLike) -> Shape:
    """The shape: ints, and symbols for dimensions known only when the program runs."""
    return convert_to_tensor(x).shape


@_op
def reshape(x: TensorLike, newshape: Sequence[Dim]) -> Tensor:
    """x's elements in row-major order under another shape; one dimension may be -1."""
    x = convert_to_tensor(x)
    target = list(newshape)
    if -1 in target:
        at = target.index(-1)
        missing = divide_dims(x.type.elements, product(d for d in target if d != -1))
        if missing is None or target.count(-1) > 1:
            raise ValueError(f"reshape: {list(x.shape)} does not fit {target}")
        target[at] = missing
    if product(target) != x.type.elements:
        raise ValueError(
            f"reshape: {list(x.shape)} has {x.type.elements} elements, {target} has "
            f"{product(target)}"
        )
    return x if x.shape == tuple(target) else _node("reshape", x, shape=tuple(target))


@_op
def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes permuted; reversed by default."""
    x = convert_to_tensor(x)
    permutation = tuple(axes) if axes is not None else tuple(reversed(range(x.ndim)))
    return _node("transpose", x, permutation=tuple(a % x.ndim for a in permutation))


@_op
def expand_dims(x: TensorLike, axis: int) -> Tensor:
    """x with a new axis of size 1."""
    x = convert_to_tensor(x)
    axis %= x.ndim + 1
    return reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


@_op
def squeeze(x: TensorLike, axis: int | None = None) -> Tensor:
    """x without its axis (or all axes) of size 1."""
    x = convert_to_tensor(x)
    if axis is None:
        return reshape(x, [d for d in x.shape if d != 1])
    if x.shape[axis] != 1:
        raise ValueError(f"squeeze: axis {axis} of {list(x.shape)} is not of size 1")
    axis %= x.ndim
    return reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))


@_op
def zeros_like(x: TensorLike) -> Tensor:
    """Zeros of x's shape and dtype."""
    return full_like(x, 0)


@_op
def ones_like(x: TensorLike) -> Tensor:
    """Ones of x's shape and dtype."""
    return full_like(x, 1)


@_op
def full_like(x: TensorLike, fill_value: TensorLike) -> Tensor:
    """A value repeated to x's shape and dtype."""
    x = convert_to_tensor(x)
    return broadcast_to(convert_to_tensor(fill_value, x.type.dtype), x.shape)


# Reductions.


def _axes(x: Tensor, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(x.ndim))
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -x.ndim <= a < x.ndim for a in given):
        raise ValueError(f"axis {axis} is out of range for shape {list(x.shape)}")
    return tuple(sorted({a % x.ndim for a in given}))


def _reduce(op: str, x: Tensor, axis: int | Sequence[int] | None, keepdims: bool) -> Tensor:
    axes = _axes(x, axis)
    result = _node(op, x, axes=axes)
    if keepdims:
        return reshape(result, [1 if a in axes else d for a, d in enumerate(x.shape)])
    return result


@_op
def sum(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Sum over axes (all by default); bools and ints of less than 32 bits add up as 32 bits."""
    x = convert_to_tensor(x)
    wide = {"bool": "i32", "i8": "i32", "i16": "i32", "u8": "u32", "u16": "u32"}
    return _reduce("reduce_sum", cast(x, wide.get(x.type.dtype, x.type.dtype)), axis, keepdims)


@_op
def mean(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Arithmetic mean over axes (all by default); ints and bools are taken as float32."""
    x = _floating(x)
    count = _node("size", dim=product(x.shape[a] for a in _axes(x, axis)), dtype=x.type.dtype)
    return divide(sum(x, axis, keepdims), count)


@_op
def max(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Largest element over axes (all by default)."""
    return _reduce("reduce_max", convert_to_tensor(x), axis, keepdims)


@_op
def min(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Smallest element over axes (all by default)."""
    return _reduce("reduce_min", convert_to_tensor(x), axis, keepdims)


@_op
def var(x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Variance (divided by the count) over axes."""
    return mean(square(subtract(x, mean(x, axis, True))), axis, keepdims)


@_op
def argmax(x: TensorLike, axis: int | None = None) -> Tensor:
    """Index (int32) of the first maximum along an axis, or among all elements by default."""
    x = convert_to_tensor(x)
    if axis is None:
        x, axis = reshape(x, (x.type.elements,)), 0
    return _node("argmax", x, axis=_axes(x, axis)[0])


@_op
def logsumexp(
    x: TensorLike, axis: int | Sequence[int] | None = None, keepdims: bool = False
) -> Tensor:
    """log(sum(exp(x))), without overflow."""
    x = _floating(x)
    top = stop_gradient(max(x, axis, True))
    result = add(log(sum(exp(subtract(x, top)), axis, True)), top)
    if keepdims:
        return result
    return reshape(result, [d for a, d in enumerate(x.shape) if a not in _axes(x, axis)])


# Linear algebra and indexing.


@_op
def matmul(x1: TensorLike, x2: TensorLike) -> Tensor:
    """Matrix product of (..., m, k) and (k, n), at least one of them floats."""
    a, b = convert_to_tensor(x1), convert_to_tensor(x2)
    dtype = _common_dtype([a.type.dtype, b.type.dtype])
    a, b = cast(a, dtype), cast(b, dtype)
    if a.ndim < 1 or b.ndim != 2 or a.shape[-1] != b.shape[0]:
        raise ValueError(
            f"matmul: expected (..., m, k) and (k, n), got {list(a.shape)} and {list(b.shape)}"
        )
    rows = reshape(a, (-1, a.shape[-1]))
    result = _node("matmul", rows, b, transpose_a=False, transpose_b=False)
    return reshape(result, (*a.shape[:-1], b.shape[1]))


@_op
def one_hot(x: TensorLike, num_classes: int, dtype: object = "float32") -> Tensor:
    """1 at each integer's place along a new last axis, 0 elsewhere."""
    x = cast(convert_to_tensor(x), "i32")
    target = (*x.shape, num_classes)
    places = _node("iota", shape=target, axis=len(target) - 1)
    return cast(equal(expand_dims(x, -1), places), dtype)


# Functions of keras.ops that are compositions.


@_op
def relu(x: TensorLike) -> Tensor:
    """max(x, 0)."""
    return maximum(x, 0.0)


@_op
def softplus(x: TensorLike) -> Tensor:
    """log(1 + e**x), without overflow."""
    # With the halves chosen by `where`, the derivative at 0 is 1/2; that of max and |x| would be 0.
    x = _floating(x)
    positive = greater(x, 0.0)
    return add(where(positive, x, 0.0), log1p(exp(where(positive, negative(x), x))))


@_op
def log_sigmoid(x: TensorLike) -> Tensor:
    """log(sigmoid(x)), without underflow."""
    return negative(softplus(negative(_floating(x))))


@_op
def softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along an axis."""
    x = _floating(x)
    e = exp(subtract(x, stop_gradient(max(x, axis, True))))
    return divide(e, sum(e, axis, True))


@_op
def log_softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """log(softmax(x)) along an axis, without underflow."""
    x = _floating(x)
    shifted = subtract(x, stop_gradient(max(x, axis, True)))
    return subtract(shifted, log(sum(exp(shifted), axis, True)))


@_op
def gelu(x: TensorLike, approximate: bool = True) -> Tensor:
    """x times the normal distribution's function at x; by tanh when approximate."""
    x = _floating(x)
    if approximate:
        inner = multiply(add(x, multiply(0.044715, _cube(x))), math.sqrt(2 / math.pi))
        return multiply(multiply(0.5, x), add(1.0, tanh(inner)))
    return multiply(multiply(0.5, x), add(1.0, erf(multiply(x, math.sqrt(0.5)))))


def _cube(x: Tensor) -> Tensor:
    """x * x * x."""
    return multiply(multiply(x, x), x)


def _install_operators() -> None:
    """Arithmetic is these functions; installed here, since trace.py is below this file."""

    def reflected(function: Callable[..., Tensor]) -> Callable[[Any, Any], Tensor]:
        return lambda self, other: function(other, self)

    pairs = {
        "add": add, "sub": subtract, "mul": multiply, "truediv": divide, "pow": power,
        "matmul": matmul,
    }  # fmt: skip
    for name, function in pairs.items():
        setattr(Operand, f"__{name}__", function)
        setattr(Operand, f"__r{name}__", reflected(function))
    others = {
        "lt": less, "le": less_equal, "gt": greater, "ge": greater_equal, "neg": negative,
        "abs": absolute,
    }  # fmt: skip
    for name, other in others.items():
        setattr(Operand, f"__{name}__", other)


_install_operators()
