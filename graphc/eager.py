"""Calls outside of a program: traced, compiled once for the arrays' types, and run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .compiler import Executable, compile_trace
from .ir.types import TensorType, evaluate, short_dtype
from .trace import Tensor, Trace, is_tracing
from .tree import flatten, unflatten


def eagerly(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that in a trace is traced, and outside of one computes with NumPy arrays.

    Programs are kept with the object, by the types of its arguments.
    """

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_tracing():
            return method(self, *args, **kwargs)
        programs = vars(self).setdefault("_eager_programs", {})
        return _call(functools.partial(method, self), method.__name__, programs, args, kwargs)

    return wrapper


def _call(
    function: Callable[..., Any], name: str, programs: dict[object, Any], args: Any, kwargs: Any
) -> Any:
    given = [args, dict(sorted(kwargs.items()))]
    leaves = [_array(leaf) for leaf in flatten(given)]
    types = [
        TensorType(short_dtype(a.dtype), a.shape) if isinstance(a, np.ndarray) else a
        for a in leaves
    ]
    key = (name, tuple(kwargs), tuple(map(str, types)))
    if key not in programs:
        programs[key] = _compile(function, given, types)
    program, structure = programs[key]
    arrays = {f"input{at}": a for at, a in enumerate(leaves) if isinstance(a, np.ndarray)}
    results = {
        output: np.empty([evaluate(d, {}) for d in shape], dtype)
        for output, (dtype, shape) in program.output_types().items()
    }
    addresses = {n: a.ctypes.data for n, a in {**arrays, **results}.items()}
    program.run(addresses, steps=1, rows=1, batch=1)
    return unflatten(structure, iter(results[f"result{at}"] for at in range(len(results))))


def _array(leaf: Any) -> Any:
    """Numbers and arrays as arrays that programs take; other things as they are."""
    if leaf is None or isinstance(leaf, (str, bool)) or callable(leaf):
        return leaf
    array = np.asarray(leaf)
    if array.dtype in (np.float64, np.float16):
        array = array.astype(np.float32)
    return np.ascontiguousarray(array).reshape(array.shape)


def _compile(function: Callable[..., Any], given: Any, types: list[Any]) -> tuple[Executable, Any]:
    trace = Trace("eager")
    with trace:
        inputs = [
            trace.input(f"input{at}", type_, "scalar") if isinstance(type_, TensorType) else type_
            for at, type_ in enumerate(types)
        ]
        args, kwargs = _like(given, iter(inputs))
        structure = function(*args, **kwargs)
        for at, result in enumerate(r for r in flatten(structure) if isinstance(r, Tensor)):
            trace.output(f"result{at}", result)
    return compile_trace(trace), structure


def _like(given: Any, leaves: Any) -> Any:
    """The arguments' structure, lists of numbers included, with these leaves."""
    if isinstance(given, (list, tuple)):
        return type(given)(_like(part, leaves) for part in given)
    if isinstance(given, dict):
        return {key: _like(part, leaves) for key, part in given.items()}
    return next(leaves)
