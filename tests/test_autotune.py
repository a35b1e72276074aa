"""compile(autotune=True): what is timed, what is chosen, and what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import autotune, layers, models
from graphc.codegen import alternatives, objects, trial
from graphc.codegen.target import detect
from graphc.compiler import Executable
from graphc.ir.text import parse, to_text

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.random((64, 20), np.float32), RANDOM.random((64, 40), np.float32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv(objects.VARIABLE, str(path))
    return path


@pytest.fixture
def timings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many plans were timed, kernel by kernel; the last is said to be fastest."""
    found: list[int] = []

    def fastest(runs: Sequence[trial.Timed]) -> tuple[int, float]:
        found.append(len(runs))
        return len(runs) - 1, 1.25

    monkeypatch.setattr(trial, "timed", lambda programs, *_: programs)
    monkeypatch.setattr(trial, "fastest", fastest)
    monkeypatch.setattr(autotune, "LEAST_FLOPS", 1)
    return found


def network(**options: Any) -> models.Sequential:
    model = models.Sequential(
        [
            layers.Input((20,)),
            layers.Dense(40, "tanh", name="first"),
            layers.Dense(40, "tanh", name="second"),
            layers.Dense(40, name="third"),
        ]
    )
    model.set_weights([np.full(w.shape, 0.01, "f4") + 0.1 * np.eye(*w.shape, dtype="f4")
                       if w.ndim > 1 else w for w in model.get_weights()])  # fmt: skip
    model.compile("adam", "mse", **options)
    return model


def fitted(**options: Any) -> models.Sequential:
    model = network(**options)
    model.fit(X, Y, batch_size=16, verbose=0, shuffle=False)
    return model


def program(model: models.Sequential) -> Executable:
    ((_, found),) = model.compiled_programs()
    return found


