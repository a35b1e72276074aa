"""What the two sets of texts have in common: texts as lists of words' ranks by frequency."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .source import Source, naming


@dataclass(frozen=True)
class Encoding:
    """How texts are made of the ranks in the files; see `imdb.load_data`."""

    num_words: int | None
    skip_top: int
    maxlen: int | None
    start_char: int | None
    oov_char: int | None
    index_from: int

    def shifted(
        self, texts: Iterable[list[int]], labels: np.ndarray
    ) -> tuple[list[list[int]], np.ndarray]:
        """The texts with ranks moved and starts marked, without those that are too long.

        Raises:
            ValueError: when none are left.
        """
        start = [] if self.start_char is None else [self.start_char]
        found = [[*start, *(rank + self.index_from for rank in text)] for text in texts]
        if not self.maxlen:
            return found, labels
        # As in Keras a text of exactly maxlen is too long.
        kept = [at for at, text in enumerate(found) if len(text) < self.maxlen]
        if not kept:
            raise ValueError(f"maxlen={self.maxlen}: all texts are as long or longer; increase it")
        return [found[at] for at in kept], labels[kept]

    def limited(self, texts: list[list[int]]) -> list[list[int]]:
        """The texts without the words that are too frequent or too rare."""
        # As in Keras the largest number is left out too when num_words is not given.
        end = self.num_words or max(map(max, texts))
        if self.oov_char is None:
            return [[word for word in text if self.skip_top <= word < end] for text in texts]
        oov = self.oov_char
        return [[word if self.skip_top <= word < end else oov for word in text] for text in texts]


def as_array(texts: list[list[int]]) -> np.ndarray:
    """An array of lists, also when all have one length."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def shuffled(
    random: np.random.RandomState, texts: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both in another order, that of Keras for this generator."""
    order = np.arange(len(texts))
    random.shuffle(order)
    return texts[order], labels[order]


def word_index(source: Source, path: str) -> dict[str, int]:
    """The words' ranks, from a JSON file.

    Raises:
        ValueError: when the file is damaged.
    """
    found = source.fetch(path)
    with naming(found), open(found, encoding="utf-8") as file:
        ranks: dict[str, int] = json.load(file)
    return ranks
