"""Vocabularies and other files of layers in `.keras` files, in Keras's layout."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import Damage, refused, zipped
from families import ASKED, texts

import graphc
from graphc import layers, models

REFERENCE = Path(__file__).parent.parent / "reference" / "files"
VOCABULARY = "assets/layers/integer_lookup/vocabulary.txt"
NUMBERS = np.array([[5, 5, 7], [7, 9, 5]])


def made(lookup: Any) -> Any:
    x = layers.Input((3,), dtype="int64")
    return models.Model(x, layers.Dense(2)(layers.Rescaling(1.0)(lookup(x))))


def adapted(**options: Any) -> Any:
    lookup = layers.IntegerLookup(**options)
    lookup.adapt(NUMBERS)
    return lookup


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def options_of(path: Path) -> dict[str, Any]:
    """The lookup's options in a file."""
    (config,) = (
        layer["config"]
        for layer in json.loads(members(path)["config.json"])["config"]["layers"]
        if layer["class_name"] == "IntegerLookup"
    )
    return dict(config)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"output_mode": "multi_hot"},
        {"output_mode": "tf_idf"},
        {"output_mode": "tf_idf", "max_tokens": 9, "pad_to_max_tokens": True},
        {"mask_token": 7, "num_oov_indices": 2},
        {"invert": True},
    ],
)
def test_a_vocabulary_comes_back(options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model = made(adapted(**options))
    model.save(path)
    assert members(path)[VOCABULARY].decode().splitlines() == [
        str(token) for token in model.layers[1].get_vocabulary()
    ]
    assert options_of(path)["vocabulary"] is None and options_of(path)["idf_weights"] is None
    loaded = models.load_model(path)
    x = np.array([[5, 9, 1], [0, 2, 7]])
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    loaded.load_weights(path)
    loaded.save(tmp_path / "again.keras")
    for name in (VOCABULARY, "model.weights.h5"):
        assert len(members(tmp_path / "again.keras")[name]) == len(members(path)[name])
    loaded.layers[1].adapt(NUMBERS[:1])  # as before it was saved
    assert loaded.layers[1].get_vocabulary(False)[:2] == (
        [5] if options.get("mask_token") else [5, 7]
    )


def test_a_given_vocabulary_stays_in_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    lookup = layers.IntegerLookup(vocabulary=[5, 7, 9])
    made(lookup).save(path)
    assert VOCABULARY not in members(path) and options_of(path)["vocabulary"] == [5, 7, 9]
    lookup.set_vocabulary([9, 5, 7])
    made(lookup).save(path)
    assert models.load_model(path).layers[1].get_vocabulary(False) == [9, 5, 7]


def test_words_of_a_layer_of_ones_own_come_back(tmp_path: Path) -> None:
    """Keras's file, and one made of it here."""
    with np.load(REFERENCE / "results.npz") as results:
        wanted = {name: results[f"texts/{name}"] for name in ("words", "letters")}
    kind = texts(graphc)
    model = models.load_model(REFERENCE / "texts.keras", {"Texts": kind})
    model.save(tmp_path / "m.keras")
    again = models.load_model(tmp_path / "m.keras", {"Texts": kind})
    for one in (model, again):
        for name, asked in zip(wanted, ASKED, strict=True):
            found = getattr(one.layers[1], name)(asked)
            np.testing.assert_allclose(found, wanted[name], rtol=1e-6)
    assert {name for name in members(tmp_path / "m.keras") if name.startswith("assets/")} == {
        name for name in members(REFERENCE / "texts.keras") if name.startswith("assets/")
    }


class Holder(layers.Layer):
    """A layer of one's own with words, and a file of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.words = layers.StringLookup()
        self.note = ""

    def call(self, inputs: Any) -> Any:
        return inputs

    def save_assets(self, dir_path: str) -> None:
        (Path(dir_path) / "notes").mkdir()
        (Path(dir_path) / "notes" / "note.txt").write_text(self.note)

    def load_assets(self, dir_path: str) -> None:
        self.note = (Path(dir_path) / "notes" / "note.txt").read_text()


def holding(words: list[str]) -> Any:
    x = layers.Input((3,))
    holder = Holder()
    holder.words.set_vocabulary(words)
    holder.note = "hello"
    return models.Model(x, holder(x))


def test_a_vocabulary_of_a_text_file_is_that_of_the_model(tmp_path: Path) -> None:
    """Whatever is in the text file when the model is loaded."""
    text, path = tmp_path / "words.txt", tmp_path / "m.keras"
    text.write_text("b\na\n")

    class Reader(layers.Layer):
        """Words from a text file."""

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.words = layers.StringLookup(vocabulary=str(text))

        def call(self, inputs: Any) -> Any:
            return inputs

    x = layers.Input((3,))
    models.Model(x, Reader()(x)).save(path)
    text.write_text("c\nd\ne\n")
    words = models.load_model(path, {"Reader": Reader}).layers[1].words
    assert words.get_vocabulary(False) == ["b", "a"]


def test_a_layer_of_ones_own_has_files_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    holding(["ü", "a b"]).save(path)
    assert {name for name in members(path) if name.startswith("assets/")} == {
        "assets/layers/holder/notes/note.txt", "assets/layers/holder/words/vocabulary.txt"
    }  # fmt: skip
    holder = models.load_model(path, {"Holder": Holder}).layers[1]
    assert holder.note == "hello" and holder.words.get_vocabulary() == ["[UNK]", "ü", "a b"]
    with zipfile.ZipFile(path, "a") as archive:  # as archives have folders that were packed again
        archive.mkdir("assets/layers")
    assert models.load_model(path, {"Holder": Holder}).layers[1].note == "hello"


@pytest.mark.parametrize("token", ["a\nb", "a\u2028b", "\ud800", ""])
def test_tokens_that_are_no_lines_stand_in_the_configuration(token: str, tmp_path: Path) -> None:
    """Keras loses them: its file has a line for each."""
    path = tmp_path / "m.keras"
    words = layers.StringLookup()
    words.set_vocabulary(["b", token])

    class Kept(layers.Layer):
        """Words among the arguments."""

        def __init__(self, words: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.words = words

        def call(self, inputs: Any) -> Any:
            return inputs

        def get_config(self) -> dict[str, Any]:
            words = graphc.saving.serialize_keras_object(self.words)
            return {**super().get_config(), "words": words}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            words = graphc.saving.deserialize_keras_object(config.pop("words"))
            return cls(words, **config)

    x = layers.Input((3,))
    models.Model(x, Kept(words)(x)).save(path)
    assert not any(name.startswith("assets/") for name in members(path))
    again = models.load_model(path, {"Kept": Kept}).layers[1].words
    assert again.get_vocabulary() == words.get_vocabulary()


def test_a_configuration_alone_has_no_vocabulary_to_work_with(tmp_path: Path) -> None:
    made(adapted(output_mode="count")).save(tmp_path / "m.keras")
    model = models.model_from_json(members(tmp_path / "m.keras")["config.json"].decode())
    with pytest.raises(ValueError, match="has no vocabulary"):
        model.predict(NUMBERS, verbose=0)
    with pytest.raises(ValueError, match="has no vocabulary"):
        model.save(tmp_path / "n.keras")
    assert not (tmp_path / "n.keras").exists()


# Damaged and hostile ones.


def content(data: bytes, name: str = VOCABULARY, method: int = 0) -> Damage:
    return zipped(lambda m: m.update({name: data}), method)


def option(name: str, value: Any) -> Damage:
    """Another option of the lookup."""

    def change(files: dict[str, bytes]) -> None:
        given = json.loads(files["config.json"])
        given["config"]["layers"][1]["config"][name] = value
        files["config.json"] = json.dumps(given).encode()

    return zipped(change)


def many(files: dict[str, bytes]) -> None:
    files.update({f"assets/{at}": b"x" for at in range(10_001)})


def large(files: dict[str, bytes]) -> None:
    files.update({f"assets/layers/integer_lookup/{at}": bytes(3 << 20) for at in range(9)})


PACKED = zipfile.ZIP_DEFLATED
DAMAGED: dict[str, tuple[Damage, str]] = {
    "missing": (zipped(lambda m: m.pop(VOCABULARY) and None), "vocabulary.txt is missing"),
    "empty": (content(b""), "has 1 terms, the configuration says 4"),
    "a term too few": (content(b"-1\n5\n7"), "has 3 terms, the configuration says 4"),
    "a term too many": (content(b"-1\n5\n7\n9\n8"), "has 5 terms, the configuration says 4"),
    "a term twice": (content(b"-1\n5\n7\n7"), "terms more than once"),
    "no integers": (content(b"-1\n5\n7\nx"), "invalid literal for int"),
    "an integer too large": (content(b"-1\n5\n7\n9223372036854775808"), "ints of 64 bits"),
    "an integer of a million digits": (content(b"-1\n5\n7\n" + b"9" * 1_000_000), "digits"),
    "no text": (content(b"\xff\xfe"), "vocabulary.txt is no text"),
    "in another encoding": (content("-1\n5\n7\n9".encode("utf-16")), "vocabulary.txt is no text"),
    "another name": (
        content(b"x", "assets/layers/integer_lookup/words.txt"), "'words.txt' is not vocabulary.txt"
    ),
    "of a layer that has none": (content(b"x", "assets/layers/dense/x"), "belongs to no layer"),
    "of no layer": (content(b"x", "assets/layers/lookup/vocabulary.txt"), "belongs to no layer"),
    "of the model": (content(b"x", "assets/vocabulary.txt"), "belongs to no layer"),
    "a way out": (content(b"x", "assets/../evil"), "'assets/../evil' is none of"),
    "a way out below": (
        content(b"x", "assets/layers/integer_lookup/../../../evil"), "evil' is none of"
    ),
    "a way out of Windows": (content(b"x", "assets/..\\evil"), "evil' is none of"),
    "a drive of Windows": (content(b"x", "assets/c:/evil"), "evil' is none of"),
    "from the root": (content(b"x", "assets//etc/evil"), "evil' is none of"),
    "beside": (content(b"x", "assets_/evil"), "evil' is none of"),
    "a name that is too long": (
        content(b"x", "assets/layers/integer_lookup/" + "x" * 500), "is damaged: .*too long"
    ),
    "a name of a page": (content(b"x", "assets/" + "x" * 5000), "has 5,007 characters"),
    "a file for a folder": (content(b"x", VOCABULARY + "/x"), "is damaged"),
    "a bomb": (content(bytes(40 << 20), method=PACKED), "would unpack to 41,943,040"),
    "a small bomb": (content(b"\n" * (4 << 20), method=PACKED), "has 1 terms"),
    "many small bombs": (zipped(large, PACKED), "assets take .* would unpack to 28,311,"),
    "many members": (zipped(many), "more than 10,000 members"),
    "a size that is none": (option("vocabulary_size", "4"), "must be None or an int of at least 1"),
    "a size of nothing": (option("vocabulary_size", -4), "must be None or an int of at least 1"),
    "a size of a terabyte": (option("vocabulary_size", 10**12), "elements"),
    "a path": (option("vocabulary", "/etc/passwd"), "not the path of a file"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damage(name: str, tmp_path: Path) -> None:
    damage, reason = DAMAGED[name]
    path = tmp_path / "x.keras"
    made(adapted(output_mode="tf_idf")).save(path)
    damage(path)
    refused(path, reason, lambda: models.load_model(path))
    assert list(tmp_path.iterdir()) == [path]
