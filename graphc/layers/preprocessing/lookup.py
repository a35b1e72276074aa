"""Layers that give tokens numbers by a vocabulary, as in `keras.layers`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from graphc import ops
from graphc.ops.base import node
from graphc.trace import Tensor, Variable

from .index_lookup import IndexLookup


class StringLookup(IndexLookup):
    """Strings as numbers by a vocabulary (`keras.layers.StringLookup`).

    It is called on arrays and lists of strings, outside of models, which take numbers.

    Args:
        encoding: only "utf-8".
        max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert,
            output_mode, pad_to_max_tokens, salt: see `IndexLookup`.
    """

    only_defaults: ClassVar[dict[str, Any]] = {"sparse": False, "encoding": "utf-8"}

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str | None = "[UNK]",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, *args, **kwargs)

    def token(self, value: Any) -> str:
        return value.decode() if isinstance(value, bytes) else str(value)


class IntegerLookup(IndexLookup):
    """Integers as numbers by a vocabulary (`keras.layers.IntegerLookup`).

    In models it is compiled; with "farmhash" and without `num_oov_indices` it is called on arrays.

    Args:
        oov_method: how integers share several `num_oov_indices`: by their remainder, "floormod"
            (default), or by a hash, "farmhash".
        vocabulary_dtype: only "int64".
        max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert,
            output_mode, pad_to_max_tokens, salt: see `IndexLookup`.
    """

    only_defaults: ClassVar[dict[str, Any]] = {"sparse": False, "vocabulary_dtype": "int64"}

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int | None = -1,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(max_tokens, num_oov_indices, mask_token, oov_token, *args, **kwargs)
        if self.salt is not None and self.oov_method != "farmhash":
            raise ValueError("IntegerLookup: salt goes with oov_method='farmhash'")

    def token(self, value: Any) -> int:
        token = int(value)
        if not -(2**63) <= token < 2**63:
            raise ValueError(f"layer {self.name!r}: terms must be ints of 64 bits, got {token}")
        return token

    def _oov(self, tokens: list[Any]) -> np.ndarray:
        if self.oov_method == "floormod" and self.num_oov_indices > 1:
            return np.array(tokens, np.int64) % self.num_oov_indices
        return super()._oov(tokens)

    def _take(self, tokens: list[Any], idf_weights: Any) -> None:
        super()._take(tokens, idf_weights)
        order = np.argsort(tokens, kind="stable")
        self._sorted = Variable(np.asarray(tokens)[order], f"{self.name}/sorted", False, "int64")
        self._places = Variable(order, f"{self.name}/places", False, "int64")
        table = np.asarray([-1 if t is None else t for t in self.get_vocabulary()])
        self._table = Variable(table, f"{self.name}/table", False, "int64")

    def compiled_indices(self, inputs: Tensor) -> Tensor:
        values = ops.cast(inputs, "int64")
        hashed = self.num_oov_indices > 1 and self.oov_method != "floormod"
        if not self.invert and (hashed or not self.num_oov_indices):
            raise ValueError(
                "in a model num_oov_indices must be at least 1, and oov_method 'floormod'; or call "
                "the layer on the data, and the model on the result"
            )
        if not self._tokens:  # only shapes are asked for, the vocabulary is still in a file
            return ops.zeros_like(values)
        if self.invert:
            inside = ops.logical_and(values >= 0, values < self.vocabulary_size())
            other = -1 if self.oov_token is None else self.oov_token
            return ops.where(inside, node("gather", ops.convert_to_tensor(self._table),
                                          ops.cast(values, "int32")), other)  # fmt: skip
        others = ops.mod(values, self.num_oov_indices)
        place, there = self._search(values)
        found = ops.where(there, place + len(self._special), others + self._oov_start)
        if self.mask_token is None:
            return found
        masked = 0 if self.output_mode == "int" else -1
        return ops.where(ops.equal(values, self.mask_token), masked, found)

    def _search(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Each value's place in the vocabulary, and whether it is there: by bisection."""
        tokens, size = ops.convert_to_tensor(self._sorted), len(self._tokens)
        below = ops.zeros_like(ops.cast(values, "int32"))  # tokens known to be at most the value
        for power in reversed(range(math.ceil(math.log2(size + 1)))):
            more = ops.add(below, 2**power)
            reached = ops.less_equal(node("gather", tokens, ops.subtract(more, 1)), values)
            below = ops.where(ops.logical_and(more <= size, reached), more, below)
        at = ops.maximum(ops.subtract(below, 1), 0)
        there = ops.logical_and(below > 0, ops.equal(node("gather", tokens, at), values))
        return node("gather", ops.convert_to_tensor(self._places), at), there
