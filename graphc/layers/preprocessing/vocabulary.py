"""Vocabularies: tokens with numbers, and what data tells of tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np

# Keras's name for the file of a layer's vocabulary among the assets of a model's file.
VOCABULARY = "vocabulary.txt"

_beside: ContextVar[Collection[Any]] = ContextVar("layers with assets beside", default=())


@contextmanager
def assets_beside(layers: Collection[Any]) -> Iterator[None]:
    """Configurations written inside of `with` leave out what these layers' `save_assets` write."""
    token = _beside.set(layers)
    try:
        yield
    finally:
        _beside.reset(token)


def is_beside(layer: Any) -> bool:
    """Whether a layer's assets are written beside its configuration."""
    return layer in _beside.get()


class Counts:
    """How often tokens are in data, and in how many of its documents."""

    def __init__(self) -> None:
        self.tokens: Counter[Any] = Counter()
        self.documents: Counter[Any] = Counter()
        self.number = 0

    def add(self, documents: Iterable[Sequence[Any]]) -> None:
        """Takes documents, which are sequences of tokens, into account."""
        for document in documents:
            here = Counter(document)
            self.tokens.update(here)
            self.documents.update(here.keys())
            self.number += 1

    def most_frequent(self, limit: int | None, but: Sequence[Any]) -> list[Any]:
        """The tokens from the most frequent on; of those as frequent the last one first.

        Args:
            limit: how many at most.
            but: tokens to leave out.
        """
        kept = {token: n for token, n in self.tokens.items() if token not in but}
        return sorted(kept, key=lambda token: (kept[token], token), reverse=True)[:limit]

    def idf(self, tokens: Sequence[Any]) -> np.ndarray:
        """log(1 + documents / (1 + documents with the token)), float32."""
        there = np.array([self.documents[token] for token in tokens], np.float32)
        weights: np.ndarray = np.log(1 + np.float32(self.number) / (1 + there))
        return weights


def checked_tokens(owner: str, given: Sequence[Any], special: list[Any], mask: Any) -> list[Any]:
    """A vocabulary's tokens without the special ones that it may begin with.

    Raises:
        ValueError: when it is empty, has a token twice, or the mask where it may not be.
    """
    if not len(given):
        raise ValueError(f"{owner}: the vocabulary is empty")
    tokens = list(given)
    if special and tokens[: len(special)] == special:
        tokens = tokens[len(special) :]
    repeated = [token for token, count in Counter(tokens).items() if count > 1]
    if repeated:
        raise ValueError(f"{owner}: the vocabulary has terms more than once: {repeated[:10]}")
    if mask is not None and mask in tokens:
        raise ValueError(
            f"{owner}: the vocabulary has the mask_token {mask!r} at {tokens.index(mask)}; leave "
            f"special tokens out, or begin with just these: {special}"
        )
    return tokens


def read_vocabulary(path: str) -> list[str]:
    """The lines of a text file (UTF-8).

    Raises:
        ValueError: when there is no such file.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()
    except OSError as error:
        raise ValueError(f"the vocabulary file {path!r} cannot be read: {error}") from None


def as_lines(tokens: Sequence[Any]) -> str | None:
    """The text of a vocabulary's file, one token a line, as Keras writes it.

    Returns:
        None when the tokens could not be read back: of None, with line breaks in them, or with
            empty ones at the end.
    """
    text = "\n".join(map(str, tokens))
    if None in tokens or from_lines(text) != list(map(str, tokens)):
        return None
    try:
        text.encode()
    except UnicodeEncodeError:  # halves of characters
        return None
    return text


def from_lines(text: str) -> list[str]:
    """The tokens of a vocabulary's file: its lines, without empty ones at the end."""
    lines = text.splitlines()
    while lines and not lines[-1]:
        lines.pop()
    return lines


def read_assets(folder: str) -> list[str] | None:
    """The tokens in a folder of a layer's assets; None when there is no vocabulary.

    Raises:
        ValueError: when it is not UTF-8, or there are other files.
    """
    files = [path for path in Path(folder).iterdir() if path.is_file()]
    others = [path.name for path in files if path.name != VOCABULARY]
    if others:
        raise ValueError(f"{others[0]!r} is not {VOCABULARY}, the only file there may be")
    try:
        return from_lines(files[0].read_text("utf-8")) if files else None
    except UnicodeDecodeError as error:
        raise ValueError(f"{VOCABULARY} is no text: {error}") from None


def padded_weights(
    weights: Sequence[float], tokens: int, before: int, after: int | None
) -> np.ndarray:
    """IDF weights of all indices: those of special tokens are the mean, if they are not given.

    Args:
        weights: of the tokens, or of the special ones and the tokens.
        tokens: their number.
        before: the number of special tokens.
        after: how many indices there are in all; those left over weigh 0.

    Raises:
        ValueError: when the number of weights is another one.
    """
    given = np.asarray(weights, np.float32)
    if given.shape not in ((tokens,), (before + tokens,)):
        raise ValueError(
            f"idf_weights must be as many as the vocabulary has terms, {tokens}, got an array of "
            f"shape {given.shape}"
        )
    if len(given) == tokens:
        given = np.concatenate([np.full(before, given.mean(), np.float32), given])
    return np.pad(given, (0, 0 if after is None else after - len(given)))
