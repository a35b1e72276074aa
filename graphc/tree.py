"""Nested lists, tuples and dicts of tensors: what models and layers take and return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def flatten(structure: object) -> list[Any]:
    """The leaves of nested lists, tuples and dicts, in order."""
    if isinstance(structure, (list, tuple)):
        return [leaf for part in structure for leaf in flatten(part)]
    if isinstance(structure, dict):
        return [leaf for part in structure.values() for leaf in flatten(part)]
    return [structure]


def unflatten(structure: Any, leaves: Iterator[Any]) -> Any:
    """The same nested lists, tuples and dicts with leaves taken in order; None stays."""
    return map_structure(lambda leaf: None if leaf is None else next(leaves), structure)


def map_structure(function: Callable[[Any], Any], structure: Any) -> Any:
    """The same nested lists, tuples and dicts with each leaf replaced."""
    if isinstance(structure, (list, tuple)):
        return type(structure)(map_structure(function, part) for part in structure)
    if isinstance(structure, dict):
        return {key: map_structure(function, part) for key, part in structure.items()}
    return function(structure)
