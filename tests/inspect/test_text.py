"""Dumps of stages, of one layer's part, of what changed; the command line; GRAPHC_DUMP."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphc import compiler, layers, models, stages, utils
from graphc.__main__ import main
from graphc.ir.text import parse, to_text

GRAPH = """graph g {
  %x = input() {role="data"} : f32[batch, 4]
  %w = input() {role="state"} : f32[4, 3]
  %z = matmul(%x, %w) {transpose_a=false, transpose_b=false} : f32[batch, 3]  @dense:forward
  %y = exp(%z) : f32[batch, 3]  @act:forward
  return y=%y
}
"""


def tiny() -> models.Sequential:
    utils.set_random_seed(0)
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(3, "relu", name="hidden"), layers.Dense(2, name="last")]
    )
    model.compile("sgd", "mse")
    return model


@pytest.fixture(scope="module")
def model() -> models.Sequential:
    return tiny()


def test_every_stage_has_a_text_and_graphs_parse_back(model: models.Sequential) -> None:
    ((_, program),) = [("train", model.program("train", _data()))]
    assert list(program.stages) == STAGES
    for stage in program.stages.values():
        text = model.dump(stage.name)
        assert text == stage.text() and stage.seconds >= 0
        if stage.graph is not None:
            assert to_text(parse(text)) == text
    assert "arena[" in model.dump("memory") and "arena[" not in model.dump("schedule")
    assert model.dump("llvm") != model.dump("llvm-opt")


def _data() -> object:
    from graphc.data import Data  # noqa: PLC0415

    return Data([np.zeros((1, 4), np.float32)], [np.zeros((1, 2), np.float32)])


def test_only_shows_one_layers_nodes(model: models.Sequential) -> None:
    text = model.dump("update", only="hidden")
    for phase in ("forward", "backward", "update"):
        assert f"// hidden, {phase}:" in text and f"@hidden:{phase}" in text
    assert "@last" not in text and "@loss" not in text


def test_a_cells_update_belongs_to_its_layer() -> None:
    model = models.Sequential([layers.Input((3, 2)), layers.SimpleRNN(2, name="rnn")])
    model.compile("sgd", "mse")
    (update,) = re.findall(r"// rnn, update: (\d+) nodes", model.dump("simplify", only="rnn"))
    assert int(update) >= 6  # of three weights


@pytest.mark.parametrize("stage", ["llvm", "llvm-opt", "asm"])
def test_only_shows_one_layers_functions(model: models.Sequential, stage: str) -> None:
    part, whole = model.dump(stage, only="last"), model.dump(stage)
    assert "contraction." in part and "graphc_run" in whole and "worker(" not in part
    for function in part.split("\n\n"):
        assert function.strip() in whole


def test_diff_names_nodes_alike(model: models.Sequential) -> None:
    lines = model.diff("update", "simplify").splitlines()
    assert lines[:2] == ["--- update", "+++ simplify"]
    forward = [x for x in lines if x[0] in "+-" and "matmul" in x and "hidden:forward" in x]
    assert not forward  # renumbered, not changed
    assert any(line.startswith("-") and "hidden:backward" in line for line in lines)
    assert model.diff("memory", "memory") == ""


def test_unknown_names_suggest_the_nearest(model: models.Sequential) -> None:
    with pytest.raises(ValueError, match=r"Unknown stage 'fused'\. Did you mean 'fuse'"):
        model.dump("fused")
    with pytest.raises(ValueError, match=r"Unknown layer 'hiden'\. Did you mean 'hidden'"):
        model.dump("fuse", only="hiden")
    with pytest.raises(ValueError, match=r"Unknown program 'training'\. Did you mean 'train'"):
        model.dump("fuse", "training")


def test_dumping_everything_changes_no_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(0).random((8, 4), np.float32)
    weights = []
    for destination in ("", str(tmp_path), "-"):
        monkeypatch.setenv(stages.VARIABLE, destination)
        model = tiny()
        model.fit(x, x[:, :2], epochs=2, batch_size=4, verbose=0, shuffle=False)
        weights.append([w.tobytes() for w in model.get_weights()])
    assert weights[0] == weights[1] == weights[2]
    (folder,) = tmp_path.iterdir()
    files = sorted(path.name for path in folder.iterdir())
    assert files[0] == "00-traced.txt" and files[-1] == "10-asm.s" and len(files) == 11
    assert capsys.readouterr().out.count("-train: ") == 11


STAGES = [
    "traced", "forward", "gradient", "update", "simplify", "fuse", "schedule", "memory", "llvm",
    "llvm-opt", "asm",
]  # fmt: skip


@pytest.mark.parametrize("fails", ["gradient", "fuse", "memory", "llvm", "llvm-opt"])
def test_what_there_is_is_dumped_when_a_stage_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("as a bug would")

    place = {
        "gradient": (compiler, "gradient"), "fuse": (compiler, "fuse"),
        "memory": (compiler, "plan_memory"), "llvm": (stages, "generate"),
        "llvm-opt": (compiler.jit, "load_graph"),
    }  # fmt: skip
    monkeypatch.setattr(*place[fails], fail)
    monkeypatch.setenv(stages.VARIABLE, str(tmp_path))
    with pytest.raises(RuntimeError, match="as a bug would"):
        tiny().program("train", _data())
    (folder,) = tmp_path.iterdir()
    written = [path.stem.partition("-")[2] for path in sorted(folder.iterdir())]
    assert written == STAGES[: STAGES.index(fails)]


def test_dump_and_opt_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "m.py", tmp_path / "out.txt"
    source.write_text(
        "from graphc import layers, models\n"
        "model = models.Sequential([layers.Input((4,)), layers.Dense(3, name='only')])\n"
    )
    name = f"{source}:model"
    assert (
        main(["dump", name, "--program", "predict", "--stage", "simplify", "-o", str(output)]) == 0
    )
    assert main(["opt", str(output), "--passes", "fuse,schedule,memory"]) == 0
    fused = capsys.readouterr().out
    assert main(["dump", name, "--program", "predict", "--stage", "memory"]) == 0
    assert capsys.readouterr().out == fused
    assert main(["dump", name, "--program", "predict", "--diff", "schedule", "memory"]) == 0
    assert '+  %x/0 = input() {role="data", place="argument x/0"}' in capsys.readouterr().out
    assert main(["dump", name, "--program", "predict", "--only", "lonely"]) == 2
    assert "Unknown layer 'lonely'" in capsys.readouterr().err


def test_a_saved_model_on_the_command_line(
    tmp_path: Path, model: models.Sequential, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.keras"
    model.save(path)
    assert main(["dump", str(path), "--stage", "fuse"]) == 0
    assert _without_lines(capsys.readouterr().out) == _without_lines(model.dump("fuse"))
    assert main(["explain", str(path)]) == 0
    assert capsys.readouterr().out.startswith("sequential")
    assert main(["profile", str(path), "--steps", "2", "--batch-size", "4"]) == 0
    assert "hidden" in capsys.readouterr().out
    page = tmp_path / "page.html"
    assert main(["explore", str(path), "-o", str(page)]) == 0
    assert "hidden" in page.read_text()


def _without_lines(text: str) -> str:
    """The text of a graph without the lines of Python that made it."""
    return re.sub(r'  "[^"]*:\d+"', "", text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no.keras", "load_model: no file no.keras"),
        ("m.h5", "load_model: m.h5 is not a whole HDF5 file"),
        ("m.txt", "expected the file of a saved model (.keras, .h5, .hdf5), file.py:name or"),
        ("no.py:model", "MODEL 'no.py:model': no file no.py"),
        ("json:dump", "MODEL 'json:dump': calling it failed: dump() missing"),
    ],
)
def test_errors_of_models_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("m.h5").write_bytes(b"no HDF5")
    assert main(["dump", name]) == 2
    error = capsys.readouterr().err
    assert error.startswith("graphc: ") and message in error


def test_readers_may_stop_reading(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text(GRAPH)
    command = [sys.executable, "-m", "graphc", "opt", str(tmp_path / "g.txt"), "--passes", "fuse"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("options", [[], ["--compiled"]], ids=["interpreted", "compiled"])
def test_run_on_the_command_line(tmp_path: Path, options: list[str]) -> None:
    random = np.random.default_rng(0)
    x, w = random.random((2, 4), np.float32), random.random((4, 3), np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "weights.npy", w)
    (tmp_path / "g.txt").write_text(GRAPH)
    feeds = ["--feed", str(tmp_path / "x.npy"), "--feed", f"w={tmp_path / 'weights.npy'}"]
    result = tmp_path / "y.npz"
    assert main(["run", str(tmp_path / "g.txt"), *feeds, *options, "-o", str(result)]) == 0
    np.testing.assert_allclose(np.load(result)["y"], np.exp(x @ w), 1e-5)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["run"], "input %x: f32[batch, 4] is not fed"),
        (["run", "--feed", "x=w.npy", "--feed", "w.npy"], "input %x: expected shape [batch, 4]"),
        (["run", "--feed", "x=x.npy", "--feed", "w.npy", "--feed", "v=w.npy"], "Unknown input 'v'"),
        (["opt", "--passes", "simplfy"], "Unknown pass 'simplfy'. Did you mean 'simplify'"),
        (["opt", "--passes", "gradient", "--loss", "x"], "Unknown output 'x'"),
        (["opt", "--passes", "gradient"], "output 'y': a loss must be a float scalar"),
    ],
)
def test_errors_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    command: list[str], message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("g.txt").write_text(GRAPH)
    np.save("x.npy", np.ones((2, 4), np.float32))
    np.save("w.npy", np.ones((4, 3), np.float32))
    assert main([command[0], "g.txt", *command[1:]]) == 2
    error = capsys.readouterr().err
    assert error.startswith("graphc: ") and message in error
