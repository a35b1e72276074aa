"""Where in a file each layer's weights are, as Keras 3 lays them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from graphc.layers.base import Layer
from graphc.utils import snake_case

CONTAINERS = (list, tuple, dict)


def places(model: Layer) -> dict[Layer, str]:
    """The group of the model ("") and of each layer in it, such as "layers/dense_1".

    Layers are found as the elements of `layers` and as attributes; one that is found twice stands
    where it was found first.
    """
    found: dict[Layer, str] = {}
    _visit(model, "", found)
    return found


def _visit(layer: Layer, path: str, found: dict[Layer, str]) -> None:
    if layer in found:
        return
    found[layer] = path
    for name, child in _children(layer):
        inner = f"{path}/{name}".lstrip("/")
        if isinstance(child, Layer):
            _visit(child, inner, found)
        elif isinstance(child, CONTAINERS):
            _visit_all(child, inner, found, set())


def _visit_all(parts: Any, path: str, found: dict[Layer, str], around: set[int]) -> None:
    """Layers in a list or dict: by class, as automatic names may differ from run to run."""
    if id(parts) in around:
        return
    around = around | {id(parts)}
    counts: Counter[str] = Counter()
    for part in _values(parts):
        if not isinstance(part, (Layer, *CONTAINERS)):
            continue
        name = file_name(part) if isinstance(part, Layer) else "container"
        inner = f"{path}/{name}_{counts[name]}" if counts[name] else f"{path}/{name}"
        counts[name] += 1
        if isinstance(part, Layer):
            _visit(part, inner, found)
        else:
            _visit_all(part, inner, found, around)


def _values(parts: Any) -> Iterable[Any]:
    return parts.values() if isinstance(parts, dict) else parts


def file_name(layer: Layer) -> str:
    """Keras's class name in snake case; there, a model of inputs and outputs is a Functional."""
    name = snake_case(type(layer).__name__)
    return "functional" if name == "model" else name


def _children(layer: Layer) -> Iterator[tuple[str, Any]]:
    """What may be layers: attributes by name, private ones last.

    `layers` of a Sequential or functional model come first; other models' are in their place.
    """
    kind = type(layer)
    first = getattr(layer, "_own_call", None) is False
    if first:
        yield "layers", layer.layers  # type: ignore[attr-defined]
    own = {name for name in dir(kind) if isinstance(getattr(kind, name), property)}
    names = (own | set(vars(layer))) - set(dir(Layer)) - ({"layers"} if first else set())
    for name in sorted(names, key=lambda name: (name.startswith("_"), name)):
        try:
            yield name, getattr(layer, name)
        except (AttributeError, ValueError):  # a property without a value yet
            continue
