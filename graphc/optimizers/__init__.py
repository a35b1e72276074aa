"""Optimizers, named and behaving as in `keras.optimizers`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphc.errors import unknown_name
from graphc.registration import CustomObjectScope, export, get_registered_object
from graphc.serialization import deserialize_keras_object, is_object, serialize_keras_object

from . import schedules
from .adam import Adam
from .adaptive import Adadelta, Adagrad, Adamax, AdamW, Ftrl, Lamb, Lion, Nadam
from .base import Optimizer
from .factored import Adafactor
from .muon import Muon
from .rmsprop import RMSprop
from .schedule_free import ScheduleFreeAdamW
from .sgd import SGD

_CLASSES: tuple[type[Optimizer], ...] = (
    SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, Ftrl, Lion, Lamb,
    Adafactor, Muon, ScheduleFreeAdamW,
)  # fmt: skip
_ALL: dict[str, type[Optimizer]] = {cls.__name__: cls for cls in _CLASSES}


def get(identifier: object) -> Optimizer:
    """The optimizer of a name, class, instance or configuration.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    if isinstance(identifier, Mapping) and is_object(identifier):
        return get(deserialize_keras_object({"module": "keras.optimizers", **identifier}))
    if isinstance(identifier, str) and (custom := get_registered_object(identifier)) is not None:
        return get(custom)
    by_lower = {name.lower(): cls for name, cls in _ALL.items()}
    if isinstance(identifier, str) and identifier.lower() in by_lower:
        return by_lower[identifier.lower()]()
    raise unknown_name("optimizer", identifier, by_lower)


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The configuration of an optimizer, as Keras writes it."""
    config: dict[str, Any] = serialize_keras_object(optimizer)
    return config


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Optimizer:
    """The optimizer of a configuration; `custom_objects` are a user's own, by name."""
    with CustomObjectScope(custom_objects):
        return get(config)


export("keras.optimizers", _CLASSES)
export("keras.optimizers", {name.lower(): cls for name, cls in _ALL.items()})
export("keras", [Optimizer])
