"""Optimizers, named and behaving as in `keras.optimizers`."""

from __future__ import annotations

from graphc.errors import unknown_name

from . import schedules
from .adam import Adam
from .adaptive import Adadelta, Adagrad, Adamax, AdamW, Ftrl, Lamb, Lion, Nadam
from .base import Optimizer
from .rmsprop import RMSprop
from .sgd import SGD

_CLASSES: tuple[type[Optimizer], ...] = (
    SGD, RMSprop, Adam, AdamW, Adamax, Nadam, Adagrad, Adadelta, Ftrl, Lion, Lamb,
)  # fmt: skip
_ALL: dict[str, type[Optimizer]] = {cls.__name__: cls for cls in _CLASSES}


def get(identifier: object) -> Optimizer:
    """The optimizer of a name, class or instance.

    Raises:
        ValueError: for an unknown name, with the nearest known one.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()
    by_lower = {name.lower(): cls for name, cls in _ALL.items()}
    if isinstance(identifier, str) and identifier.lower() in by_lower:
        return by_lower[identifier.lower()]()
    raise unknown_name("optimizer", identifier, by_lower)
