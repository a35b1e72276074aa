"""What finding objects by their names takes, and naming them as Keras does."""

from __future__ import annotations

import gc
import inspect
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from graphc.errors import unknown_name
from graphc.registration import get_registered_object
from graphc.serialization import deserialize_keras_object, is_object

_counts: Counter[str] = Counter()  # names given so far


def automatic_name(class_name: str) -> str:
    """Keras's names: Dense -> dense, dense_1 ...; ReLU -> re_lu."""
    snake = snake_case(class_name)
    count = _counts[snake]
    _counts[snake] += 1
    return f"{snake}_{count}" if count else snake


def clear_session(free_memory: bool = True) -> None:
    """Makes automatic names begin again: dense, dense_1 ... (`keras.utils.clear_session`).

    Nothing else is kept of models beside them: weights and compiled code go with them.

    Args:
        free_memory: whether models in circles of references, which nothing else holds, are freed
            now rather than some time later.
    """
    _counts.clear()
    if free_memory:
        gc.collect()


def snake_case(name: str) -> str:
    """The name that Keras derives from a class's: "ReLU" gives "re_lu"."""
    word_starts = r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])"
    return re.sub(word_starts, "_", name).lower()


def resolve(kind: str, identifier: object, known: Mapping[str, Any], module: str) -> Any:
    """The object that a user's argument means: what every `get` of Keras's modules does.

    Args:
        kind: what is looked up, for messages: "initializer".
        identifier: a name, a configuration as `serialize_keras_object` gives, a class, any other
            callable or an instance with a `get_config`, or None.
        known: classes and functions by name.
        module: Keras's, where a configuration does not say it.

    Returns:
        An instance of the class that was named or given; functions, instances and None as
        they are.

    Raises:
        ValueError: for an unknown name (suggesting the nearest), and for anything else.
    """
    if isinstance(identifier, Mapping) and is_object(identifier):
        identifier = deserialize_keras_object({"module": module, **identifier})
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
    if (custom := get_registered_object(name)) is not None:
        return custom
    if name not in known:
        raise unknown_name(kind, name, [n for n in known if n.islower()] or known)
    return known[name]
