"""Connectionist temporal classification: the loss, and what its model reads."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from graphc.trace import Tensor

from .base import TensorLike, broadcast_to, cast, convert_to_tensor, floating, node, recorded
from .control import scan
from .elementwise import (
    add,
    equal,
    less,
    logaddexp,
    multiply,
    negative,
    subtract,
    where,
)
from .linear import matmul, one_hot
from .nn import log_softmax
from .reductions import sum
from .shaping import concatenate, expand_dims, transpose

# The logarithm of an impossible path's probability, as Keras has it: what is impossible gets a
# large loss with a finite gradient.
IMPOSSIBLE = -1e5


@recorded
def ctc_loss(
    target: TensorLike,
    output: TensorLike,
    target_length: TensorLike,
    output_length: TensorLike,
    mask_index: int = 0,
) -> Tensor:
    """-log of the probability of a labelling, over all its alignments, as `keras.ops.ctc_loss`.

    The recursion is that of Graves et al. 2006, "Connectionist temporal classification", in
    logarithms, with states for blanks ("phi") and labels ("emit") apart, as Keras on JAX has it.

    Args:
        target: (batch, labels), ints, padded.
        output: (batch, steps, classes), logits.
        target_length, output_length: (batch,), how many of them count.
        mask_index: the class that stands for the blank.

    Returns:
        (batch,)
    """
    target = cast(convert_to_tensor(target), "int32")
    logits = floating(output)
    classes = logits.shape[-1]
    if target.ndim != 2 or logits.ndim != 3 or not isinstance(classes, int):
        raise ValueError(
            "ctc_loss: expected target (batch, labels) and output (batch, steps, classes), got "
            f"{list(target.shape)} and {list(logits.shape)}"
        )
    labels = target.shape[1]
    if not isinstance(labels, int):
        raise ValueError("ctc_loss: the number of labels that target has place for must be fixed")
    logs = log_softmax(logits)
    chosen = one_hot(target, classes)
    emitted = transpose(matmul(logs, transpose(chosen, (0, 2, 1))), (1, 0, 2))
    blanks = transpose(logs[:, :, mask_index : mask_index + 1], (1, 0, 2))
    batch = logits.shape[0]
    # Where a label is like the next one, a blank must stand between.
    alike = cast(equal(target[:, :-1], target[:, 1:]), "float32")
    alike = concatenate([alike, broadcast_to(0.0, (batch, 1))], 1)
    through, around = multiply(alike, IMPOSSIBLE), multiply(subtract(1.0, alike), IMPOSSIBLE)
    step = expand_dims(node("iota", shape=(logits.shape[1],), axis=0), 1)
    counts = less(step, cast(convert_to_tensor(output_length), "int32"))

    def advance(phi: Tensor, score: Tensor) -> Tensor:
        return concatenate([phi[:, :1], logaddexp(phi[:, 1:], score)], 1)

    def body(before: Any, now: Any) -> Any:
        phi, emit = before
        label, blank, counted = now
        reached = advance(phi, add(emit, through))
        new_emit = add(logaddexp(reached[:, :-1], emit), label)
        new_phi = advance(add(reached, blank), add(add(emit, blank), around))
        counted = expand_dims(counted, 1)
        return (where(counted, new_phi, phi), where(counted, new_emit, emit)), None

    first = concatenate(
        [broadcast_to(0.0, (batch, 1)), broadcast_to(IMPOSSIBLE, (batch, labels))], 1
    )
    none = broadcast_to(IMPOSSIBLE, (batch, labels))
    (phi, emit), _ = scan(body, (first, none), (emitted, blanks, counts))
    ends = one_hot(target_length, labels + 1)
    return negative(sum(multiply(advance(phi, emit), ends), -1))


def ctc_decode(
    inputs: Any,
    sequence_lengths: Any,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The labels that a model's logits say, as `keras.ops.ctc_decode`; works on NumPy arrays.

    Args:
        inputs: (batch, steps, classes), logits.
        sequence_lengths: (batch,), how many steps count.
        strategy: "greedy" takes the best class of each step; "beam_search" the labelling that is
            most probable over its alignments, as far as a beam finds it.
        beam_width, top_paths: of beam search: prefixes kept, and results returned.
        merge_repeated: of the greedy strategy: whether equal neighbours are one label.
        mask_index: the class that stands for the blank.

    Returns:
        Labels (1 or top_paths, batch, steps), padded with -1, and scores: (batch, 1), minus the
        sum of the best logits, or (batch, top_paths), log probabilities.

    Raises:
        ValueError: for another strategy.
    """
    inputs = np.asarray(inputs, np.float32)
    lengths = np.asarray(sequence_lengths)
    if strategy == "greedy":
        return _greedy(inputs, lengths, merge_repeated, mask_index)
    if strategy != "beam_search":
        raise ValueError(
            f"ctc_decode: strategy must be 'greedy' or 'beam_search', got {strategy!r}"
        )
    labels = np.full((top_paths, *inputs.shape[:2]), -1, np.int32)
    scores = np.full((len(inputs), top_paths), -np.inf, np.float32)
    for row, (logits, length) in enumerate(zip(inputs, lengths, strict=True)):
        best = _prefixes(logits[:length], beam_width, mask_index)[:top_paths]
        for path, (prefix, score) in enumerate(best):
            labels[path, row, : len(prefix)] = prefix
            scores[row, path] = score
    return labels, scores


def _greedy(
    inputs: np.ndarray, lengths: np.ndarray, merge_repeated: bool, mask_index: int
) -> tuple[np.ndarray, np.ndarray]:
    best, scores = inputs.argmax(-1), inputs.max(-1)
    behind = np.arange(inputs.shape[1]) >= lengths[:, None]
    best[behind], scores[behind] = mask_index, 0
    if merge_repeated:
        best[:, 1:][best[:, 1:] == best[:, :-1]] = mask_index
    labels = np.full(best.shape, -1, np.int32)
    for row, found in enumerate(best):
        kept = found[found != mask_index]
        labels[row, : len(kept)] = kept
    return labels[None], -scores.sum(1, keepdims=True)


def _prefixes(logits: np.ndarray, width: int, blank: int) -> list[tuple[tuple[int, ...], float]]:
    """Labellings by falling log probability: prefix beam search (Hannun et al. 2014).

    A prefix has two scores: of the alignments that end with a blank, and of the others.
    """
    shifted = logits - logits.max(-1, keepdims=True, initial=-np.inf)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    beam: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, -np.inf)}
    for step in logs:
        following: dict[tuple[int, ...], list[float]] = defaultdict(lambda: [-np.inf, -np.inf])
        for prefix, (blanks, labels) in beam.items():
            either = np.logaddexp(blanks, labels)
            same = following[prefix]
            same[0] = np.logaddexp(same[0], either + step[blank])
            for label in range(len(step)):
                if label == blank:
                    continue
                score = either
                if prefix and label == prefix[-1]:
                    same[1] = np.logaddexp(same[1], labels + step[label])
                    score = blanks
                longer = following[(*prefix, label)]
                longer[1] = np.logaddexp(longer[1], score + step[label])
        ranked = sorted(following.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))
        beam = {prefix: (scores[0], scores[1]) for prefix, scores in ranked[:width]}
    return [(prefix, float(np.logaddexp(*scores))) for prefix, scores in beam.items()]
