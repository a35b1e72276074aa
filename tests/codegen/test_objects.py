"""The cache of compiled programs."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from graphs import build, stages

from graphc.codegen import jit, objects
from graphc.codegen.target import detect, known_targets
from graphc.ir.graph import Graph


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "cache"
    monkeypatch.setenv(objects.VARIABLE, str(path))
    yield path


def planned(rows: int = 3) -> Graph:
    return stages(build(lambda b, x: b.node("exp", x), f"f32[{rows}]"))["memory"]


def compute(graph: Graph) -> np.ndarray:
    """The program's result for 0, 1, 2 ..."""
    code = jit.load_graph(graph, detect())
    (name,) = (n.name for n in graph.inputs())
    size = graph[name].tensor.shape[0]
    assert isinstance(size, int)
    x, y = np.arange(size, dtype=np.float32), np.empty(size, np.float32)
    arena = jit.aligned_bytes(code.arena_bytes(1, 1, {}))
    code.run([x.ctypes.data, y.ctypes.data, arena.ctypes.data], [1, 1, 1, 1])
    return y


def test_the_second_time_nothing_is_generated(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compute(planned())
    (file,) = folder.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def refuse(*_: object) -> None:
        raise AssertionError("generated again")

    monkeypatch.setattr(jit, "generate", refuse)
    np.testing.assert_array_equal(compute(planned()), first)
    with pytest.raises(AssertionError, match="generated again"):
        compute(planned(4))


def test_code_can_be_seen_also_when_it_was_kept(folder: Path) -> None:
    new = jit.load_graph(planned(), detect())
    kept = jit.load_graph(planned(), detect())
    texts = [
        [jit.optimised(code.generated, code.target), jit.assembly(code.generated, code.target)]
        for code in (new, kept)
    ]
    assert texts[0] == texts[1] and all("graphc_run" in text for text in texts[0])
    assert new.seconds["llvm-opt"] > 0 == kept.seconds["llvm-opt"]


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "folder"])
def test_damaged_files_are_replaced(folder: Path, damage: str) -> None:
    expected = compute(planned())
    (file,) = folder.iterdir()
    good = file.read_bytes()
    if damage == "folder":
        file.unlink()
        file.mkdir()
    else:
        flipped = good[:-9] + bytes([good[-9] ^ 1]) + good[-8:]
        file.write_bytes(
            {"empty": b"", "cut": good[:-1], "flipped": flipped}.get(damage, b"x" * 99)
        )
    np.testing.assert_array_equal(compute(planned()), expected)
    assert damage == "folder" or file.read_bytes() == good
    assert not [f for f in folder.iterdir() if f.name.startswith(".")]


@pytest.mark.parametrize("problem", ["off", "writable", "file"])
def test_without_a_safe_folder_nothing_is_kept(
    folder: Path, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if problem == "off":
        monkeypatch.setenv(objects.VARIABLE, "off")
    elif problem == "writable":
        folder.mkdir()
        folder.chmod(0o777)
    else:
        folder.write_text("a file")
    np.testing.assert_allclose(compute(planned()), np.exp(np.arange(3)), rtol=1e-6)
    assert not folder.is_dir() or not list(folder.iterdir())


def test_the_least_recently_used_make_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MOST_BYTES", 4000)
    for at in range(3):
        objects.keep(f"key{at}", bytes(1200))
        os.utime(folder / f"key{at}", (at, at))
    assert objects.fetch("key0") == bytes(1200)  # now the newest
    objects.keep("key3", bytes(1200))
    assert sorted(file.name for file in folder.iterdir()) == ["key0", "key3"]


def test_files_may_vanish_while_place_is_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two processes keep and make place in one folder at the same time."""
    monkeypatch.setattr(objects, "MOST_BYTES", 4000)
    for at in range(3):
        objects.keep(f"key{at}", bytes(1200))
        os.utime(folder / f"key{at}", (at, at))
    found = Path.iterdir

    def vanishing(path: Path) -> Iterator[Path]:
        for entry in list(found(path)):
            if entry.name == "key1":
                entry.unlink()
            yield entry

    monkeypatch.setattr(Path, "iterdir", vanishing)
    objects.keep("key3", bytes(1200))
    objects.keep("key4", bytes(1200))
    monkeypatch.undo()
    assert sorted(file.name for file in folder.iterdir()) == ["key3", "key4"]


def test_keys_tell_programs_and_targets_apart() -> None:
    keys = {objects.key_of(planned(rows), t) for rows in (3, 4) for t in known_targets().values()}
    assert len(keys) == 2 * len(known_targets())


SCRIPT = """
from graphc import layers, models
from graphc.codegen import objects
from graphc.codegen.target import detect
from graphc.compiler import build
from graphc.inspect.programs import example
inputs = layers.Input((5, 3))
x = layers.Bidirectional(layers.GRU(4, return_sequences=True))(inputs)
model = models.Model(inputs, layers.Dense(2)(layers.LSTM(4)(x)))
model.compile("adam", "mse")
types = example(model, "train", "compile", 2).types("rows")
manager = build(*model.traced("train", types, model.trainable_weights))
print(objects.key_of(manager.records[-1].graph, detect()))
"""


def test_processes_agree_on_keys() -> None:
    keys = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        keys.add(done.stdout)
    assert len(keys) == 1
