"""Diffs: what they say turns the first text into the second."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.inspect.difference import unified

TEXTS = st.lists(st.sampled_from("abcdefgh"), max_size=14)


def patched(first: list[str], diff: str) -> list[str]:
    """The first text after the diff's changes, each checked to be where it says."""
    result: list[str] = []
    at = 0
    for line in diff.splitlines()[2:]:
        if line.startswith("@@"):
            start = int(line.split()[1].split(",")[0][1:]) - 1
            result, at = result + first[at:start], start
        elif line[0] == "+":
            result.append(line[1:])
        else:
            assert first[at] == line[1:]
            result += [line[1:]] if line[0] == " " else []
            at += 1
    return result + first[at:]


@settings(max_examples=200, deadline=None, derandomize=True)
@given(TEXTS, TEXTS, st.integers(0, 3))
def test_a_diff_turns_one_text_into_the_other(
    first: list[str], second: list[str], context: int
) -> None:
    diff = unified(first, second, "one", "two", context)
    assert patched(first, diff) == second
    assert bool(diff) == (first != second)


def test_lines_in_place_are_no_change() -> None:
    first = [f"line {n}" for n in range(9)]
    second = [*first[:4], "new", *first[5:]]
    assert unified(first, second, "one", "two", 1) == (
        "--- one\n+++ two\n@@ -4,3 +4,3 @@\n line 3\n-line 4\n+new\n line 5\n"
    )


def test_long_texts_take_no_time() -> None:
    first = [f"%{n} = add(%{n - 1}, %{n // 2})" for n in range(20_000)]
    second = [line for n, line in enumerate(first) if n % 7]
    start = time.perf_counter()
    diff = unified(first, second, "one", "two")
    assert time.perf_counter() - start < 5
    assert sum(line.startswith("-%") for line in diff.splitlines()) == len(first) - len(second)
