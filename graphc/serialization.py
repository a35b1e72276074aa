"""Objects to and from Keras's configurations: dicts that JSON can hold.

An object is {"module": "keras.layers", "class_name": "Dense", "config": {...}, "registered_name":
None}, and where it is built, "build_config"; where it is compiled, "compile_config". A config is
checked as a whole before anything is made of it: what it asks for and graphc does not have is
named in one error.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FunctionType
from typing import Any

import numpy as np

from graphc.registration import (
    CustomObjectScope,
    exported,
    get_registered_name,
    get_registered_object,
    public_name,
)

MAX_DEPTH = 200  # dicts and lists in each other; a model in a model takes four
SHARED, SHARED_FIRST = "shared_object_id", "shared_object_first_id"
FUNCTION_MODULES = ("activations", "losses", "metrics", "initializers", "regularizers")

# While a config is written, the layers in it with their numbers; while one is read, by number.
_written: ContextVar[dict[int, tuple[Any, int]] | None] = ContextVar("written", default=None)
_read: ContextVar[dict[int, Any] | None] = ContextVar("read", default=None)


# To configurations.


def serialize_keras_object(obj: Any) -> Any:
    """The configuration of an object, as `keras.saving.serialize_keras_object`.

    Args:
        obj: has a `get_config`, or is a named function, a number, string, bool, None, NumPy array,
            slice, bytes, or a list, tuple or dict of such.

    Raises:
        ValueError: for a lambda: as code it could not be read back safely.
        TypeError: for anything else.

    A layer that stands at several places, in models in each other, is one again when graphc reads
    it: all places but the first have Keras's "shared_object_id", the first has SHARED_FIRST, as
    Keras takes it for new calls of an old layer otherwise, and fails.
    """
    if _written.get() is not None:
        return _config(obj)
    token = _written.set({})
    try:
        config = _config(obj)
    finally:
        _written.reset(token)
    dicts = [part for part in _parts(config) if isinstance(part, dict)]
    shared = {number for part in dicts if (number := part.get(SHARED)) is not None}
    for part in dicts:
        if part.get(SHARED_FIRST, 0) not in shared:
            part.pop(SHARED_FIRST, None)
    return config


def _parts(config: Any) -> Iterator[Any]:
    """All dicts, lists and values of a configuration."""
    stack = [config]
    while stack:
        part = stack.pop()
        yield part
        if isinstance(part, (dict, list)):
            stack.extend(part.values() if isinstance(part, dict) else part)


def _config(obj: Any) -> Any:
    if obj is None or isinstance(obj, (str, bool, int, float)):
        return obj
    if isinstance(obj, (list, tuple)):
        return [_config(part) for part in obj]
    if isinstance(obj, dict):
        return {key: _config(value) for key, value in obj.items()}
    if isinstance(obj, np.generic) or (isinstance(obj, np.ndarray) and obj.ndim == 0):
        return obj.item()
    special = _special_config(obj)
    return _object_config(obj) if special is None else special


def _special_config(obj: Any) -> dict[str, Any] | None:
    """The configuration of what Keras writes as a class of its own though it is none."""
    if isinstance(obj, np.ndarray):
        config = {"value": obj.tolist(), "dtype": obj.dtype.name}
        return {"class_name": "__numpy__", "config": config}
    if isinstance(obj, slice):
        parts = {name: _config(getattr(obj, name)) for name in _SLICE}
        return {"class_name": "__slice__", "config": parts}
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode()}}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    return None


def _object_config(obj: Any) -> dict[str, Any]:
    if hasattr(obj, "get_config"):
        inner: Any = _config(obj.get_config())
        if not isinstance(inner, dict):
            raise TypeError(f"{obj!r}: get_config must return a dict, got {inner!r}")
        cls = type(obj)
    elif callable(obj) and hasattr(obj, "__name__"):
        if obj.__name__ == "<lambda>":
            raise ValueError(
                f"{obj!r} cannot be written: a lambda has no name to find it by; define a function "
                "with `def`, and register it with graphc.saving.register_keras_serializable"
            )
        inner, cls = get_registered_name(obj), FunctionType
    else:
        raise TypeError(f"{obj!r} cannot be written: {type(obj).__name__} has no get_config method")
    config = {**_class_config(obj, cls), "config": inner}
    for part in ("build", "compile"):
        get = getattr(obj, f"get_{part}_config", None)
        given = None if get is None else get()
        if given is not None:
            config[f"{part}_config"] = _config(given)
    written = _written.get()
    if written is not None and hasattr(obj, "build_from_config"):
        key = SHARED if id(obj) in written else SHARED_FIRST
        _, config[key] = written.setdefault(id(obj), (obj, len(written)))
    return config


def _class_config(obj: Any, cls: Any) -> dict[str, Any]:
    """How a configuration names a class."""
    name: str | None = getattr(obj, "keras_name", None) or public_name(cls)
    if name is None:
        module = None if cls.__module__ == "__main__" else cls.__module__
        registered: str | None = get_registered_name(cls)
        return {"module": module, "class_name": cls.__name__, "registered_name": registered}
    module, _, class_name = name.rpartition(".")
    # What Keras does not show to its users it takes for registered.
    registered = class_name if module.startswith("keras.src.") else None
    return {"module": module, "class_name": class_name, "registered_name": registered}


# From configurations.


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """The object that a configuration describes, as `keras.saving.deserialize_keras_object`.

    No code of the configuration is run and nothing is imported for it: names mean graphc's own
    objects, registered ones, and those given here.

    Args:
        config: as `serialize_keras_object` returns.
        custom_objects: classes and functions by the names that the configuration has for them.
        safe_mode: accepted for Keras's sake: Python code in configurations is refused either way.

    Raises:
        ValueError: when something in the configuration is not there, has an option that is not
            there, or does not fit together, naming all such things; or for more than 200 dicts and
            lists in each other.
    """
    with CustomObjectScope(custom_objects):
        if _read.get() is not None:
            return _made(config)
        with _checked(config):
            instance = _made(config)
        build = config.get("build_config") if is_object(config) else None
        if build and hasattr(instance, "build_from_config") and not instance.built:
            with _errors_of(config["class_name"]):
                instance.build_from_config(build)  # parts are built when their whole is
        return instance


def parsed(text: str | bytes) -> Any:
    """A configuration of its JSON.

    Raises:
        ValueError: when it is no JSON, or nested too deep to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("a config is nested too deep to be read") from None
    except ValueError as error:
        raise ValueError(f"a config is no JSON: {error}") from None


