"""Texts as numbers of their words, as in `keras.layers`."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from graphc.layers.base import Layer
from graphc.serialization import serialize_keras_object, with_objects

from .encoding import batches_of, is_symbolic
from .lookup import StringLookup
from .lookup_files import refuse_files

STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation")
SPLIT = ("whitespace", "character")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextVectorization(Layer):
    """Texts as numbers of their words, by a vocabulary (`keras.layers.TextVectorization`).

    It is called on arrays and lists of strings, (batch,) or (batch, 1), outside of models.

    Args:
        max_tokens: most words there may be, "" (padding) and "[UNK]" (others) counted.
        standardize: "lower_and_strip_punctuation" (default), "lower", "strip_punctuation" (both of
            ASCII's letters and punctuation), None, or a function of an array of strings.
        split: "whitespace" (default), "character", None, or a function of an array of strings to a
            list of words for each.
        ngrams: words in a row that count as one: so many and fewer, or just these numbers.
        output_mode: "int" (default), int64 (batch, words), 0 behind the last; or vectors of
            float32: "multi_hot", "count" or "tf_idf", as in `StringLookup`.
        output_sequence_length: with "int" the number of words that texts are cut or filled to; by
            default as many as the longest has.
        pad_to_max_tokens: whether vectors have max_tokens elements though the vocabulary is less.
        vocabulary: the words, or a text file's path; by default `adapt` takes them from data.
        idf_weights: of the words, with "tf_idf".
        ragged, sparse: only False; encoding: only "utf-8".

    Raises:
        ValueError: for options that are not known, or do not go together.
    """

    only_defaults: ClassVar[dict[str, Any]] = {
        "sparse": False, "ragged": False, "encoding": "utf-8",
    }  # fmt: skip

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable[[np.ndarray], Any] | None = "lower_and_strip_punctuation",
        split: str | Callable[[np.ndarray], Any] | None = "whitespace",
        ngrams: int | tuple[int, ...] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        vocabulary_size: int | None = None,
        has_input_vocabulary: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, known in (
            ("standardize", standardize, STANDARDIZE), ("split", split, SPLIT)
        ):  # fmt: skip
            if value is not None and not callable(value) and value not in known:
                raise ValueError(
                    f"TextVectorization: {name} must be one of {known}, None or a function, got "
                    f"{value!r}"
                )
        widths = ngrams if isinstance(ngrams, (list, tuple)) else [1 if ngrams is None else ngrams]
        if any(not isinstance(n, int) or n < 1 for n in widths):
            raise ValueError(
                f"TextVectorization: ngrams must be ints of at least 1, got {ngrams!r}"
            )
        if output_sequence_length is not None and output_mode != "int":
            raise ValueError(
                "TextVectorization: output_sequence_length goes with output_mode='int'"
            )
        self.standardize = standardize
        self.split = split
        self.ngrams = tuple(ngrams) if isinstance(ngrams, list) else ngrams
        self.output_sequence_length = output_sequence_length
        self._lookup_layer = StringLookup(
            max_tokens, mask_token="", vocabulary=vocabulary, idf_weights=idf_weights,
            output_mode=output_mode, pad_to_max_tokens=pad_to_max_tokens,
            vocabulary_size=vocabulary_size,
        )  # fmt: skip

    def documents(self, texts: Any) -> list[list[str]]:
        """Each text's words.

        Raises:
            ValueError: when there is more than one text a row, and they are to be split.
        """
        array = np.asarray(texts)
        if array.dtype.kind == "S":
            array = np.char.decode(array, "utf-8")
        array = np.atleast_1d(self._standardized(array))
        if self.split is None:
            rows = [row.ravel().tolist() for row in array]
        else:
            if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
                raise ValueError(
                    f"layer {self.name!r} splits texts (batch,) or (batch, 1), got shape "
                    f"{array.shape}"
                )
            rows = self._split(array.reshape(-1))
        return rows if self.ngrams is None else [self._joined(row) for row in rows]

    def _standardized(self, array: np.ndarray) -> np.ndarray:
        if callable(self.standardize):
            return np.asarray(self.standardize(array))
        texts = array.ravel().tolist()
        if self.standardize in ("lower", "lower_and_strip_punctuation"):
            texts = [text.encode().lower().decode() for text in texts]  # ASCII's alone
        if self.standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
            texts = [text.translate(_PUNCTUATION) for text in texts]
        return np.array(texts, object).reshape(array.shape)

    def _split(self, texts: np.ndarray) -> list[list[str]]:
        if callable(self.split):
            return [list(row) for row in self.split(texts)]
        if self.split == "character":
            return [list(text) for text in texts.tolist()]
        # Bytes are split at ASCII's white space alone.
        return [[word.decode() for word in text.encode().split()] for text in texts.tolist()]

    def _joined(self, words: list[str]) -> list[str]:
        given = self.ngrams
        widths = range(1, given + 1) if isinstance(given, int) else given or ()
        return [
            " ".join(words[at : at + n]) for n in widths for at in range(len(words) - n + 1)
        ]  # fmt: skip

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Takes the vocabulary from texts: the most frequent words.

        Args:
            data: an array or a list of texts, or batches of such.
            batch_size: accepted and not needed.
            steps: how many of the batches to take; all by default.

        Raises:
            ValueError: when a vocabulary was given.
        """
        if self._lookup_layer._fixed:
            raise ValueError(f"layer {self.name!r}: a vocabulary was given; nothing to adapt")
        self._lookup_layer.reset_state()
        for batch in batches_of(data, steps, (list, tuple, np.ndarray)):
            self._lookup_layer.count(self.documents(batch))
        self._lookup_layer.finalize_state()

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Sets the vocabulary; see `StringLookup.set_vocabulary`."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The words in the order of their numbers, by default with "" and "[UNK]"."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def vocabulary_size(self) -> int:
        """The number of words, special ones counted."""
        return self._lookup_layer.vocabulary_size()

    def __call__(self, inputs: Any) -> Any:
        if is_symbolic(inputs):
            raise ValueError(
                f"layer {self.name!r} works on strings, which models do not take: call it on the "
                "data, and the model on the result"
            )
        lookup, rows = self._lookup_layer, self.documents(inputs)
        flat = np.array([word for row in rows for word in row] or [""], object).astype(str)
        found = lookup.indices(flat)
        ends = np.cumsum([len(row) for row in rows])[:-1]
        parts = np.split(found[: sum(map(len, rows))], ends)
        if lookup.output_mode == "int":
            return _filled(parts, self.output_sequence_length, 0)
        return lookup.encoded(_filled(parts, None, -1))

    def get_config(self) -> dict[str, Any]:
        lookup = self._lookup_layer
        return {
            **super().get_config(),
            "max_tokens": lookup.max_tokens,
            "standardize": serialize_keras_object(self.standardize),
            "split": serialize_keras_object(self.split),
            "ngrams": self.ngrams,
            "output_mode": lookup.output_mode,
            "output_sequence_length": self.output_sequence_length,
            "pad_to_max_tokens": lookup.pad_to_max_tokens,
            **lookup.written_vocabulary(),
            "vocabulary_size": lookup.known_size or self.vocabulary_size(),
        }

    def save_assets(self, dir_path: str) -> None:
        """Writes the vocabulary, as Keras does here and in a folder of the lookup's own."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: str) -> None:
        """Takes the vocabulary; see `StringLookup.load_assets`."""
        self._lookup_layer.load_assets(dir_path)

    def save_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Mapping[str, np.ndarray]) -> None:
        self._lookup_layer.load_own_variables(store)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        refuse_files(cls.__name__, config)
        return cls(**with_objects(config, "standardize", "split"))


def _filled(rows: Sequence[np.ndarray], length: int | None, fill: int) -> np.ndarray:
    """Rows of different lengths as one int64 array, cut or filled to a length."""
    width = max((len(row) for row in rows), default=0) if length is None else length
    whole = np.full((len(rows), width), fill, np.int64)
    for at, row in enumerate(rows):
        whole[at, : min(len(row), width)] = row[:width]
    return whole
