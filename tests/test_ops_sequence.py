"""CTC: the loss against all alignments written out, long sequences, and decoding."""

import itertools
from typing import Any

import numpy as np
import pytest
from computing import compute

from graphc import layers, losses, models, ops, optimizers
from graphc.trace import Trace

LOGITS = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
TARGET = np.array([[1, 2], [2, 2], [1, 0]], np.int32)


def read(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(path) if label)


def by_alignments(logits: np.ndarray, target: tuple[int, ...]) -> float:
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    paths = itertools.product(range(logits.shape[1]), repeat=len(logits))
    return sum(
        np.prod([step[label] for step, label in zip(p, path, strict=True)])
        for path in paths
        if read(path) == target
    )


def test_the_loss_sums_over_alignments() -> None:
    steps, lengths = [4, 3, 2], [2, 2, 1]
    found = compute({"y": lambda x: ops.ctc_loss(TARGET, x, lengths, steps)}, LOGITS)["y"]
    wanted = [
        -np.log(by_alignments(LOGITS[row, : steps[row]], tuple(TARGET[row, : lengths[row]])))
        for row in range(3)
    ]
    np.testing.assert_allclose(found, wanted, 1e-5)


@pytest.mark.parametrize("steps", [1, 1000])
def test_long_and_impossible_labellings_have_finite_gradients(steps: int) -> None:
    model = models.Sequential([layers.Input((steps, 5)), layers.Dense(6)])
    model.compile(optimizers.SGD(1e-3), losses.CTC())
    x = np.random.default_rng(1).normal(size=(4, steps, 5)).astype(np.float32)
    y = np.array([[1, 2, 3], [4, 4, 0], [5, 0, 0], [0, 0, 0]])
    history = model.fit(x, y, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
    assert (history.history["loss"][0] > 1e4) == (steps == 1)


def test_greedy_decoding() -> None:
    best = np.array([[1, 1, 0, 1, 2, 2], [0, 2, 2, 2, 0, 1]])
    logits = 3 * np.eye(3, dtype=np.float32)[best]
    labels, scores = ops.ctc_decode(logits, [6, 4])
    np.testing.assert_array_equal(labels, [[[1, 1, 2, -1, -1, -1], [2, -1, -1, -1, -1, -1]]])
    np.testing.assert_array_equal(scores, [[-18], [-12]])
    apart, _ = ops.ctc_decode(logits, [6, 4], merge_repeated=False)
    np.testing.assert_array_equal(apart[0, 0], [1, 1, 1, 2, 2, -1])


def test_beam_search_finds_the_most_probable_labelling() -> None:
    labels, scores = ops.ctc_decode(LOGITS, [4, 4, 4], strategy="beam_search", top_paths=2)
    for row in range(3):
        every = {read(path) for path in itertools.product(range(3), repeat=4)}
        ranked = sorted(((by_alignments(LOGITS[row], t), t) for t in every), reverse=True)[:2]
        for path, (probability, target) in enumerate(ranked):
            assert tuple(label for label in labels[path, row] if label >= 0) == target
            np.testing.assert_allclose(scores[row, path], np.log(probability), 1e-4)


WRONG: list[tuple[Any, str]] = [
    (lambda: ops.ctc_loss([1, 2], LOGITS, [1], [1]), r"expected target \(batch, labels\)"),
    (lambda: ops.ctc_decode(LOGITS, [4], strategy="best"), "'greedy' or 'beam_search', got 'best'"),
]


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_errors(call: Any, message: str) -> None:
    with Trace("test"), pytest.raises(ValueError, match=message):
        call()
