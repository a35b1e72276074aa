"""Names of objects in configurations: Keras's for graphc's own, and users' for theirs.

A configuration names a class or function; nothing is ever imported because a configuration names
it. What can be meant is what stands here: graphc's vocabulary, under Keras's names, which each
module adds with `export`, and what a user registers, has in a scope, or passes along.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")

_exported: dict[str, Any] = {}  # "keras.layers.Dense" -> Dense
_public_names: dict[Any, str] = {}
_registered: dict[str, Any] = {}  # "package>name" -> a user's class or function
_registered_names: dict[Any, str] = {}
_in_scope: ContextVar[dict[str, Any]] = ContextVar("custom objects in scope")


# graphc's own.


def export(module: str, objects: Mapping[str, Any] | Sequence[Any]) -> None:
    """Makes objects of graphc known by the names that Keras has for them.

    Args:
        module: Keras's, for example "keras.layers".
        objects: by name, or classes and functions that have their own. An object that comes under
            several names is written by the first, and read by all.
    """
    named = objects if isinstance(objects, Mapping) else {o.__name__: o for o in objects}
    for name, value in named.items():
        _exported[f"{module}.{name}"] = value
        _public_names.setdefault(value, f"{module}.{name}")


def exported(module: str | None, name: str) -> Any:
    """The object of graphc that Keras has under this name; None if there is none.

    Args:
        module: as in a configuration; None, as in those of Keras 2, for layers and models.
        name: of the class or function.
    """
    if module is None:
        return _exported.get(f"keras.layers.{name}", _exported.get(f"keras.models.{name}"))
    return _exported.get(f"{module}.{name}")


def public_name(cls: Any) -> str | None:
    """Keras's full name for a class or function of graphc; None for others."""
    return _public_names.get(cls)


# Users'.


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[T], T]:
    """A decorator that makes a class or function known to configurations, as "package>name".

    Args:
        package: "Custom" by default.
        name: that of the class or function by default.

    Raises:
        ValueError: for a class without `get_config`.
    """

    def register(thing: T) -> T:
        if inspect.isclass(thing) and not hasattr(thing, "get_config"):
            raise ValueError(
                f"register_keras_serializable: class {thing.__name__} has no get_config method; "
                "define one that returns the constructor's arguments"
            )
        full = f"{package}>{name or getattr(thing, '__name__', None)}"
        _registered[full] = thing
        _registered_names[thing] = full
        return thing

    return register


class CustomObjectScope:
    """Makes a user's objects known to configurations that are read inside of `with`.

    Args:
        custom_objects: classes and functions by the names that configurations have for them.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})

    def __enter__(self) -> CustomObjectScope:
        self._token = _in_scope.set({**_in_scope.get({}), **self.custom_objects})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:  # fmt: skip
        _in_scope.reset(self._token)


custom_object_scope = CustomObjectScope


def get_custom_objects() -> dict[str, Any]:
    """The dict of registered objects itself, by name; those of scopes are not in it."""
    return _registered


def get_registered_name(obj: Any) -> str:
    """The name an object is registered under, or its own."""
    name: str = _registered_names.get(obj) or obj.__name__
    return name


def get_registered_object(
    name: str | None,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The object of a name: of the scope, registered, or among those given; None if there is none.

    Args:
        name: as in a configuration's "registered_name".
        custom_objects, module_objects: where to look further, in this order.
    """
    for known in (_in_scope.get({}), _registered, custom_objects or {}, module_objects or {}):
        if isinstance(name, str) and name in known:
            return known[name]
    return None
