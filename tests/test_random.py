"""Seeds, and draws of arrays."""

import random as python_random
import runpy

import numpy as np
import pytest

import graphc.random
from graphc.random import draw_truncated_normal, draw_uniform, next_seed, set_random_seed


def test_the_sequence_is_a_function_of_the_seed() -> None:
    set_random_seed(7)
    first = [next_seed() for _ in range(5)]
    set_random_seed(7)
    python_random.random()  # other generators do not shift it
    np.random.rand()
    assert [next_seed() for _ in range(5)] == first
    assert len(set(first)) == 5
    assert all(0 <= seed < 2**31 for seed in first)
    set_random_seed(8)
    assert next_seed() != first[0]


def test_python_and_numpy_are_seeded_too() -> None:
    set_random_seed(7)
    first = python_random.random(), np.random.rand()
    set_random_seed(7)
    assert (python_random.random(), np.random.rand()) == first


def test_unseeded_processes_differ() -> None:
    assert graphc.random.__file__ is not None
    first, second = (runpy.run_path(graphc.random.__file__)["next_seed"]() for _ in range(2))
    assert first != second


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, None, "1"])
def test_bad_seeds_are_rejected(seed: object) -> None:
    with pytest.raises(ValueError, match="`seed`: expected an int"):
        set_random_seed(seed)  # type: ignore[arg-type]


def test_draws_have_the_dtype_asked_for() -> None:
    for dtype in ("float16", "float32", "float64"):
        assert draw_uniform(1, (3,), dtype, 2.0, 3.0).dtype == dtype
        assert draw_truncated_normal(1, (), dtype, 0.0, 1.0).shape == ()
    with pytest.raises(ValueError, match="`dtype`: expected a floating-point dtype"):
        draw_uniform(1, (3,), "int32", 0.0, 1.0)
