"""compile(memory=...): the same bits in less memory, as much as was planned, or an error before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest

from graphc import config, layers, models, utils
from graphc.codegen.interface import Program
from graphc.compiler import PLANS, Executable, plan

Array = np.ndarray
pytestmark = pytest.mark.usefixtures("many_threads")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    config.set_num_threads(2)
    yield
    config.set_num_threads(None)


def mlp() -> Any:
    hidden = [layers.Dense(20, activation="gelu") for _ in range(9)]
    return models.Sequential(
        [layers.Input((12,)), *hidden, layers.Dropout(0.3), layers.Dense(3, activation="softmax")]
    )


def cnn() -> Any:
    x = inputs = layers.Input((10, 10, 2))
    for filters in (4, 6, 6):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Dropout(0.2)(layers.MaxPooling2D(2)(x))
    y = layers.Conv2D(6, 3, padding="same", activation="tanh")(x)
    x = layers.AveragePooling2D(2)(layers.Add()([x, y]))
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
    return models.Model(inputs, outputs)


def lstm() -> Any:
    return models.Sequential(
        [
            layers.Input((7, 5)),
            layers.Dense(9, activation="selu"),
            layers.LSTM(6, return_sequences=True),
            layers.LayerNormalization(),
            layers.LSTM(4),
            layers.Dense(3, activation="softmax"),
        ]
    )


def transformer() -> Any:
    x = inputs = layers.Input((6, 8))
    y = layers.MultiHeadAttention(num_heads=2, key_dim=4, dropout=0.1)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    y = layers.Dense(8)(layers.Dense(16, activation="gelu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, layers.Dropout(0.1)(y)]))
    x = layers.GlobalAveragePooling1D()(x)
    return models.Model(inputs, layers.Dense(3, activation="softmax")(x))


MODELS: dict[str, Callable[[], Any]] = {
    "mlp": mlp, "cnn": cnn, "lstm": lstm, "transformer": transformer
}  # fmt: skip


def built(name: str, memory: Any = "fast") -> Any:
    utils.set_random_seed(5)
    model = MODELS[name]()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], memory=memory)
    return model


def data(model: Any, rows: int) -> tuple[Array, Array]:
    random = np.random.default_rng(2)
    shape = (rows, *model.inputs[0].shape[1:])
    return random.normal(size=shape).astype(np.float32), random.integers(0, 3, rows)


def trained(name: str, memory: Any, batch: int = 24) -> tuple[Any, list[Array]]:
    """A model after some steps, the last one smaller; its weights, losses and metrics."""
    model = built(name, memory)
    x, y = data(model, 2 * batch + 5)
    history = model.fit(x, y, batch_size=batch, epochs=2, verbose=0).history
    return model, [*model.get_weights(), *map(np.array, history.values())]


def program(model: Any) -> Executable:
    (found,) = (p for kind, p in model.compiled_programs() if kind == "train")
    return found


@cache
def planned(name: str) -> dict[str, Program]:
    """A model's training program by plan, without code."""
    model = built(name)
    checked = model.checked("fit", *data(model, 53), None)
    types, trainable = checked.types("rows"), tuple(model.trainable_weights)
    return {p: plan(*model.traced("train", types, trainable), p) for p in PLANS}


def needs(name: str, batch: int, rows: int) -> dict[str, int]:
    """Bytes of a step by plan."""
    sizes = {"batch": batch, "rows": rows}
    threads = config.num_threads()
    return {p: program.arena_bytes(threads, sizes) for p, program in planned(name).items()}


@pytest.mark.parametrize("name", MODELS)
def test_plans_train_to_the_same_bits(name: str) -> None:
    _, wanted = trained(name, "fast")
    for count, memory in ((3, "small"), (1, min(needs(name, 24, 53).values()))):
        config.set_num_threads(count)
        _, found = trained(name, memory)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("memory", ["fast", "small"])
@pytest.mark.parametrize("name", MODELS)
def test_what_is_planned_is_allocated(name: str, memory: str) -> None:
    model = built(name, memory)
    for batch in (9, 40):
        rows = 2 * batch + 5
        model.fit(*data(model, rows), batch_size=batch, verbose=0)
        found = program(model)
        assert found.memory == memory
        assert found._arena.nbytes == needs(name, batch, rows)[memory]
        text: list[str] = []
        model.explain(text.append)
        assert f"planned peak with {batch} rows: {found._arena.nbytes:,} bytes" in text[0]
        assert f"plan {memory!r}" in text[0]


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_bytes_choose_the_fastest_plan_within_them(name: str) -> None:
    needed = needs(name, 24, 53)
    assert needed["small"] < needed["fast"]
    for most in needed.values():
        wanted = next(plan for plan in PLANS if needed[plan] <= most)
        model, _ = trained(name, most)
        assert program(model).memory == wanted
        assert program(model)._arena.nbytes == needed[wanted]