def deserialize_each(configs: Sequence[Any]) -> list[Any]:
    """The objects that configurations describe, not yet built.

    Raises:
        ValueError: naming what is wrong with each that cannot be made.
    """
    objects, problems = [], []
    with _checked(configs):
        for config in configs:
            try:
                objects.append(_made(config))
            except ValueError as error:
                problems.append(str(error))
    if problems:
        raise ValueError("; ".join(problems))
    return objects


def with_objects(config: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A config whose entries of these names are objects, no longer configs."""
    made = {name: deserialize_keras_object(config[name]) for name in names if name in config}
    return {**config, **made}


@contextmanager
def _checked(config: Any) -> Iterator[None]:
    """Checks a configuration, unless it is a part of one that is being read."""
    if _read.get() is not None:
        yield
        return
    check_config(config)
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


def _made(config: Any) -> Any:
    if isinstance(config, (list, tuple)):
        return [_made(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    if not is_object(config):
        return {key: _made(value) for key, value in config.items()}
    name, inner = config["class_name"], config["config"]
    if name in _SPECIAL:
        return _SPECIAL[name](inner)
    found = _find(config)
    if found is None:  # in the configuration of a user's class, which is not checked
        raise ValueError(f"the config asks for what is not there: {_unknown(config)}")
    if name == "function" or not hasattr(found, "from_config"):
        return found
    number, shared = config.get(SHARED, config.get(SHARED_FIRST)), _read.get()
    if isinstance(number, int) and shared and number in shared and SHARED in config:
        return shared[number]
    with _errors_of(name):
        instance = found.from_config(dict(inner or {}))
        if isinstance(number, int) and shared is not None:
            shared[number] = instance
        if config.get("compile_config") and hasattr(instance, "compile_from_config"):
            instance.compile_from_config(config["compile_config"])
        return instance


@contextmanager
def _errors_of(name: str) -> Iterator[None]:
    """Says what a configuration is of that has values of wrong kinds."""
    try:
        yield
    except (TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{name} cannot be made of its config: {error}") from error


def is_object(config: Any) -> bool:
    """Whether a part of a configuration describes an object; else it is a plain dict, or no dict"""
    return isinstance(config, Mapping) and "class_name" in config and "config" in config


def _find(config: Mapping[str, Any]) -> Any:
    """The class or function that a configuration means; None if there is none."""
    name, module = config["class_name"], config.get("module")
    if name == "function":
        name = config["config"]
        modules = [f"keras.{kind}" for kind in FUNCTION_MODULES]
        places = modules if module in (None, "builtins") else [module, *modules]
        known = next((f for m in places if (f := exported(m, str(name))) is not None), None)
        return get_registered_object(str(name)) or known
    registered = config.get("registered_name", name)
    return (
        get_registered_object(registered) or exported(module, name) or get_registered_object(name)
    )


def _sliced(parts: Mapping[str, Any]) -> slice:
    return slice(*(_made(parts[name]) for name in _SLICE))


def _array(parts: Mapping[str, Any]) -> np.ndarray:
    dtype = np.dtype(parts["dtype"])
    if dtype.kind not in "fiub":  # a text's could say that each takes gigabytes
        raise ValueError(f"an array of a config must hold numbers, got dtype {dtype}")
    return np.array(parts["value"], dtype)


_SLICE = ("start", "stop", "step")
_SPECIAL: dict[str, Callable[[Any], Any]] = {
    "__numpy__": _array,
    "__tensor__": _array,
    "__slice__": _sliced,
    "__bytes__": lambda parts: parts["value"].encode(),
    "__ellipsis__": lambda parts: Ellipsis,
}


# Checks.


_LEAVES = frozenset({int, float, str, bool, type(None)})


def check_config(config: Any) -> None:
    """Checks that all a configuration asks for is there, without making anything of it.

    Raises:
        ValueError: naming everything that is not, or for a configuration that is nested too deep.
    """
    problems: dict[str, None] = {}
    stack = [(config, "", 0)]
    while stack:
        part, where, depth = stack.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"a config may have {MAX_DEPTH} levels, this one has more")
        if is_object(part):
            where = _place(part, where)
            problems.update(dict.fromkeys(f"{p}{where}" for p in _problems(part)))
        children = part.values() if isinstance(part, Mapping) else part
        if isinstance(part, (Mapping, list, tuple)) and not _is_users(part):
            inner = [child for child in children if type(child) not in _LEAVES]
            stack.extend((child, where, depth + 1) for child in reversed(inner))
    if problems:
        raise ValueError(
            f"the config asks for what is not there: {'; '.join(problems)}; classes and functions "
            "of your own are found when they are in custom_objects, or registered with "
            "graphc.saving.register_keras_serializable"
        )


def _place(config: Mapping[str, Any], outer: str) -> str:
    inner = config["config"]
    name = inner.get("name") if isinstance(inner, Mapping) else None
    return f" (in {config['class_name']} {name!r})" if isinstance(name, str) else outer


def _is_users(config: Any) -> bool:
    """Whether a user's class reads this part of a configuration by itself."""
    return is_object(config) and not isinstance(config["config"], str) and (
        get_registered_object(config.get("registered_name")) is not None
    )  # fmt: skip


def _unknown(config: Mapping[str, Any]) -> str:
    name = config["config"] if config["class_name"] == "function" else config["class_name"]
    kind = "function" if config["class_name"] == "function" else "class"
    module = config.get("module")
    full = f"{module}.{name}" if isinstance(module, str) and module.startswith("keras") else name
    return f"{kind} {full}"


def _problems(config: Mapping[str, Any]) -> Iterator[str]:
    """What an object's own configuration asks for that is not there."""
    name, inner = config["class_name"], config["config"]
    if name == "__lambda__":
        yield "a lambda's code (marshalled Python, which is never run; use a registered function)"
    elif not isinstance(name, str) or (name not in _SPECIAL and name not in _PLACEHOLDERS):
        found = _find(config) if isinstance(name, str) else None
        if found is None:
            yield _unknown(config)
        elif isinstance(inner, Mapping):
            dtype = inner.get("dtype")
            policy = dtype["config"] if isinstance(dtype, Mapping) and is_object(dtype) else None
            name = policy.get("name") if isinstance(policy, Mapping) else dtype
            if isinstance(name, str) and name in _UNSUPPORTED_DTYPES:
                yield f"dtype={name!r}"
            for kind in ("only_defaults", "unwritten_defaults"):
                for option, default in getattr(found, kind, {}).items():
                    if option in inner and not same(inner[option], default):
                        yield f"{option}={inner[option]!r}"


_UNSUPPORTED_DTYPES = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16", "string")
_PLACEHOLDERS = ("__keras_tensor__", "SeedGenerator")  # which models and layers read themselves


def same(value: Any, default: Any) -> bool:
    """Whether an option of a configuration has its default; -0.99 and 0.99 differ, 1 and 1.0 not"""
    if isinstance(default, float) and isinstance(value, (int, float)):
        return math.isclose(value, default, rel_tol=1e-6)
    return bool(value == default)
