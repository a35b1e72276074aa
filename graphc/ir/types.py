"""Tensor types: an element type and a shape whose dimensions are ints or products of symbols."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# The symbol of the batch's rows, which programs go through and threads share.
BATCH = "batch"
# Element types by the short name that the text form uses.
DTYPES: dict[str, np.dtype] = {
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "i8": np.dtype(np.int8),
    "i16": np.dtype(np.int16),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "u8": np.dtype(np.uint8),
    "u16": np.dtype(np.uint16),
    "u32": np.dtype(np.uint32),
    "bool": np.dtype(np.bool_),
}
_SHORT = {dtype: short for short, dtype in DTYPES.items()}
FLOATS = ("f32", "f64")


def short_dtype(dtype: object) -> str:
    """The short name ("f32") of a dtype given in any of NumPy's spellings, or as a short name.

    Raises:
        TypeError: for a dtype that graphs cannot hold (object, string, complex, float16 ...).
    """
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    try:
        return _SHORT[np.dtype(dtype)]  # type: ignore[call-overload]
    except (KeyError, TypeError):
        known = ", ".join(sorted(str(d) for d in _SHORT))
        raise TypeError(f"dtype {dtype} is not supported; expected one of {known}") from None


@dataclass(frozen=True, slots=True)
class Size:
    """A dimension known only when the program runs: an int times named symbols, as in 64*batch."""

    symbols: tuple[str, ...]
    factor: int = 1

    def __mul__(self, other: int | Size) -> int | Size:
        if isinstance(other, Size):
            return Size(tuple(sorted(self.symbols + other.symbols)), self.factor * other.factor)
        return Size(self.symbols, self.factor * other) if other else 0

    __rmul__ = __mul__

    def __str__(self) -> str:
        names = "*".join(self.symbols)
        return names if self.factor == 1 else f"{self.factor}*{names}"

    __repr__ = __str__


Dim = int | Size
Shape = tuple[Dim, ...]


def product(dims: Iterable[Dim]) -> Dim:
    """The number of elements of a shape."""
    total: Dim = 1
    for dim in dims:
        total = total * dim
    return total


def divide(total: Dim, part: Dim) -> Dim | None:
    """total / part where that is exact for every value of the symbols, else None."""
    numerator = total if isinstance(total, Size) else Size((), total)
    denominator = part if isinstance(part, Size) else Size((), part)
    rest = list(numerator.symbols)
    for symbol in denominator.symbols:
        if symbol not in rest:
            return None
        rest.remove(symbol)
    if denominator.factor == 0 or numerator.factor % denominator.factor:
        return None
    factor = numerator.factor // denominator.factor
    return Size(tuple(rest), factor) if rest else factor


def evaluate(dim: Dim, symbols: Mapping[str, int]) -> int:
    """The int that a dimension stands for, given the symbols' values."""
    if isinstance(dim, int):
        return dim
    return dim.factor * math.prod(symbols[name] for name in dim.symbols)


@dataclass(frozen=True, slots=True)
class TensorType:
    """dtype (short name) and shape of a value; a scalar has the empty shape."""

    dtype: str
    shape: Shape = ()

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def elements(self) -> Dim:
        return product(self.shape)

    @property
    def itemsize(self) -> int:
        return DTYPES[self.dtype].itemsize

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS

    def with_dtype(self, dtype: str) -> TensorType:
        return TensorType(dtype, self.shape)

    def with_shape(self, shape: Sequence[Dim]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"

    __repr__ = __str__


# A node's type: one tensor, or several for nodes whose results `item` picks apart.
NodeType = TensorType | tuple[TensorType, ...]
