"""Models: what `keras.models` has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cloning import clone_model
from .model import Model
from .registration import export
from .saving.model_file import load_model, save_model
from .sequential import Sequential
from .serialization import (
    deserialize_keras_object,
    parsed,
)

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new model, its weights not trained, of `Model.to_json`'s result, or Keras's.

    Args:
        custom_objects: a user's own classes and functions, by name.

    Raises:
        ValueError: naming all that is not supported, or when it is no JSON.
    """
    return deserialize_keras_object(parsed(json_string), custom_objects)


# Where Functional was in Keras 3, in 2.13 and before.
export("keras", [Sequential])
export("keras.src.models.functional", {"Functional": Model})
for _module in ("models", "src.engine.functional", "engine.functional"):
    export(f"keras.{_module}", {"Functional": Model, "Model": Model, "Sequential": Sequential})
export("keras", [Model])
