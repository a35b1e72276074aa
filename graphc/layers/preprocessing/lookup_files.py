"""What configurations and files say of a lookup's vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from graphc.layers.base import Layer
from graphc.trace import Variable, assign_all

from .vocabulary import VOCABULARY, as_lines, is_beside, read_assets

IDF = "idf_weights"  # Keras's name for them in files


class LookupFiles(Layer):
    """The part of `IndexLookup` that writes and reads configurations and files."""

    max_tokens: int | None
    num_oov_indices: int
    mask_token: Any
    oov_token: Any
    invert: bool
    output_mode: str
    pad_to_max_tokens: bool
    oov_method: str
    salt: Any
    known_size: int | None  # of the vocabulary, which may be in a file that is not read yet
    _given: tuple[Any, Any]  # the arguments vocabulary and idf_weights
    _tokens: list[Any]
    _idf: Variable | None

    if TYPE_CHECKING:

        def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None: ...

    def token(self, value: Any) -> Any:
        """A token as this layer has them."""
        return value

    @property
    def _oov_start(self) -> int:
        return int(self.mask_token is not None and self.output_mode == "int")

    @property
    def _special(self) -> list[Any]:
        return [self.mask_token] * self._oov_start + [self.oov_token] * self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The tokens, those without special ones in the order of their indices."""
        return [*(self._special if include_special_tokens else ()), *self._tokens]

    def vocabulary_size(self) -> int:
        """The number of indices."""
        return len(self._special) + len(self._tokens)

    def ensure_vocabulary(self) -> None:
        """Raises ValueError when there is none."""
        if not self._tokens:
            raise ValueError(f"layer {self.name!r} has no vocabulary: pass one, or adapt(data)")

    def written_vocabulary(self) -> dict[str, Any]:
        """The part of the configuration that says the vocabulary.

        Keras leaves one out that it took from data or from a file, which stands beside the
        configuration in a model's file; elsewhere it would be lost, and is written here.
        """
        tokens, idf_weights = self._given
        if self._lines_beside() is not None:
            tokens, idf_weights = None, None
        elif tokens is None or isinstance(tokens, str):
            tokens = self._tokens or None
            if tokens and self._idf is not None:
                idf_weights = self._idf.value[len(self._special) : self.vocabulary_size()]
        return {
            "vocabulary": as_list(tokens),
            "idf_weights": as_list(idf_weights),
            "vocabulary_size": self.known_size,
        }

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_tokens": self.max_tokens,
            "num_oov_indices": self.num_oov_indices,
            "mask_token": self.mask_token,
            "oov_token": self.oov_token,
            "invert": self.invert,
            "output_mode": self.output_mode,
            "pad_to_max_tokens": self.pad_to_max_tokens,
            "oov_method": self.oov_method,
            "salt": self.salt,
            **self.written_vocabulary(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        refuse_files(cls.__name__, config)
        return cls(**config)

    def get_build_config(self) -> dict[str, Any]:
        return {}

    def _lines_beside(self) -> str | None:
        """The file with the vocabulary beside the configuration; None when it stands in there."""
        given = self._given[0]
        if not is_beside(self) or (given is not None and not isinstance(given, str)):
            return None
        return as_lines(self.get_vocabulary())

    def save_assets(self, dir_path: str) -> None:
        """Writes a vocabulary that configurations in files leave out.

        Args:
            dir_path: a folder for this layer's files.

        Raises:
            ValueError: when there is none though its size is known.
        """
        if self.known_size is not None:
            self.ensure_vocabulary()
        lines = self._lines_beside()
        if lines is not None:
            (Path(dir_path) / VOCABULARY).write_text(lines, "utf-8", newline="\n")

    def load_assets(self, dir_path: str) -> None:
        """Takes the vocabulary that the configuration left out.

        Args:
            dir_path: the folder with this layer's files.

        Raises:
            ValueError: when it is missing, damaged, or not as large as the configuration says.
        """
        lines = read_assets(dir_path)
        given = self._given[0]
        if given is not None and not isinstance(given, str):  # the configuration has it
            return
        tokens, special = [self.token(line) for line in lines or ()], self._special
        if tokens[: len(special)] == special:
            tokens = tokens[len(special) :]
        size = len(special) + len(tokens)
        if not self._tokens and self.known_size not in (None, size):
            there = "is missing" if lines is None else f"has {size} terms"
            raise ValueError(f"{VOCABULARY} {there}, the configuration says {self.known_size}")
        if tokens:
            self.set_vocabulary(tokens, None if self._idf is None else self._idf.value[:size])

    @property
    def unlisted_variables(self) -> list[Variable]:
        return [] if self._idf is None else [self._idf]

    def save_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        if self._idf is not None:
            store[IDF] = self._idf.value

    def load_own_variables(self, store: Mapping[str, np.ndarray]) -> None:
        if self._idf is None and self.output_mode == "tf_idf" and IDF in store:
            # Neither the vocabulary nor its size is known yet: a user's layer has made this one.
            self._idf = Variable(store[IDF], f"{self.name}/{IDF}", False)
        first = [IDF] if self._idf is not None else []
        values = [store[name] for name in dict.fromkeys([*first, *store])]
        assign_all(f"layer {self.name!r}: {IDF}", self.unlisted_variables, values)


def refuse_files(owner: str, config: dict[str, Any]) -> None:
    """Configurations come from anywhere, and must not have files read.

    Raises:
        ValueError: when the vocabulary is a path.
    """
    if isinstance(config.get("vocabulary"), str):
        raise ValueError(
            f"{owner}: a configuration's vocabulary must be a list of terms, not the path of a "
            f"file, {config['vocabulary']!r}"
        )


def as_list(values: Any) -> list[Any] | None:
    """Values as JSON can hold them."""
    return None if values is None else np.asarray(values).tolist()
