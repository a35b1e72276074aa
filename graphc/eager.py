"""Calls outside of a program: traced, compiled once for the arrays' types, and run."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .compiler import Executable, compile_trace
from .ir.types import TensorType, evaluate, short_dtype
from .trace import Tensor, Trace, Variable, is_tracing
from .tree import flatten, unflatten

Programs = dict[object, tuple[Executable, Any]]
RandomState = tuple[Variable, Variable]


def eagerly(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method that in a trace is traced, and outside of one computes with NumPy arrays.

    Numbers and lists of them count as arrays. Programs are kept with the object, by the types of
    its arguments.
    """

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_tracing():
            return method(self, *args, **kwargs)
        programs = vars(self).setdefault("_eager_programs", {})
        arrays = tuple(_as_array(a) for a in args)
        named = {key: _as_array(a) for key, a in kwargs.items()}
        return compute(functools.partial(method, self), method.__name__, programs, arrays, named)

    return wrapper


def _as_array(argument: Any) -> Any:
    numbers = isinstance(argument, (int, float, list, tuple)) and not isinstance(argument, bool)
    return np.asarray(argument) if numbers else argument


def compute(
    function: Callable[..., Any],
    name: str,
    programs: Programs,
    args: Any,
    kwargs: Any,
    random_state: RandomState | None = None,
) -> Any:
    """The function's results, as NumPy arrays.

    Args:
        function: written with `graphc.ops`.
        name: of the program, in its key.
        programs: those compiled before.
        args, kwargs: arrays among them are the program's inputs, all else is part of it.
        random_state: what random numbers are a function of, if the function draws any.
    """
    given = [args, kwargs]
    leaves = [_standard(leaf) for leaf in flatten(given)]
    types = [
        TensorType(short_dtype(a.dtype), a.shape) if isinstance(a, np.ndarray) else a
        for a in leaves
    ]
    key = (name, tuple(kwargs), tuple(map(_key, types)))
    if key not in programs:
        programs[key] = _compile(function, given, types, random_state)
    program, structure = programs[key]
    arrays = {f"input{at}": a for at, a in enumerate(leaves) if isinstance(a, np.ndarray)}
    results = {
        output: np.empty([evaluate(d, {}) for d in shape], dtype)
        for output, (dtype, shape) in program.output_types().items()
    }
    addresses = {n: a.ctypes.data for n, a in {**arrays, **results}.items()}
    program.run(addresses, steps=1, rows=1, batch=1)
    values = iter(results[f"result{at}"] for at in range(len(results)))
    return unflatten(structure, values)


def _standard(leaf: Any) -> Any:
    """Arrays as programs take them; other things as they are."""
    if not isinstance(leaf, (np.ndarray, np.generic)):
        return leaf
    array = np.asarray(leaf)
    if array.dtype in (np.float64, np.float16):
        array = array.astype(np.float32)
    return np.ascontiguousarray(array).reshape(array.shape)


def _key(leaf: Any) -> object:
    try:
        hash(leaf)
    except TypeError:
        return repr(leaf)
    return type(leaf), leaf


def _compile(
    function: Callable[..., Any], given: Any, types: list[Any], random_state: RandomState | None
) -> tuple[Executable, Any]:
    trace = Trace("eager", random_state=random_state)
    with trace:
        inputs = (
            trace.input(f"input{at}", type_, "scalar") if isinstance(type_, TensorType) else type_
            for at, type_ in enumerate(types)
        )
        args, kwargs = _like(given, inputs)
        structure = function(*args, **kwargs)
        for at, result in enumerate(r for r in flatten(structure) if isinstance(r, Tensor)):
            trace.output(f"result{at}", result)
        trace.count_random_step()
    return compile_trace(trace), structure


def _like(given: Any, leaves: Iterator[Any]) -> Any:
    """The arguments' structure with these leaves."""
    if isinstance(given, (list, tuple)):
        return type(given)(_like(part, leaves) for part in given)
    if isinstance(given, dict):
        return {key: _like(part, leaves) for key, part in given.items()}
    return next(leaves)
