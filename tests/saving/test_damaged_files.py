"""Damaged and hostile files of models: each gets one clear error, soon."""

import tarfile
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from damage import (
    KERNEL,
    Damage,
    config,
    cut,
    flipped,
    folder,
    header,
    linked,
    made,
    refused,
    replaced,
    text,
    twice,
    zipped,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc import models

pytestmark = pytest.mark.usefixtures("low_limits")
REFERENCE = Path(__file__).parent.parent / "reference"


def dense(**options: Any) -> Damage:
    """Other options of the first Dense."""
    return config(lambda c: c["config"]["layers"][1]["config"].update(options))


def layer(**parts: Any) -> Damage:
    """Another layer in the place of the first Dense."""
    return config(lambda c: c["config"]["layers"][1].update(parts))


def inside(damage: Damage) -> Damage:
    """Damage of the weights in the zip."""

    def damaged(path: Path) -> None:
        inner = path.with_name("inner")

        def change(members: dict[str, bytes]) -> None:
            inner.write_bytes(members["model.weights.h5"])
            damage(inner)
            members["model.weights.h5"] = inner.read_bytes()

        zipped(change)(path)
        inner.unlink()

    return damaged


def flip_a_weight(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("model.weights.h5")
    flipped(info.header_offset + info.file_size // 2)(path)


def flip_a_letter(path: Path) -> None:
    flipped(path.read_bytes().index(b"Sequential"))(path)


def unknowns(given: Any) -> None:
    given["config"]["layers"][1]["class_name"] = "Dance"
    given["config"]["layers"][2]["config"]["kernel_initializer"]["class_name"] = "Glorious"


def overlapping(path: Path) -> None:
    """The second member stands where the first one does."""
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)


def doubling(depth: int) -> Any:
    """Models in models that each call the next one twice: 2 ** depth calls of the innermost."""

    def tensor(name: str, call: int) -> Any:
        place = {"shape": [None, 3], "dtype": "float32", "keras_history": [name, call, 0]}
        return {"class_name": "__keras_tensor__", "config": place}

    inner: Any = {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "level"}}
    for level in range(depth):
        start = {"name": "start", "batch_shape": [None, 3]}
        calls = [{"args": [tensor(name, 0)], "kwargs": {}} for name in ("start", "level")]
        parts = [
            {"module": "keras.layers", "class_name": "InputLayer", "config": start,
             "name": "start", "inbound_nodes": []},
            {**inner, "name": "level", "inbound_nodes": calls},
        ]  # fmt: skip
        ends = {
            "input_layers": [["start", 0, 0]],
            "output_layers": [["level", int(level > 0) + 1, 0]],
        }
        inner = {
            "module": "keras.models", "class_name": "Functional",
            "config": {"name": "level", "layers": parts, **ends},
        }  # fmt: skip
    return inner


def wrong_call(model: Any, place: list[Any]) -> Any:
    """The first call of the inner layer takes another tensor."""
    (argument,) = model["config"]["layers"][1]["inbound_nodes"][0]["args"]
    argument["config"]["keras_history"] = place
    return model


def function(module: str, name: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


TEXTS = {"class_name": "__numpy__", "config": {"value": ["x"] * 99, "dtype": "U99999999"}}
NESTED = b'{"class_name": "Sequential", "config": ' + b'{"layers": [' * 10_000
EVAL = {"module": "builtins", "class_name": "eval", "registered_name": None}
SYSTEM = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
LAMBDA = {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None}}
MODELS: dict[str, tuple[Damage, str]] = {
    "empty": (text(b""), "is not a whole zip"),
    "text": (text(b"model"), "is not a whole zip"),
    "half": (cut(6000), "is not a whole zip"),
    "the last bytes cut": (cut(-30), "is not a whole zip"),
    "a folder": (folder, "is a folder"),
    "absent": (Path.unlink, "no file"),
    "no config": (zipped(lambda m: m.pop("config.json")), "'config.json' is missing"),
    "no weights": (zipped(lambda m: m.pop("model.weights.h5")), "weights.h5' is missing"),
    "other weights": (zipped(lambda m: m.update({"model.weights.npz": b""})), "is none of"),
    "a way out": (zipped(lambda m: m.update({"../evil": b""})), "'../evil' is none of"),
    "from the root": (zipped(lambda m: m.update({"/etc/evil": b""})), "'/etc/evil' is none of"),
    "assets": (zipped(lambda m: m.update({"assets/x": b""})), "'assets/x' belongs to no layer"),
    "two configs": (twice("config.json"), "'config.json' is there twice"),
    "two weights": (twice("model.weights.h5"), "'model.weights.h5' is there twice"),
    "encrypted": (header(8, b"\1"), "'metadata.json' is encrypted"),
    "unknown packing": (header(10, b"\x63"), "is packed by method 99"),
    "lzma": (zipped(lambda m: None, zipfile.ZIP_LZMA), "is packed by method 14"),
    "a bomb": (
        zipped(lambda m: m.update({"config.json": bytes(40 << 20)}), zipfile.ZIP_DEFLATED),
        "would unpack to 41,943,040",
    ),
    "a bomb of weights": (
        zipped(lambda m: m.update({"model.weights.h5": bytes(40 << 20)}), zipfile.ZIP_DEFLATED),
        "'model.weights.h5' takes .* bytes and would unpack to 41,943,040",
    ),
    "a small bomb": (
        zipped(lambda m: m.update({"model.weights.h5": bytes(9 << 20)}), zipfile.ZIP_DEFLATED),
        "is not a whole HDF5 file",
    ),
    "another size": (header(24, b"\xff\xff\xff\x7f"), "would unpack to 2,147,483,647"),
    "a letter flipped": (flip_a_letter, "'config.json' is damaged: Bad CRC"),
    "a weight flipped": (flip_a_weight, "'model.weights.h5' is damaged"),
    "no JSON": (zipped(lambda m: m.update({"config.json": b"{"})), "config.json is no JSON"),
    "no text": (zipped(lambda m: m.update({"config.json": b"\xff\xfe"})), "is damaged: 'utf-8'"),
    "no config text": (zipped(lambda m: m.update({"config.json": b""})), "config.json is no JSON"),
    "a list": (config(lambda c: [c]), "describes no model"),
    "a number": (config(lambda c: 7), "describes no model"),
    "nothing": (config(lambda c: {}), "describes a dict|describes no model"),
    "lists in lists": (
        zipped(lambda m: m.update({"config.json": b"[" * 10_000})), "is nested too deep"
    ),
    "dicts in dicts": (zipped(lambda m: m.update({"config.json": NESTED})), "is nested too deep"),
    "models in models": (
        config(lambda c: nest(c, 300)), "may have 200 levels, this one has more|nested too deep"
    ),
    "a number of a million digits": (
        zipped(lambda m: m.update({"config.json": b"1" * 1_000_000})), "digits"
    ),
    "a layer": (config(lambda c: c["config"]["layers"][1]), "a Dense, which is no model"),
    "no inner config": (config(lambda c: c.pop("config") and None), "describes a dict|no model"),
    "a config that is a list": (config(lambda c: c.update(config=[])), "Sequential"),
    "no layers": (config(lambda c: c["config"].pop("layers") and None), "'layers'"),
    "layers that are none": (config(lambda c: c["config"].update(layers=[1, 2])), "got int"),
    "two layers of one name": (dense(name="last"), "already is a layer named 'last'"),
    "an unknown class": (layer(class_name="Dance"), "class keras.layers.Dance"),
    "an unknown module": (layer(module="torch.nn"), "Dense"),
    "two unknowns": (config(unknowns), "Dance.*Glorious"),
    "an unknown option": (dense(unit=3), "unit"),
    "eval": (layer(**EVAL), "class eval"),
    "a system call": (dense(activation=SYSTEM), "function system"),
    "code": (dense(activation=LAMBDA), "lambda's code"),
    "a Lambda": (
        layer(class_name="Lambda", config={"function": LAMBDA, "name": "l"}), "lambda's code"
    ),
    "a billion units": (dense(units=10**9), "elements"),
    "more units than bytes": (dense(units=10**30), "elements|units"),
    "negative units": (dense(units=-4), "units"),
    "units that are text": (dense(units="4"), "units"),
    "units that are a dict": (dense(units={}), "units"),
    "units that are no number": (dense(units=float("nan")), "units"),
    "a large input": (
        config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape=[None, 10**12])),
        "elements",
    ),
    "an input of text": (
        config(lambda c: c["config"]["layers"][0]["config"].update(batch_shape="abc")), "shape"
    ),
    "an unknown optimizer": (
        config(lambda c: c["compile_config"]["optimizer"].update(class_name="Adem")), "Adem"
    ),
    "other weights inside": (
        inside(replaced(KERNEL, data=np.ones((3, 5)))), r"has shape \(3, 4\), got \(3, 5\)"
    ),
    "a link inside": (
        inside(linked(KERNEL, h5py.ExternalLink("/etc/passwd", "/"))), "is a link to another place"
    ),
    "an array of texts": (
        dense(kernel_initializer={
            "module": "keras.initializers", "class_name": "Constant", "config": {"value": TEXTS},
            "registered_name": None,
        }),
        "an array of a config must hold numbers, got dtype <U99999999",
    ),
    "models that call each other": (
        config(lambda c: doubling(60)), "layers call each other more than 500 times"
    ),
    "a list of millions": (
        zipped(lambda m: m.update({"config.json": b"[" + b"0," * (4 << 20)}), zipfile.ZIP_DEFLATED),
        "would unpack to 8,388,609",
    ),
    "a function that downloads": (
        dense(activation=function("keras.utils", "get_file")), "function keras.utils.get_file"
    ),
    "a function that reads files": (
        config(lambda c: c["compile_config"].update(loss=function("keras.models", "load_model"))),
        "function keras.models.load_model",
    ),
    "a class that reads files": (
        layer(module="keras.saving", class_name="load_model", config={"filepath": "/etc/passwd"}),
        "class keras.saving.load_model",
    ),
    "a class that writes files": (
        layer(module="keras.callbacks", class_name="CSVLogger", config={"filename": "evil"}),
        "class keras.callbacks.CSVLogger",
    ),
    "a name that is a number": (dense(name=7), "name must be a string without '/', got 7"),
    "a name that is a list": (dense(name=["first"]), "name must be a string"),
    "a name that is a path": (dense(name="../../evil"), r"name must be .* got '../../evil'"),
    "a metric of gigabytes": (
        config(lambda c: c["compile_config"].update(metrics=[
            {"module": "keras.metrics", "class_name": "AUC", "config": {"num_thresholds": 10**9}}
        ])),
        "num_thresholds has 1000000000 elements",
    ),
    "weights of losses that are text": (
        config(lambda c: c["compile_config"].update(loss_weights="x")), "loss_weights"
    ),
    "compiled for a number": (config(lambda c: c.update(compile_config=7)), "mapping, not int"),
    "a call of a layer that is not there": (
        config(lambda c: wrong_call(doubling(1), ["elsewhere", 0, 0])), "there is no call"
    ),
    "a call that waits for itself": (
        config(lambda c: wrong_call(doubling(1), ["level", 1, 0])), "wait for each other's"
    ),
    "a result that there is not": (
        config(lambda c: wrong_call(doubling(1), ["start", 0, 10**9])), "there is no tensor"
    ),
    "members in one place": (overlapping, "is damaged: File name in directory"),
    "a mark of its byte order": (
        zipped(lambda m: m.update({"config.json": b"\xef\xbb\xbf" + m["config.json"]})),
        "config.json is no JSON",
    ),
    "in another encoding": (
        zipped(lambda m: m.update({"config.json": m["config.json"].decode().encode("utf-16")})),
        "'config.json' is damaged: 'utf-8'",
    ),
    "a way out of Windows": (zipped(lambda m: m.update({"..\\evil": b""})), "evil' is none of"),
    "half weights inside": (inside(cut(3000)), "is not a whole HDF5 file"),
}  # fmt: skip