def test_without_it_nothing_is_timed(
    timings: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    model = fitted()
    assert timings == [] and program(model).tuned == []
    assert "autotune" not in program(model).stages and "plan=" not in model.dump("memory")
    model.explain()
    assert "kernels cut into other blocks" not in capsys.readouterr().out


def test_choices_are_annotations(timings: list[int]) -> None:
    model = fitted(autotune=True)
    tuned = program(model)
    text = model.dump("autotune")
    assert timings and len(tuned.tuned) == len(timings)
    for choice in tuned.tuned:
        assert choice.plan != choice.usual and f'plan="{choice.plan}"' in text
    assert to_text(parse(text)) == text
    plain = tuned.stages["memory"].graph
    assert plain is not None and "plan=" not in to_text(plain)
    keys = [objects.key_of(graph, detect()) for graph in (plain, tuned.graph)]
    assert keys[0] != keys[1]


def test_explain_says_what_was_tuned(
    timings: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    model = fitted(autotune=True)
    choice = program(model).tuned[0]
    model.explain()
    text = capsys.readouterr().out
    assert f"{choice.plan} rather than {choice.usual}: 1.25 times as fast" in text


def test_training_gives_the_same_bits(timings: list[int]) -> None:
    plain, tuned = fitted(), fitted(autotune=True)
    assert program(tuned).tuned
    for a, b in zip(plain.get_weights(), tuned.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()
    assert plain.predict(X).tobytes() == tuned.predict(X).tobytes()


def test_alike_kernels_are_timed_once(timings: list[int]) -> None:
    def deep(depth: int) -> int:
        timings.clear()
        hidden = [layers.Dense(40, "tanh") for _ in range(depth)]
        model = models.Sequential([layers.Input((40,)), *hidden])
        model.compile("adam", "mse", autotune=True)
        model.fit(Y, Y, batch_size=16, verbose=0)
        return len(timings)

    few, many = deep(4), deep(9)
    assert few > 0 == many  # what four layers found is remembered


def test_the_second_time_nothing_is_timed(timings: list[int]) -> None:
    first = program(fitted(autotune=True)).tuned
    timings.clear()
    assert program(fitted(autotune=True)).tuned == first != []
    assert timings == []


def test_other_batch_sizes_and_cpus_are_timed_anew(
    timings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted(autotune=True)
    count = len(timings)
    network(autotune=True).fit(X, Y, batch_size=32, verbose=0)
    assert len(timings) == 2 * count
    monkeypatch.setattr(autotune, "cpu_model", lambda: "another")
    fitted(autotune=True)
    assert len(timings) == 3 * count


@pytest.mark.parametrize("damage", ["cut", "not json", "a list", "a plan of another kernel"])
def test_damaged_entries_are_replaced(timings: list[int], folder: Path, damage: str) -> None:
    first = program(fitted(autotune=True)).tuned
    count = len(timings)
    for path in list(folder.iterdir()):
        if not path.read_bytes()[32:].startswith(b'["'):
            continue  # machine code
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-1])
        else:
            entry = {"not json": "?", "a list": "[]"}.get(damage, '["6x32 k7 chunk 1 group 9", 2]')
            objects.keep(path.name, entry.encode())
    assert program(fitted(autotune=True)).tuned == first
    assert len(timings) == 2 * count
    fitted(autotune=True)
    assert len(timings) == 2 * count


def test_without_a_folder_all_is_timed_each_time(
    timings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(objects.VARIABLE, "off")
    fitted(autotune=True)
    count = len(timings)
    fitted(autotune=True)
    assert len(timings) == 2 * count > 0


def test_when_time_is_up_kernels_keep_their_plans(
    timings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(autotune, "BUDGET_SECONDS", -1.0)
        assert program(fitted(autotune=True)).tuned == [] == timings
    fitted(autotune=True)  # goes on where time was up
    assert timings


def test_small_kernels_are_not_timed(timings: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autotune, "LEAST_FLOPS", 2 * 16 * 40 * 40)
    model = fitted(autotune=True)
    plans = {node.name for node in program(model).graph.nodes() if node.op == "fused"
             for inner in node.attrs["body"].nodes() if "plan" in inner.attrs}  # fmt: skip
    assert plans and "20, 40" not in "".join(
        str(inner.type) for node in program(model).graph.nodes() if node.name in plans
        for inner in node.attrs["body"].nodes()
    )  # fmt: skip


def test_kernels_in_loops_are_tuned(timings: list[int]) -> None:
    def model(autotune: bool) -> models.Sequential:
        made = models.Sequential([layers.Input((5, 20)), layers.LSTM(40, seed=1)])
        made.compile("adam", "mse", autotune=autotune)
        made.set_weights([0.1 * np.sin(np.arange(w.size)).reshape(w.shape)
                          for w in made.get_weights()])  # fmt: skip
        made.fit(np.stack([X] * 5, 1), Y, batch_size=16, verbose=0, shuffle=False)
        return made

    plain, tuned = model(False), model(True)
    assert any("scan" in choice.kernel for choice in program(tuned).tuned)
    bodies = [n.attrs["body"] for n in program(tuned).graph.nodes() if n.op == "scan"]
    assert any("plan=" in to_text(body) for body in bodies)
    for a, b in zip(plain.get_weights(), tuned.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_kernels_are_timed_in_earnest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the clock, a turn of one run each: whatever wins, the bits are the same."""
    monkeypatch.setattr(autotune, "LEAST_FLOPS", 1)
    monkeypatch.setattr(trial, "ROUNDS", 1)
    monkeypatch.setattr(trial, "TURN_SECONDS", 1e-9)
    monkeypatch.setattr(alternatives, "MOST", (1, 0, 0))
    plain, tuned = fitted(), fitted(autotune=True)
    for a, b in zip(plain.get_weights(), tuned.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("layer", [layers.LSTM(40), layers.GRU(33)])
def test_memory_stays_as_planned(timings: list[int], layer: layers.Layer) -> None:
    def needed(autotune: bool) -> int:
        model = models.Sequential([layers.Input((5, 20)), layer, layers.Dense(40)])
        model.compile("adam", "mse", memory=10**8, autotune=autotune)
        model.fit(np.stack([X] * 5, 1), Y, batch_size=16, verbose=0)
        code = program(model).code
        return code.program.arena_bytes(2, {"batch": 16, "rows": 64})

    assert needed(True) <= needed(False)
    assert timings


def test_profiles_are_of_the_tuned_program(timings: list[int]) -> None:
    model = network(autotune=True)
    model.profile(X, Y, batch_size=16, steps=1)
    count = len(timings)
    model.fit(X, Y, batch_size=16, verbose=0)
    assert len(timings) == count > 0


def test_programs_are_those_of_the_last_compile(timings: list[int]) -> None:
    model = network()
    before = model.predict(X, verbose=0)
    model.compile("adam", "mse", autotune=True)
    assert model.predict(X, verbose=0).tobytes() == before.tobytes()
    assert timings


@pytest.mark.parametrize("given", ["yes", 1, None])
def test_other_values_are_refused(given: object) -> None:
    with pytest.raises(ValueError, match=f"compile: autotune must be True or False, got {given!r}"):
        network(autotune=given)


def test_files_do_not_hold_it(tmp_path: Path) -> None:
    """Keras, which has no such argument, reads them."""
    model = network(autotune=True)
    assert "autotune" not in model.get_compile_config()
    model.save(tmp_path / "m.keras")
    assert models.load_model(tmp_path / "m.keras").compiled
