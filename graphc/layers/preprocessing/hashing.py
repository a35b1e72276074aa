"""Layers that give anything a number by a hash, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from graphc import ops
from graphc.layers.base import Layer
from graphc.trace import Tensor
from graphc.utils.hashing import fingerprint64, siphash64

from .encoding import VECTOR_MODES, checked_mode, encode, is_symbolic


def hash_bins(tokens: Sequence[Any], bins: int, salt: Sequence[int] | None) -> np.ndarray:
    """Each token's bin (int64), by the hash of its text in UTF-8: FarmHash's, with salt SipHash."""
    texts = (t if isinstance(t, bytes) else str(t).encode() for t in tokens)
    if salt is None:
        return np.array([fingerprint64(text) % bins for text in texts], np.int64)
    key = salt[0], salt[1]
    return np.array([siphash64(text, key) % bins for text in texts], np.int64)


def checked_salt(owner: str, salt: Any) -> list[int] | None:
    """Two ints, or None.

    Raises:
        ValueError: for anything but these and one int, which is taken twice.
    """
    if salt is None:
        return None
    pair = [salt, salt] if isinstance(salt, int) else salt
    if not isinstance(pair, (list, tuple)) or [type(part) for part in pair] != [int, int]:
        raise ValueError(f"{owner}: salt must be an int or two of them, got {salt!r}")
    return list(pair)


class Hashing(Layer):
    """The number of a bin for each string or integer, by a hash (`keras.layers.Hashing`).

    It is called on arrays and lists, outside of models. Integers are hashed as their decimals.

    Args:
        num_bins: the number of bins.
        mask_value: a value that goes to bin 0, which then has no others.
        salt: one or two ints, with which the hash is SipHash; FarmHash's by default.
        output_mode: "int" (default), int64 of the input's shape; or vectors of float32: "one_hot",
            "multi_hot" or "count", as in `CategoryEncoding`.
        dtype: "int64" (default) or "int32" with "int"; else "float32".
        sparse: only False.
    """

    only_defaults: ClassVar[dict[str, Any]] = {"sparse": False}

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: Any = None,
        output_mode: str = "int",
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        self.output_mode = checked_mode("Hashing", output_mode, ("int", *VECTOR_MODES))
        given = dtype["config"]["name"] if isinstance(dtype, Mapping) else dtype
        whole = self.output_mode == "int"
        super().__init__(dtype=None if whole else given, **kwargs)
        self.output_dtype = (given or "int64") if whole else "float32"
        if whole and self.output_dtype not in ("int32", "int64"):
            raise ValueError(
                f"Hashing: with output_mode='int' dtype must be 'int64' or 'int32', got {dtype!r}"
            )
        if not isinstance(num_bins, int) or num_bins < 1:
            raise ValueError(f"Hashing: num_bins must be an int of at least 1, got {num_bins!r}")
        self.num_bins = num_bins
        self.mask_value = mask_value
        self.salt = checked_salt("Hashing", salt)

    def __call__(self, inputs: Any) -> Any:
        if is_symbolic(inputs):
            raise ValueError(
                f"layer {self.name!r}: hashes are of data, outside of models: call the layer on "
                "the data, and the model on the result"
            )
        bins = self._bins(np.asarray(inputs))
        if self.output_mode == "int":
            return bins.astype(self.output_dtype)
        return super().__call__(bins)

    def _bins(self, values: np.ndarray) -> np.ndarray:
        if values.dtype.kind == "f":
            values = values.astype(np.int64)
        different, places = np.unique(values, return_inverse=True)
        tokens = different.tolist()
        if self.mask_value is None or self.num_bins == 1:
            found = hash_bins(tokens, self.num_bins, self.salt)
        else:
            found = 1 + hash_bins(tokens, self.num_bins - 1, self.salt)
            found[[token == self.mask_value for token in tokens]] = 0
        return found[places].reshape(values.shape)

    def call(self, inputs: Any) -> Tensor:
        return encode(ops.convert_to_tensor(inputs), self.output_mode, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.output_mode == "int":
            config["dtype"] = {**config["dtype"], "config": {"name": self.output_dtype}}
        return {
            **config,
            "num_bins": self.num_bins,
            "mask_value": self.mask_value,
            "salt": self.salt,
            "output_mode": self.output_mode,
        }
