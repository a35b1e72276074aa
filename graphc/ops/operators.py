"""Arithmetic on tensors and variables, as calls of these functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc.trace import Operand, Tensor

from .elementwise import (
    absolute,
    add,
    divide,
    greater,
    greater_equal,
    less,
    less_equal,
    multiply,
    negative,
    power,
    subtract,
)
from .linear import matmul
from .shaping import getitem


def _install_operators() -> None:
    """Sets the operators of tensors and variables; here, since trace.py is below this folder."""

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
        "abs": absolute, "getitem": getitem,
    }  # fmt: skip
    for name, other in others.items():
        setattr(Operand, f"__{name}__", other)


_install_operators()
