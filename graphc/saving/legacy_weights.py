"""Weights in the HDF5 layout of Keras 1 and 2: groups by layers' names, arrays by weights'."""

from __future__ import annotations

import itertools
from typing import Any

from graphc.trace import Variable, assign_all

from .hdf5 import Contents, refuse, size_of, values_of

WEIGHTS = "model_weights"


def read_legacy_weights(
    model: Any, contents: Contents, source: str, skip_mismatch: bool = False, by_name: bool = False
) -> None:
    """Reads weights layer by layer, in the order that the file and the model have them.

    Args:
        contents: of a file of weights, or of a whole model.
        source: the file's name, for messages, which start with it.
        skip_mismatch: whether layers that the file's weights do not fit keep theirs.
        by_name: whether only layers are read that are called the same.

    Raises:
        ValueError: when the file has other weights than the model.
    """
    root = WEIGHTS if WEIGHTS in contents.groups else ""
    named = {name: names_of(contents, _inside(root, name), "weight_names")
             for name in names_of(contents, root, "layer_names")}  # fmt: skip
    saved = {name: weights for name, weights in named.items() if weights}
    layers = [layer for layer in model.layers if layer.weights]
    if by_name:
        layers = [layer for layer in layers if layer.name in saved]
        saved = {layer.name: saved[layer.name] for layer in layers}
    if len(saved) != len(layers):
        raise ValueError(
            f"{source} has {len(saved)} layers with weights ({', '.join(saved)}), model "
            f"{model.name!r} {len(layers)} ({', '.join(layer.name for layer in layers)})"
        )
    wrong = []
    for layer, (name, weights) in zip(layers, saved.items(), strict=True):
        own = [*layer.trainable_weights, *layer.non_trainable_weights]
        try:
            paths = [_inside(root, f"{name}/{weight}") for weight in weights]
            read_arrays(f"layer {layer.name!r}", own, contents, paths)
        except ValueError as error:
            wrong.append(str(error))
    refuse(model, source, wrong, skip_mismatch)


def read_arrays(
    owner: str, variables: list[Variable], contents: Contents, paths: list[str]
) -> None:
    """Reads datasets into variables, into all of them or none.

    Raises:
        ValueError: when one is not there, or number or shapes differ; nothing is read then that
            takes more memory than the variables.
    """
    missing = [path for path in paths if path not in contents]
    if missing:
        raise ValueError(f"{owner}: there is no {missing[0]!r}")
    if sum(size_of(contents[path]) for path in paths) > sum(2 * v.value.nbytes for v in variables):
        shapes = [contents[path].shape for path in paths]
        raise ValueError(f"{owner}: expected {[v.shape for v in variables]}, got {shapes}")
    assign_all(owner, variables, [values_of(contents[path]) for path in paths])


def names_of(contents: Contents, group: str, attribute: str) -> list[str]:
    """A list of names beside a group, which may be written in several parts."""
    whole = contents.attribute(group, attribute)
    if whole is not None:
        return list(whole)
    names: list[str] = []
    for number in itertools.count():
        part = contents.attribute(group, f"{attribute}{number}")
        if part is None:
            break
        names += part
    return names


def _inside(root: str, name: str) -> str:
    return f"{root}/{name}".lstrip("/")
