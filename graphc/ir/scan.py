"""A scan's operands, and its body's inputs and outputs, by what they are to the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from .graph import Attributes, Graph, GraphError
from .types import TensorType

T = TypeVar("T")


@dataclass(frozen=True)
class Parts(Generic[T]):
    """What is the same in every step, what a step hands to the next, what steps go along."""

    constants: list[T]
    carries: list[T]
    sequences: list[T]


def parts(values: Sequence[T], attrs: Attributes) -> Parts[T]:
    """A scan's operands, or its body's inputs, by kind."""
    first = len(values) - attrs["carries"] - attrs["sequences"]
    second = first + attrs["carries"]
    return Parts(list(values[:first]), list(values[first:second]), list(values[second:]))


def stacked(body: Graph) -> list[str]:
    """The names of the body's outputs that are stacked: those that update no carry."""
    return [name for name in body.outputs if name not in body or body[name].op != "input"]


def result_types(operands: Sequence[TensorType], attrs: Attributes) -> tuple[TensorType, ...]:
    """The types of a scan's results.

    Raises:
        GraphError: when operands and body do not fit, with the rule.
    """
    body, length = attrs["body"], attrs["length"]
    assert isinstance(body, Graph)
    outer, inner = parts(operands, attrs), parts(body.inputs(), attrs)
    element = [s.with_shape(s.shape[1:]) for s in outer.sequences if s.rank]
    given = [*outer.constants, *outer.carries, *element]
    if [i.tensor for i in body.inputs()] != given:
        wanted = ", ".join(str(i.type) for i in body.inputs())
        raise GraphError(f"rule: operands match the body's inputs ({wanted}); got {given}")
    if any(s.shape[0] != length for s in outer.sequences):
        raise GraphError(f"rule: sequences have {length} elements; got {outer.sequences}")
    for carry in inner.carries:
        if carry.attrs["role"] != "state" or body.outputs.get(carry.name) is None:
            raise GraphError(f"rule: a carry is state that is updated; %{carry.name} is not")
        if body.outputs[carry.name].type != carry.type:
            raise GraphError(
                f"rule: a carry keeps its type, {carry.type}; got {body.outputs[carry.name].type}"
            )
    results = [body.outputs[name].tensor for name in stacked(body)]
    return (*outer.carries, *(r.with_shape((length, *r.shape)) for r in results))
