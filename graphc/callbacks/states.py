"""What objects have counted so far, as data: to be kept in a file, and to be put back."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

# NumPy's and Python's generators of random numbers.
_GENERATORS = (np.random.RandomState, np.random.Generator, random.Random)


def state(owner: Any, apart: tuple[str, ...] = (), largest: float = np.inf) -> dict[str, Any]:
    """The attributes that are numbers, texts, arrays of numbers, lists and dicts of them, and
    generators of random numbers, by name.

    Args:
        apart: names of others.
        largest: bytes of an array that is still a state; a larger one is taken for data.
    """
    own = getattr(owner, "__dict__", {})
    kept = {n: _data_of(v) if isinstance(v, _GENERATORS) else v for n, v in own.items()}
    return {n: v for n, v in kept.items() if n not in apart and _is_data(v, largest)}


def changed(first: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Of one state what another one does not have: the rest a script gives its objects anew."""
    return {name: value for name, value in now.items() if not _same(value, first.get(name))}


def put_back(owner: Any, kept: Mapping[str, Any]) -> None:
    """Gives an object the attributes that `state` took of it; generators go on from there."""
    for name, value in kept.items():
        generator = vars(owner).get(name)
        if isinstance(generator, _GENERATORS):
            _put_back_generator(generator, value)
        else:
            setattr(owner, name, value)


def generators() -> list[Any]:
    """The states of the generators that `numpy.random` and `random` draw from."""
    return [np.random.get_state(legacy=False), _as_data(random.getstate())]


def put_back_generators(kept: list[Any]) -> None:
    """Makes `numpy.random` and `random` go on as they would have after `generators`."""
    np.random.set_state(kept[0])
    random.setstate(_as_tuple(kept[1]))


def _data_of(generator: Any) -> Any:
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return _as_data(generator.getstate())


def _put_back_generator(generator: Any, value: Any) -> None:
    if isinstance(generator, np.random.RandomState):
        generator.set_state(value)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = value
    else:
        generator.setstate(_as_tuple(value))


def _as_data(python_state: tuple[Any, ...]) -> list[Any]:
    version, numbers, gauss = python_state
    return [version, np.array(numbers, np.uint32), gauss]


def _as_tuple(data: list[Any]) -> tuple[Any, ...]:
    version, numbers, gauss = data
    return version, tuple(map(int, numbers)), gauss


def _is_data(value: Any, largest: float) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_data(part, largest) for key, part in value.items())
    if isinstance(value, list):
        return all(_is_data(part, largest) for part in value)
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiub" and value.nbytes <= largest
    return value is None or isinstance(value, (bool, int, float, str, np.number))


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_same, one, other))
    numbers = isinstance(one, (float, np.floating, np.ndarray))
    return np.array_equal(one, other, equal_nan=True) if numbers else bool(one == other)
