"""Reviews of movies, and whether they praise."""

from __future__ import annotations

import numpy as np

from .digits import Split
from .source import KERAS_FILES, Source, read_npz
from .word_numbers import Encoding, as_array, shuffled, word_index

SOURCE = Source(
    "imdb.npz",
    KERAS_FILES + "imdb.npz",
    "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f",
)
WORDS = Source(
    "imdb_word_index.json",
    KERAS_FILES + "imdb_word_index.json",
    "bfafd718b763782e994055a2d397834f",
)


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> tuple[Split, Split]:
    """25,000 reviews to train on and 25,000 to test (`keras.datasets.imdb`).

    A word is its rank by frequency, from 1, plus `index_from`; 0 is left for padding.

    Args:
        path: name of the file in the cache, ~/.keras/datasets.
        num_words: numbers from this one on become `oov_char`; by default from the largest one on.
        skip_top: numbers below this one become `oov_char`; 0 by default.
        maxlen: reviews as long as this or longer are left out; None by default.
        seed: of the shuffle within each half.
        start_char: number at the beginning of each review, None for none; 1 by default.
        oov_char: number of words that are left out, None to leave nothing there; 2 by default.
        index_from: what is added to the ranks; 3 by default.

    Returns:
        (x_train, y_train), (x_test, y_test): x an array (n,) of lists of ints, which
        `utils.pad_sequences` makes a matrix; y int64 (n,), 1 where the review praises.

    Raises:
        ValueError: when maxlen leaves nothing, and when the file is damaged.
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
    """
    found = SOURCE.fetch(path)
    x_train, y_train, x_test, y_test = read_npz(found, "x_train", "y_train", "x_test", "y_test")
    encoding = Encoding(num_words, skip_top, maxlen, start_char, oov_char, index_from)
    random = np.random.RandomState(seed)
    train, train_labels = encoding.shifted(*shuffled(random, x_train, y_train))
    test, test_labels = encoding.shifted(*shuffled(random, x_test, y_test))
    texts = encoding.limited(train + test)
    return (
        (as_array(texts[: len(train)]), train_labels),
        (as_array(texts[len(train) :]), test_labels),
    )


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """Word -> its rank by frequency, from 1 (`keras.datasets.imdb.get_word_index`).

    In the reviews it has `index_from` added.

    Args:
        path: name of the file in the cache, ~/.keras/datasets.

    Raises:
        ValueError: when the file is damaged.
        OSError: when it is not in the cache and cannot be downloaded, saying what to do.
    """
    return word_index(WORDS, path)
