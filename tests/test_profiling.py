"""model.profile and graphc profile: kernels' times, flops, bytes, layers; nothing else changes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import layers, models, optimizers, utils
from graphc.__main__ import main
from graphc.data import Data
from graphc.execution import Run
from graphc.profiling import compile_profiled

BATCH, INPUTS, HIDDEN, OUTPUTS = 8, 4, 5, 3
RANDOM = np.random.default_rng(3)
X = RANDOM.normal(size=(3 * BATCH + 1, INPUTS)).astype(np.float32)
Y = RANDOM.normal(size=(3 * BATCH + 1, OUTPUTS)).astype(np.float32)


def dense_model() -> Any:
    utils.set_random_seed(1)
    model = models.Sequential(
        [
            layers.Input((INPUTS,)),
            layers.Dense(HIDDEN, activation="relu", name="hidden"),
            layers.Dense(OUTPUTS, name="last"),
        ],
        name="small",
    )
    model.compile(optimizer=optimizers.Adam(0.01), loss="mse")
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return dense_model()


@pytest.fixture(scope="module")
def profile(model: Any) -> Any:
    return model.profile(X, Y, batch_size=BATCH, steps=7)


def test_flops_are_those_of_the_products(profile: Any) -> None:
    hidden, last = 2 * BATCH * INPUTS * HIDDEN, 2 * BATCH * HIDDEN * OUTPUTS
    # Forward, the kernels' gradients, and the gradient of the second layer's input.
    counted = sorted(row.flops for row in profile.rows if row.flops)
    assert counted == sorted([hidden, hidden, last, last, last])
    assert profile.flops == 2 * hidden + 3 * last


def test_times_add_up_to_less_than_a_step(profile: Any) -> None:
    total = sum(row.seconds for row in profile.rows)
    assert 0 < total < profile.seconds
    assert all(row.seconds > 0 for row in profile.rows if row.flops)
    assert [row.seconds for row in profile.rows] == sorted(
        (row.seconds for row in profile.rows), reverse=True
    )
    assert (profile.steps, profile.batch, profile.program) == (7, BATCH, "train")


def test_rows_name_layers_and_phases(profile: Any) -> None:
    products = {(layer, row.phase) for row in profile.rows if row.flops for layer in row.layers}
    assert {("hidden", "forward"), ("loss", "forward+backward"), ("last", "backward+update")} <= (
        products
    )
    (forward,) = (r for r in profile.rows if r.layers == ("hidden",) and r.phase == "forward")
    assert forward.work.startswith(f"matmul {BATCH}x{INPUTS}, {INPUTS}x{HIDDEN}")
    operands = BATCH * INPUTS + INPUTS * HIDDEN + HIDDEN + BATCH * HIDDEN
    assert forward.bytes == 4 * operands and forward.calls == 1
    assert forward.gflops == pytest.approx(forward.flops / forward.seconds / 1e9)
    assert 0 < forward.share < 1


def test_gathering_moves_the_batch_and_not_all_rows(profile: Any) -> None:
    (gather,) = (r for r in profile.rows if r.work.startswith("gather ") and r.layers == ("data",))
    assert gather.bytes == 2 * 4 * BATCH * INPUTS + 8 * BATCH  # rows in and out, the index


def test_the_model_stays_as_it_is(model: Any, profile: Any) -> None:
    for a, b in zip(model.get_weights(), dense_model().get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.optimizer.iterations.value == 0


def test_the_same_bits_and_no_clock_in_the_ordinary_program() -> None:
    model = dense_model()
    data = Data([X], [Y])
    weights = tuple(model.trainable_weights)
    profiled = compile_profiled(*model.traced("train", data.types("rows"), weights))
    run = Run(profiled, data, np.arange(data.rows))
    run.go(0, run.steps(BATCH), BATCH)
    model.fit(X, Y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
    for weight in model.weights:
        np.testing.assert_array_equal(weight.value, profiled.variables[weight.name].value)
    assert "clock" in str(profiled.code.generated.module)
    assert "clock" not in model.dump("llvm")


def test_kernels_inside_scans_count_each_step() -> None:
    steps, units = 6, 4
    model = models.Sequential([layers.Input((steps, 2)), layers.SimpleRNN(units, name="rnn")])
    x = np.ones((3, steps, 2), np.float32)
    profile = model.profile(x, batch_size=3, steps=2, program="predict")
    (recurrent,) = (r for r in profile.rows if r.flops and "/" in r.name)
    assert recurrent.calls == steps
    assert recurrent.flops == steps * 2 * 3 * units * units
    assert any("rnn" in layer for layer in recurrent.layers)
    assert profile.program == "predict" and "rnn" in str(profile)


def test_errors_name_the_argument(model: Any) -> None:
    with pytest.raises(ValueError, match="'train'"):
        model.profile(X, Y, program="trian")
    with pytest.raises(ValueError, match="steps must be an int of at least 1, got 0"):
        model.profile(X, Y, steps=0)
    with pytest.raises(ValueError, match="batch_size must be"):
        model.profile(X, Y, batch_size=0)
    with pytest.raises(ValueError, match="targets are needed"):
        model.profile(X)


def test_command_line(tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "from graphc import layers, models\n"
        "model = models.Sequential([layers.Input((3,)), layers.Dense(2, name='only')])\n"
        "model.compile('sgd', 'mse')\n"
    )
    arguments = ["profile", f"{file}:model", "--batch-size", "4", "--steps", "3"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "ms a step of 4 rows" in text and "only" in text and "matmul 4x3, 3x2" in text
    assert main([*arguments[:2], "--batch-size", "0"]) == 2
    assert "--batch-size must be" in capsys.readouterr().err
