"""Asking tensors of a model that is being put together where they come from."""

from __future__ import annotations

from typing import Any, Protocol, TypeGuard, runtime_checkable


class _Call(Protocol):
    @property
    def inputs(self) -> list[Any]: ...


@runtime_checkable
class _Symbolic(Protocol):
    """What `graphc.layers.symbolic.SymbolicTensor`, of a floor above, is."""

    call: _Call
    batch_size: int | None


def is_keras_tensor(x: object) -> TypeGuard[_Symbolic]:
    """Whether x is a symbolic tensor, as `layers.Input` and layer calls on it return (Keras's)."""
    return isinstance(x, _Symbolic)


def get_source_inputs(tensor: Any) -> list[Any]:
    """The tensors of `layers.Input` that a symbolic tensor follows from (Keras's).

    Raises:
        ValueError: for what is no symbolic tensor. (Keras returns it.)
    """
    if not is_keras_tensor(tensor):
        raise ValueError(
            "get_source_inputs: expected a tensor that layers.Input or a layer call returned, got "
            f"{type(tensor).__name__}"
        )
    found: dict[Any, None] = {}
    seen: set[Any] = set()
    stack: list[Any] = [tensor]
    while stack:
        current = stack.pop()
        if current in seen:
            continue
        seen.add(current)
        before = current.call.inputs
        stack.extend(reversed(before))
        if not before:
            found[current] = None
    return list(found)
