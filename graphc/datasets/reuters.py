"""Newswires of 1987, by topic."""

from __future__ import annotations

import numpy as np

from .digits import Split
from .source import KERAS_FILES, Source, read_npz
from .word_numbers import Encoding, as_array, shuffled, word_index

SOURCE = Source(
    "reuters.npz",
    KERAS_FILES + "reuters.npz",
    "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916",
)
WORDS = Source(
    "reuters_word_index.json",
    KERAS_FILES + "reuters_word_index.json",
    "4d44cc38712099c9e383dc6e5f11a921",
)
TOPICS = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply",
    "coffee", "sugar", "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas", "cpi",
    "money-fx", "interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin", "strategic-metal",
    "livestock", "retail", "ipi", "iron-steel", "rubber", "heat", "jobs", "lei", "bop", "zinc",
    "orange", "pet-chem", "dlr", "gas", "silver", "wpi", "hog", "lead",
)  # fmt: skip


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Split, Split]:
    """11,228 newswires of 46 topics (`keras.datasets.reuters`).

    Args:
        test_split: share of the test half; 0.2 by default.
        seed: of the shuffle before the split.
        path, num_words, skip_top, maxlen, start_char, oov_char, index_from: as in
            `imdb.load_data`.

    Returns:
        (x_train, y_train), (x_test, y_test): x an array (n,) of lists of ints; y int64 (n,), the
        topics, from 0 to 45.

    Raises:
        ValueError: when maxlen leaves nothing, and when the file is damaged.
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
    """
    x, y = read_npz(SOURCE.fetch(path), "x", "y")
    encoding = Encoding(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    texts, labels = encoding.shifted(*shuffled(np.random.RandomState(seed), x, y))
    texts = encoding.limited(texts)
    train = int(len(texts) * (1 - test_split))
    return (
        (as_array(texts[:train]), labels[:train]),
        (as_array(texts[train:]), labels[train:]),
    )


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """Word -> its rank by frequency, from 1 (`keras.datasets.reuters.get_word_index`).

    Args:
        path: name of the file in the cache, ~/.keras/datasets.

    Raises:
        ValueError: when the file is damaged.
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
    """
    return word_index(WORDS, path)


def get_label_names() -> tuple[str, ...]:
    """The topics' names, in the order of their numbers."""
    return TOPICS