def test_less_than_any_plan_takes_is_an_error_before_anything_runs() -> None:
    least = min(needs("mlp", 24, 53).values())
    model = built("mlp", least - 1)
    before = [w.copy() for w in model.get_weights()]
    x, y = data(model, 53)
    said = rf"memory={least - 1}\): a training step of 24 rows takes at least {least} bytes"
    with pytest.raises(ValueError, match=said + ".* smaller batch_size .*memory=" + str(least)):
        model.fit(x, y, batch_size=24, verbose=0)
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(x, y, batch_size=8, verbose=0)  # smaller batches have room


def test_each_batch_size_has_the_plan_that_it_has_room_for() -> None:
    model = built("mlp", needs("mlp", 24, 24)["small"])
    x, y = data(model, 48)
    batches = [(x[:24], y[:24]), (x[:3], y[:3]), (x[24:], y[24:])]
    model.fit(iter(batches), steps_per_epoch=3, verbose=0)
    plans = [p.memory for kind, p in model.compiled_programs() if kind == "train"]
    assert plans == ["small", "fast"]
    model.train_on_batch(x[:3], y[:3])
    assert len(model.compiled_programs()) == 2


def test_layers_that_are_added_are_planned_with_the_others() -> None:
    model = models.Sequential([layers.Input((4,)), layers.Dense(3)])
    model.compile("sgd", "mse", memory=1_000_000)
    x, y = np.zeros((48, 4), np.float32), np.zeros((48, 3), np.float32)
    model.fit(x, y, batch_size=48, verbose=0)
    wide = (layers.Reshape((3, 1)), layers.UpSampling1D(5000), layers.Activation("exponential"))
    for layer in (*wide, layers.MaxPooling1D(5000), layers.Flatten()):
        model.add(layer)
    with pytest.raises(ValueError, match="takes at least"):
        model.fit(x, y, batch_size=48, verbose=0)


def test_rows_that_stateful_layers_fix_are_planned_for() -> None:
    model = models.Sequential(
        [layers.Input((7, 5), batch_size=16), layers.LSTM(6, stateful=True), layers.Dense(3)]
    )
    model.compile("adam", "mse", memory=1)
    random = np.random.default_rng(2)
    x, y = (random.random(shape, np.float32) for shape in ((32, 7, 5), (32, 3)))
    with pytest.raises(ValueError, match="a training step of 16 rows takes at least") as error:
        model.fit(x, y, verbose=0)
    least = int(str(error.value).partition("at least ")[2].split()[0])
    model.compile("adam", "mse", memory=least)
    model.fit(x, y, verbose=0)
    assert program(model)._arena.nbytes == least


@pytest.mark.parametrize("memory", ["large", "segments", 0, -5, True, 1.5, None])
def test_other_memory_is_an_error(memory: Any) -> None:
    with pytest.raises(ValueError, match=r"memory must be 'fast', 'small' or .* bytes.*got"):
        built("mlp", memory)


def test_integers_of_numpy_are_bytes() -> None:
    model = built("mlp", np.int64(1) << 30)
    x, y = data(model, 8)
    model.fit(x, y, verbose=0)
    assert program(model).memory == "fast"


def test_compiling_again_without_it_is_fast() -> None:
    model, _ = trained("mlp", "small")
    model.compile("adam", "sparse_categorical_crossentropy")
    x, y = data(model, 8)
    model.fit(x, y, verbose=0)
    assert program(model).memory == "fast"


def test_it_is_not_part_of_files(tmp_path: Any) -> None:
    """Keras's compile does not know it; and it is about the machine, not about the model."""
    model, _ = trained("mlp", "small")
    assert "memory" not in model.get_compile_config()
    model.save(tmp_path / "m.keras")
    loaded = models.load_model(tmp_path / "m.keras")
    x, y = data(model, 8)
    loaded.fit(x, y, verbose=0)
    assert program(loaded).memory == "fast"


def test_what_is_made_again_shares_code_with_the_first() -> None:
    model, _ = trained("mlp", needs("mlp", 24, 53)["segments"])
    found = program(model)
    functions: dict[bool, set[str]] = {False: set(), True: set()}
    for node in found.graph.nodes():
        if node.attrs.get("kind") == "contraction":
            functions["again" in node.attrs].add(found.code.generated.functions[node.name])
    assert functions[True] & functions[False]


def test_profile_is_of_the_plan() -> None:
    model = built("mlp", "small")
    x, y = data(model, 64)
    measured = {row.name for row in model.profile(x, y, steps=2).rows}
    small, fast = (
        {n.name for n in program(trained("mlp", memory)[0]).graph.nodes() if n.op == "fused"}
        for memory in ("small", "fast")
    )
    assert small <= measured and not small <= fast


def test_dumps_show_what_is_kept_and_made_again() -> None:
    model, _ = trained("mlp", "small")
    text = model.dump("recompute")
    assert 'kept="the backward pass is computed from it"' in text
    assert 'again="reader"' in text and ":backward" in text
