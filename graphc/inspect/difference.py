"""Unified diffs of long texts whose lines are mostly unique, as those of graphs are.

difflib alone takes minutes for ten thousand lines. Lines that stand once in each text are matched
first, as many as keep their order (the patience diff); difflib does what is left between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from difflib import Match, SequenceMatcher


def unified(
    first: Sequence[str], second: Sequence[str], before: str, after: str, context: int = 3
) -> str:
    """The unified diff of two texts' lines; "" when they are equal.

    Args:
        before, after: the texts' names.
        context: equal lines that are shown around what changed.
    """
    lines: list[str] = []
    for group in _Matcher(None, first, second, False).get_grouped_opcodes(context):
        low, high = group[0], group[-1]
        spans = (low[1] + 1, high[2] - low[1], low[3] + 1, high[4] - low[3])
        lines.append("@@ -{},{} +{},{} @@".format(*spans))
        for tag, i, i_end, j, j_end in group:
            if tag == "equal":
                lines += [f" {line}" for line in first[i:i_end]]
                continue
            lines += [f"-{line}" for line in first[i:i_end]]
            lines += [f"+{line}" for line in second[j:j_end]]
    head = [f"--- {before}", f"+++ {after}"] if lines else []
    return "".join(f"{line}\n" for line in head + lines)


class _Matcher(SequenceMatcher[str]):
    a: Sequence[str]
    b: Sequence[str]

    def get_matching_blocks(self) -> list[Match]:
        blocks: list[Match] = []
        i = j = 0
        end = (len(self.a), len(self.b))
        for at, to in [*_anchors(self.a, self.b), end]:
            between = SequenceMatcher(None, self.a[i:at], self.b[j:to], False)
            for match in between.get_matching_blocks()[:-1]:
                _append(blocks, i + match.a, j + match.b, match.size)
            if (at, to) != end:
                _append(blocks, at, to, 1)
            i, j = at + 1, to + 1
        return [*blocks, Match(*end, 0)]


def _append(blocks: list[Match], i: int, j: int, size: int) -> None:
    """Adds a block, as one with the last where that ends here."""
    if blocks and (blocks[-1].a + blocks[-1].size, blocks[-1].b + blocks[-1].size) == (i, j):
        last = blocks.pop()
        i, j, size = last.a, last.b, last.size + size
    blocks.append(Match(i, j, size))


def _anchors(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """(place in the first, in the second) of lines once in each: the longest rising sequence."""
    counts, places = Counter(first), {line: at for at, line in enumerate(second)}
    once = Counter(second)
    ends: list[int] = []  # by length: the smallest last place in the second
    tails: list[int] = []  # and which pair has it
    pairs: list[tuple[int, int, int]] = []  # (first, second, the pair before or -1)
    for at, line in enumerate(first):
        if counts[line] != 1 or once[line] != 1:
            continue
        to = places[line]
        length = bisect_left(ends, to)
        pairs.append((at, to, tails[length - 1] if length else -1))
        ends[length : length + 1] = [to]
        tails[length : length + 1] = [len(pairs) - 1]
    found = []
    last = tails[-1] if tails else -1
    while last >= 0:
        at, to, last = pairs[last]
        found.append((at, to))
    return found[::-1]
