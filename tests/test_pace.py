"""The choice of how many threads run a program's steps."""

import numpy as np
import pytest

from graphc import config, layers, models
from graphc.pace import SHARE, Pace

STEPS = 100


def run(pace: Pace, seconds: dict[int, float], total: float) -> dict[int, float]:
    """Seconds spent with each number of threads, where a step takes so long with it."""
    spent = dict.fromkeys(seconds, 0.0)
    while sum(spent.values()) < total:
        left = STEPS
        while left:
            threads, steps = pace.part(left)
            took = steps * seconds[threads]
            pace.note(steps, took)
            spent[threads] += took
            left -= steps
    return spent


def test_all_threads_run_while_that_is_fastest() -> None:
    spent = run(Pace(2), {2: 0.001, 1: 0.002}, 20.0)
    assert spent[1] / sum(spent.values()) < SHARE


@pytest.mark.parametrize("most", [2, 3, 8])
def test_one_thread_runs_when_others_hold_it_up(most: int) -> None:
    counts = Pace(most).counts
    assert counts[0] == most and counts[-1] == 1
    spent = run(Pace(most), {count: 0.001 * count for count in counts}, 100.0)
    assert spent[1] / sum(spent.values()) > 1 - 2 * SHARE - 0.02


def test_the_choice_follows_the_machine() -> None:
    pace = Pace(2)
    quiet, busy = {2: 0.001, 1: 0.0019}, {2: 0.006, 1: 0.0025}
    run(pace, quiet, 5.0)
    assert pace.counts[pace.at] == 2
    run(pace, busy, 5.0)
    assert pace.counts[pace.at] == 1
    run(pace, quiet, 5.0)
    assert pace.counts[pace.at] == 2


def test_being_held_up_once_does_not_matter() -> None:
    """The first time that all threads are judged they take three times as long."""
    pace = Pace(2)
    run(pace, {2: 0.003, 1: 0.002}, 0.5)
    assert pace.seconds == {0: pytest.approx(0.003)}
    spent = run(pace, {2: 0.001, 1: 0.002}, 0.2)
    assert pace.counts[pace.at] == 2 and spent[1] < 0.02


def test_steps_that_are_long_are_tried_seldom() -> None:
    spent = run(Pace(2), {2: 0.5, 1: 1.0}, 100.0)
    assert spent[1] <= 100 * SHARE + 1


def test_a_given_number_is_kept(monkeypatch: pytest.MonkeyPatch, many_threads: None) -> None:
    monkeypatch.delenv(config.VARIABLE, raising=False)
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    x = np.ones((64, 3), np.float32)
    model.fit(x, x[:, :2], batch_size=1, verbose=0)
    program = next(iter(model._programs.values()))
    parts = [threads for _, _, threads in program.parts(64, 1)]
    assert set(parts) <= set(Pace(config.num_threads()).counts)
    config.set_num_threads(3)
    try:
        assert list(program.parts(64, 1)) == [(0, 64, 3)]
    finally:
        config.set_num_threads(None)
