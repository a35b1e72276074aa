"""Helpers: those of `keras.utils` for data and seeds, and what naming objects takes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from graphc.errors import unknown_name
from graphc.random import set_random_seed

__all__ = [
    "normalize", "resolve", "serialized", "set_random_seed", "snake_case", "to_categorical",
]  # fmt: skip


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> np.ndarray:
    """One-hot rows for class numbers (`keras.utils.to_categorical`).

    Args:
        x: class numbers of any shape, cast to int64; a last axis of length 1 is dropped.
        num_classes: length of the rows; the largest class number plus one by default.

    Returns:
        A float64 array of shape `x.shape + (num_classes,)`: 1 at the class, 0 elsewhere.

    Raises:
        ValueError: for a class outside 0 .. num_classes - 1. (In Keras a negative one silently
            counts from the end.)
    """
    classes = np.asarray(x).astype(np.int64)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    if not num_classes:
        if classes.size == 0:
            raise ValueError("Argument `num_classes` is needed, as `x` is empty.")
        num_classes = int(classes.max()) + 1
    wrong = classes[(classes < 0) | (classes >= num_classes)]
    if wrong.size:
        raise ValueError(
            f"Argument `x`: expected class numbers from 0 to {num_classes - 1}, "
            f"received {wrong[0]}."
        )
    one_hot = np.zeros((*classes.shape, num_classes))
    np.put_along_axis(one_hot, classes[..., None], 1.0, axis=-1)
    return one_hot


def normalize(x: ArrayLike, axis: int = -1, order: float = 2) -> np.ndarray:
    """Divides the vectors along an axis by their norms (`keras.utils.normalize`).

    Args:
        x: array of numbers.
        axis: the axis along which a vector lies. (Keras 3.15 gets 0 wrong: it divides along
            the last axis by the norms of the first.)
        order: the norm, as in `numpy.linalg.norm`: 1, 2 (default), `numpy.inf` ...

    Returns:
        A new floating-point array of the same shape; vectors of norm 0 stay 0.
    """
    array = np.asarray(x)
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norm == 0, 1, norm))


def snake_case(name: str) -> str:
    """The name that Keras derives from a class's: "ReLU" gives "re_lu"."""
    word_starts = r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])"
    return re.sub(word_starts, "_", name).lower()


def resolve(kind: str, identifier: object, known: Mapping[str, Any]) -> Any:
    """The object that a user's argument means: what every `get` of Keras's modules does.

    Args:
        kind: what is looked up, for messages: "initializer".
        identifier: a name, the dict of `serialized`, a class, any other callable or an instance
            with a `get_config`, or None.
        known: classes and functions by name.

    Returns:
        An instance of the class that was named or given; functions, instances and None as
        they are.

    Raises:
        ValueError: for an unknown name (suggesting the nearest), and for anything else.
    """
    if isinstance(identifier, Mapping) and "class_name" in identifier:
        name, config = identifier["class_name"], identifier.get("config") or {}
        if name == "function":
            name, config = config, {}
        named = _named(kind, name, known)
        return named.from_config(config) if hasattr(named, "from_config") else named
    found: Any = _named(kind, identifier, known) if isinstance(identifier, str) else identifier
    if inspect.isclass(found):
        return found()
    if found is None or callable(found) or hasattr(found, "get_config"):
        return found
    raise ValueError(
        f"Could not interpret the {kind} {identifier!r}: expected a name, a class, an instance, "
        "a callable or a config dict."
    )


def _named(kind: str, name: str, known: Mapping[str, Any]) -> Any:
    if name not in known:
        raise unknown_name(kind, name, [n for n in known if n.islower()] or known)
    return known[name]


def serialized(instance: Any) -> dict[str, Any] | None:
    """The dict that Keras 3 stores for an object (`keras.saving.serialize_keras_object`).

    Args:
        instance: has a `get_config`, or is a function, or None, which gives None.
    """
    if instance is None:
        return None
    if not hasattr(instance, "get_config"):
        return {
            "module": "builtins",
            "class_name": "function",
            "config": instance.__name__,
            "registered_name": "function",
        }
    cls = type(instance)
    package, _, module = cls.__module__.partition(".")
    ours = package == "graphc"
    return {
        # graphc.layers.dense stores its classes as keras.layers, so that Keras finds them.
        "module": f"keras.{module.split('.')[0]}" if ours else None,
        "class_name": cls.__name__,
        "config": instance.get_config(),
        "registered_name": None if ours else cls.__name__,
    }
