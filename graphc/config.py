"""Process-wide settings: the number of threads that compiled programs run on.

Where none is set, up to as many as cores: fewer where these turn out to be faster (pace.py)."""

from __future__ import annotations

import os

VARIABLE = "GRAPHC_NUM_THREADS"
_chosen: int | None = None


def set_num_threads(count: int | None) -> None:
    """Sets how many threads programs run on; None goes back to the default: the cores that this
    process may use, or fewer while that is faster, as on a machine that is busy with other work.

    Results do not depend on it: the same seed gives the same bits on any number of threads.

    Raises:
        ValueError: for a count below 1.
    """
    global _chosen  # noqa: PLW0603
    whole = isinstance(count, int) and not isinstance(count, bool)
    if count is not None and (not whole or count < 1):
        raise ValueError(f"set_num_threads: expected an int of at least 1, got {count!r}")
    _chosen = count


def threads_are_given() -> bool:
    """Whether the number of threads was set, here or in the environment."""
    return _chosen is not None or bool(os.environ.get(VARIABLE, ""))


def num_threads() -> int:
    """The number of threads: as set, else GRAPHC_NUM_THREADS, else the cores this process may use.

    Raises:
        ValueError: when GRAPHC_NUM_THREADS is not an int of at least 1.
    """
    if _chosen is not None:
        return _chosen
    given = os.environ.get(VARIABLE, "")
    if given:
        if not given.isdecimal() or int(given) < 1:
            raise ValueError(f"{VARIABLE}={given!r}: expected an int of at least 1")
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
