"""Computes functions of `graphc.ops` natively."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphc import ops
from graphc.compiler import compile_trace
from graphc.ir.types import TensorType, evaluate, short_dtype
from graphc.trace import Tensor, Trace

Functions = Mapping[Any, Callable[..., Any]]


def compute(functions: Functions, *arrays: object) -> dict[Any, np.ndarray]:
    """Each function's value of these arrays by its key, from one compiled program."""
    values = [np.ascontiguousarray(a) for a in arrays]
    values = [v.reshape(np.shape(a)) for v, a in zip(values, arrays, strict=True)]
    trace = Trace("test")
    with trace:
        inputs = [
            trace.input(f"input{at}", TensorType(short_dtype(v.dtype), v.shape), "scalar")
            for at, v in enumerate(values)
        ]
        for at, function in enumerate(functions.values()):
            result = function(*inputs)
            whole = result if isinstance(result, Tensor) else ops.convert_to_tensor(result)
            trace.output(f"result{at}", whole)
    program = compile_trace(trace, check=True)
    results = {
        name: np.empty([evaluate(d, {}) for d in shape], dtype)
        for name, (dtype, shape) in program.output_types().items()
    }
    addresses = {name: array.ctypes.data for name, array in results.items()}
    addresses |= {f"input{at}": v.ctypes.data for at, v in enumerate(values)}
    program.run(addresses, steps=1, rows=1, batch=1)
    return dict(
        zip(functions, (results[f"result{at}"] for at in range(len(functions))), strict=True)
    )