def nest(inner: Any, depth: int) -> Any:
    """Models in each other."""
    for _ in range(depth):
        inner = {**inner, "config": {"name": "s", "layers": [inner]}}
    return inner


@pytest.mark.parametrize("name", MODELS)
def test_models(name: str, good: dict[str, bytes], tmp_path: Path) -> None:
    damage, reason = MODELS[name]
    path = tmp_path / "x.keras"
    path.write_bytes(good[".keras"])
    damage(path)
    files = set(tmp_path.iterdir())
    refused(path, reason, lambda: models.load_model(path))
    assert set(tmp_path.iterdir()) == files


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flipped")


@pytest.fixture(scope="module")
def whole(good: dict[str, bytes]) -> dict[str, bytes]:
    """The good files, and such as Keras wrote: with a vocabulary, and of Keras 2."""
    with tarfile.open(REFERENCE / "files" / "keras_2.tar.xz") as archive:
        member = archive.extractfile("several_dicts.h5")
        assert member is not None
        old = member.read()
    vocabulary = (REFERENCE / "files" / "lookup.keras").read_bytes()
    return {**good, "-vocabulary.keras": vocabulary, ".h5": old}


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", "-vocabulary.keras", ".h5"])
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_bytes_flipped_and_cut(
    ending: str, whole: dict[str, bytes], where: Path, data: st.DataObject
) -> None:
    content = bytearray(whole[ending])
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    path = where / f"flipped{ending}"
    path.write_bytes(content)
    model = made()
    before = model.get_weights()
    try:
        if ending == ".weights.h5":
            model.load_weights(path)
        else:
            models.load_model(path)
    except ValueError as error:
        assert str(path) in str(error)
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
