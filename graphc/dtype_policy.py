"""The dtype that layers compute in, as `keras.DTypePolicy`: float32."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .registration import export


class DTypePolicy:
    """What layers compute in and keep their weights in.

    Args:
        name: "float32", the only one.

    Raises:
        ValueError: for any other, such as "mixed_float16".
    """

    def __init__(self, name: str = "float32") -> None:
        if name != "float32":
            raise ValueError(f"dtype must be 'float32', got {name!r}")
        self.name = name

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal policy with."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DTypePolicy:
        """A policy from `get_config`'s result."""
        return cls(config["name"])


def checked_policy(owner: str, dtype: Any) -> DTypePolicy:
    """The policy that an argument `dtype` means.

    Args:
        owner: the class whose argument it is, for messages.
        dtype: None, a name, a policy, or a policy's configuration.

    Raises:
        ValueError: when it is not float32.
    """
    if isinstance(dtype, Mapping) and isinstance(dtype.get("config"), Mapping):
        dtype = dtype["config"].get("name")
    name = getattr(dtype, "name", dtype) or "float32"
    try:
        return DTypePolicy(name)
    except ValueError as error:
        raise ValueError(f"{owner}: {error}") from None


export("keras", [DTypePolicy])
export("keras.dtype_policies", [DTypePolicy])
