"""Lookups, hashes and texts: in models, on data of all kinds, and what they refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import layers, models, optimizers, saving, utils

NUMBERS = np.random.default_rng(0).integers(-40, 40, (30, 4))
VOCABULARY = np.random.default_rng(1).permutation(np.arange(-30, 30, 2)).tolist()

# Options of IntegerLookup that compile.
COMPILED: list[dict[str, Any]] = [
    {},
    {"num_oov_indices": 3},
    {"mask_token": 1},
    {"mask_token": 1, "output_mode": "multi_hot"},
    {"num_oov_indices": 2, "output_mode": "count"},
    {"output_mode": "one_hot", "max_tokens": 50, "pad_to_max_tokens": True},
    {"output_mode": "tf_idf", "idf_weights": np.linspace(0.5, 2, 30)},
    {"invert": True},
    {"invert": True, "mask_token": 1, "oov_token": 77},
]


@pytest.mark.parametrize("options", COMPILED, ids=str)
def test_in_a_model_integers_are_looked_up_as_on_arrays(options: dict[str, Any]) -> None:
    layer = layers.IntegerLookup(vocabulary=VOCABULARY, **options)
    x = layers.Input((4,), dtype="int64")
    model = models.Model(x, layer(x))
    np.testing.assert_array_equal(model.predict(NUMBERS, batch_size=7, verbose=0), layer(NUMBERS))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 9])
def test_bisection_finds_all_and_nothing_else(size: int) -> None:
    layer = layers.IntegerLookup(vocabulary=list(range(0, 2 * size, 2)))
    x = layers.Input((1,), dtype="int32")
    found = models.Model(x, layer(x)).predict(np.arange(-1, 2 * size)[:, None], verbose=0)
    assert found.ravel().tolist() == [
        0,
        *(n // 2 + 1 if n % 2 == 0 else 0 for n in range(2 * size)),
    ]


def test_a_lookup_feeds_an_embedding() -> None:
    utils.set_random_seed(0)
    inputs = layers.Input((4,), dtype="int64")
    known = layers.IntegerLookup(vocabulary=VOCABULARY)
    h = layers.Embedding(known.vocabulary_size(), 3)(known(inputs))
    model = models.Model(inputs, layers.Dense(1)(layers.Flatten()(h)))
    model.compile(optimizers.Adam(0.03), "mse")
    y = (NUMBERS % 2 == 0).mean(1, keepdims=True)
    losses = model.fit(NUMBERS, y, epochs=60, verbose=0).history["loss"]
    assert losses[-1] < 0.1 * losses[0]


def test_words_and_back() -> None:
    words = np.array([["b", "a"], ["c", "b"], ["b", "zebra"]])
    there = layers.StringLookup()
    there.adapt(words[:2])
    assert there.get_vocabulary() == ["[UNK]", "b", "c", "a"]
    back = layers.StringLookup(vocabulary=there.get_vocabulary(), invert=True)
    assert back(there(words)).tolist() == [["b", "a"], ["c", "b"], ["b", "[UNK]"]]
    assert there("c") == 2 and there(["a", "b"]).tolist() == [3, 1]


def test_adapting_batch_by_batch() -> None:
    whole, parts = layers.IntegerLookup(max_tokens=20), layers.IntegerLookup(max_tokens=20)
    whole.adapt(NUMBERS)
    parts.adapt(NUMBERS[at : at + 4] for at in range(0, 30, 4))
    assert whole.get_vocabulary() == parts.get_vocabulary()
    first = layers.IntegerLookup()
    first.adapt((NUMBERS[at : at + 4] for at in range(0, 30, 4)), steps=2)
    assert set(first.get_vocabulary(False)) == set(NUMBERS[:8].ravel().tolist())


def test_adapting_again_changes_what_the_layer_gives() -> None:
    layer = layers.StringLookup(output_mode="multi_hot")
    layer.adapt(["a", "b"])
    assert layer(["a"]).shape == (3,)
    layer.adapt(["a", "b", "c"])
    assert layer(["a"]).tolist() == [0, 0, 0, 1]
    bins = layers.Discretization(num_bins=2)
    bins.adapt(np.arange(10.0))
    assert bins([1.0, 7.0]).tolist() == [0, 1]
    bins.adapt(np.arange(100.0))
    assert bins([1.0, 7.0]).tolist() == [0, 0]


def test_a_vocabulary_from_a_file(tmp_path: Any) -> None:
    path = tmp_path / "words.txt"
    path.write_text("one\ntwo\n")
    assert layers.StringLookup(vocabulary=str(path))(["two", "three"]).tolist() == [2, 0]


def test_a_function_splits_texts() -> None:
    layer = layers.TextVectorization(
        standardize=np.char.upper,
        split=lambda texts: [text.split(";") for text in texts],
    )
    layer.adapt(["a;b", "b"])
    assert layer.get_vocabulary() == ["", "[UNK]", "B", "A"]
    assert layer(["b;c;a"]).tolist() == [[2, 1, 3]]


def test_texts_train_a_model() -> None:
    utils.set_random_seed(0)
    texts = ["good film", "bad film", "a good one", "this is bad"] * 8
    prepare = layers.TextVectorization(output_mode="multi_hot")
    prepare.adapt(texts)
    model = models.Sequential([layers.Dense(1, activation="sigmoid")])
    model.compile(optimizers.Adam(0.1), "binary_crossentropy")
    x, y = prepare(texts), np.array([1, 0, 1, 0] * 8, np.float32)[:, None]
    model.fit(x, y, epochs=30, verbose=0)
    good, bad = model.predict(prepare(["good", "bad"]), verbose=0).ravel()
    assert good > 0.5 > bad


def test_numbers_become_bins_in_a_model() -> None:
    values = np.random.default_rng(2).normal(size=(40, 3)).astype(np.float32)
    layer = layers.Discretization(num_bins=5)
    layer.adapt(values)
    x = layers.Input((3,))
    found = models.Model(x, layer(x)).predict(values, batch_size=9, verbose=0)
    np.testing.assert_array_equal(found, np.digitize(values, np.float32(layer.bin_boundaries)))
    assert (np.bincount(found.ravel()) > 15).all()
    assert layer([np.nan]).tolist() == [4]  # behind all boundaries


def prepared() -> list[Any]:
    """Layers with what they took from data."""
    words = layers.StringLookup(output_mode="tf_idf")
    words.adapt([["a", "b"], ["b", "c"]])
    numbers = layers.IntegerLookup(mask_token=0)
    numbers.adapt(NUMBERS)
    texts = layers.TextVectorization(ngrams=2)
    texts.adapt(["a b c", "b c"])
    return [(words, [["b", "z"]]), (numbers, NUMBERS), (texts, ["b c d"])]


@pytest.mark.parametrize("at", range(3))
def test_configurations_hold_what_was_taken_from_data(at: int) -> None:
    layer, data = prepared()[at]
    again = saving.deserialize_keras_object(saving.serialize_keras_object(layer))
    np.testing.assert_array_equal(again(data), layer(data))


def test_a_saved_model_looks_up_the_same(tmp_path: Any) -> None:
    lookup, bins = layers.IntegerLookup(output_mode="tf_idf"), layers.Discretization(num_bins=3)
    lookup.adapt(NUMBERS)
    bins.adapt(NUMBERS)
    x = layers.Input((4,), dtype="int64")
    both = layers.Concatenate()([lookup(x), layers.Rescaling(1.0)(bins(x))])
    model = models.Model(x, layers.Dense(2)(both))
    model.save(tmp_path / "model.keras")
    again = models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        again.predict(NUMBERS, verbose=0), model.predict(NUMBERS, verbose=0)
    )


SYMBOLIC = layers.Input((2,), dtype="int32", name="symbolic")
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (layers.CategoryEncoding, "num_tokens must be an int of at least 1"),
    (lambda: layers.CategoryEncoding(3, "int"), "output_mode must be one of"),
    (lambda: layers.CategoryEncoding(3)(np.ones((2, 2)), count_weights=np.ones((2, 2))),
     "count_weights are for"),
    (layers.Discretization, "either bin_boundaries or num_bins"),
    (lambda: layers.Discretization([1.0]).adapt([1.0]), "nothing to adapt"),
    (lambda: layers.Discretization(num_bins=3)([1.0]), "call adapt"),
    (lambda: layers.Hashing(0), "num_bins must be an int of at least 1"),
    (lambda: layers.Hashing(3, salt="x"), "salt must be an int or two"),
    (lambda: layers.Hashing(3, dtype="float32"), "dtype must be 'int64' or 'int32'"),
    (lambda: layers.Hashing(3)(SYMBOLIC), "outside of models"),
    (lambda: layers.StringLookup()(["a"]), "has no vocabulary"),
    (lambda: layers.StringLookup(vocabulary=["a"])(SYMBOLIC), "works on strings"),
    (lambda: layers.StringLookup(vocabulary=["a", "b", "a"]), r"more than once: \['a'\]"),
    (lambda: layers.StringLookup(vocabulary=[]), "vocabulary is empty"),
    (lambda: layers.StringLookup(vocabulary="/nowhere/at/all"), "cannot be read"),
    (lambda: layers.StringLookup(vocabulary=["a", ""], mask_token=""), "has the mask_token ''"),
    (lambda: layers.StringLookup(2, vocabulary=["a", "b"]), "max_tokens is 2"),
    (lambda: layers.StringLookup(1), "max_tokens must be greater than 1"),
    (lambda: layers.StringLookup(pad_to_max_tokens=True), "needs max_tokens"),
    (lambda: layers.StringLookup(vocabulary=["a"]).adapt(["a"]), "nothing to adapt"),
    (lambda: layers.StringLookup(num_oov_indices=0, vocabulary=["a"])(["a", "b"]), r"\['b'\]"),
    (lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf"), "idf_weights go with"),
    (lambda: layers.StringLookup(vocabulary=["a"], output_mode="tf_idf", idf_weights=[1, 2, 3]),
     "idf_weights must be as many"),
    (lambda: layers.IntegerLookup(vocabulary=[1], num_oov_indices=0)(SYMBOLIC), "at least 1"),
    (lambda: layers.IntegerLookup(vocabulary=[1], salt=3), "salt goes with"),
    (lambda: layers.IntegerLookup(invert=True, output_mode="count"), "invert=True needs"),
    (lambda: layers.TextVectorization(standardize="upper"), "standardize must be one of"),
    (lambda: layers.TextVectorization(ngrams=0), "ngrams must be"),
    (lambda: layers.TextVectorization(output_mode="count", output_sequence_length=3), "goes with"),
    (lambda: layers.TextVectorization(vocabulary=["a"])([["a", "b"]]), r"texts \(batch,\)"),
    (lambda: layers.TextVectorization()(SYMBOLIC), "works on strings"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_what_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("kind", ["StringLookup", "TextVectorization"])
def test_a_configuration_reads_no_files(kind: str) -> None:
    config = saving.serialize_keras_object(getattr(layers, kind)(vocabulary=["a"]))
    config["config"]["vocabulary"] = __file__
    with pytest.raises(ValueError, match="not the path of a file"):
        saving.deserialize_keras_object(config)
