"""How large a model may become while it is made of a configuration that may be wrong or hostile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# Elements of a metric's state, which no weights' file bounds: 10,000 thresholds of 250 labels.
MAX_STATE = 10_000_000
# Calls of layers; models in models that each call the next one twice would make 2 ** depth of them.
MAX_CALLS = 10_000


@dataclass
class Budget:
    """What may be made.

    Attributes:
        parameters: elements of weights that are left; None for any number.
        initial_values: whether weights get them; else they are 0 until others are loaded.
        calls: calls of layers that are left.
    """

    parameters: int | None = None
    initial_values: bool = True
    calls: int = 0


_current: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def building(max_parameters: int | None = None, initial_values: bool = True) -> Iterator[None]:
    """Models that are built inside of `with` have so many weights at most.

    Args:
        max_parameters: elements of all weights together, for example as many as a file holds; None
            for any number.
        initial_values: whether initializers are called; without, weights are 0.
    """
    token = _current.set(Budget(max_parameters, initial_values, MAX_CALLS))
    try:
        yield
    finally:
        _current.reset(token)


def claim(elements: int, what: str) -> bool:
    """Takes the elements of a weight off the budget; whether the weight gets initial values.

    Raises:
        ValueError: when there are not so many left, before anything is allocated.
    """
    budget = _current.get()
    if budget is None:
        return True
    if budget.parameters is not None:
        if elements > budget.parameters:
            raise ValueError(
                f"{what} has {elements} elements, where {budget.parameters} are left of those that "
                "the model may have"
            )
        budget.parameters -= elements
    return budget.initial_values


def claim_call(layer: str) -> None:
    """Takes a call of a layer off the budget, while a model is made of a configuration.

    Raises:
        ValueError: when there are none left.
    """
    budget = _current.get()
    if budget is not None:
        budget.calls -= 1
        if budget.calls < 0:
            raise ValueError(
                f"layer {layer!r}: the model's layers call each other more than {MAX_CALLS:,} times"
            )


def check_state(elements: int, what: str) -> None:
    """Checks a metric's state, while a model is made of a configuration.

    Raises:
        ValueError: when it is too large.
    """
    if _current.get() is not None and elements > MAX_STATE:
        raise ValueError(f"{what} has {elements} elements, at most {MAX_STATE} are allowed")
