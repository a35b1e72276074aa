"""Event files, decoded here by other means than they are written with.

The files were also read with TensorBoard 2.21 itself, and compared with those that Keras 3.15.1
writes on TensorFlow 2.21 for the same training: tags, plugins, steps and values are the same.
"""

import json
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, layers, models, optimizers
from graphc.callbacks.event_file import EventFile


def crc32c(data: bytes) -> int:
    """Bit by bit, as a division of polynomials."""
    remainder = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            carry = (remainder ^ byte >> bit) & 1
            remainder = (remainder >> 1) ^ (0x82F63B78 * carry)
    return remainder ^ 0xFFFFFFFF


def unmasked(crc: int) -> int:
    rotated = (crc - 0xA282EAD8) % 2**32
    return (rotated >> 17 | rotated << 15) % 2**32


def records(content: bytes) -> Iterator[bytes]:
    while content:
        size, size_crc = struct.unpack_from("<QI", content)
        data = content[12 : 12 + size]
        (data_crc,) = struct.unpack_from("<I", content, 12 + size)
        assert unmasked(size_crc) == crc32c(content[:8])
        assert unmasked(data_crc) == crc32c(data)
        yield data
        content = content[16 + size :]


def varint(data: bytes, at: int) -> tuple[int, int]:
    end = at
    while data[end] & 0x80:
        end += 1
    bits = "".join(f"{byte & 0x7F:07b}" for byte in reversed(data[at : end + 1]))
    return int(bits, 2), end + 1


def fields(data: bytes) -> dict[int, list[Any]]:
    """A protobuf message: the values of each field's number."""
    found: dict[int, list[Any]] = defaultdict(list)
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value: Any
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        else:
            assert key & 7 == 2
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        found[key >> 3].append(value)
    return found


def array(tensor: bytes) -> Any:
    parts = fields(tensor)
    shape = [fields(dim)[1][0] for dim in fields(parts[2][0])[2]]
    if parts[1] == [7]:
        assert shape in ([], [len(parts[8])])
        return parts[8]
    dtype = {1: np.float32, 2: np.float64}[parts[1][0]]
    return np.frombuffer(parts[4][0], dtype).reshape(shape)


def events(folder: Path) -> dict[tuple[str, str], dict[int, Any]]:
    """(plugin, tag) -> step -> value."""
    found: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
    for path in sorted(folder.glob("events.out.tfevents.*.v2")):
        first, *others = map(fields, records(path.read_bytes()))
        assert first[3] == [b"brain.Event:2"]
        for event in others:
            assert 1.7e9 < event[1][0] < 4e9  # seconds since 1970
            for value in map(fields, fields(event[5][0])[1]):
                plugin = fields(fields(value[9][0])[1][0])[1][0].decode()
                found[plugin, value[1][0].decode()][event[2][0]] = array(value[8][0])
    return found


def pixels(png: bytes) -> np.ndarray:
    """Of a PNG file of 8 bits a channel, without filters."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        size = int.from_bytes(png[at : at + 4])
        body = png[at + 4 : at + 8 + size]
        assert int.from_bytes(png[at + 8 + size : at + 12 + size]) == zlib.crc32(body)
        chunks[body[:4]] = body[4:]
        at += 12 + size
    width, height, bits, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert bits == 8
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, {0: 1, 2: 3, 6: 4}[colour])


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


X = np.random.default_rng(0).random((12, 3))
Y = X.sum(1, keepdims=True)


def model() -> models.Model:
    first = layers.Input((3,), name="in")
    dense = layers.Dense(3, name="dense")
    out = layers.Dense(1, name="out")(layers.Add(name="add")([first, dense(dense(first))]))
    made = models.Model(first, out)
    made.compile(optimizers.SGD(2**-6), "mse", metrics=["mae"])
    return made


def test_what_fit_writes(tmp_path: Path) -> None:
    board = callbacks.TensorBoard(tmp_path, update_freq=3, write_steps_per_second=True)
    made = model()
    history = made.fit(
        X, Y, 6, 4, 0, callbacks=[board], validation_data=(X, Y), initial_epoch=1
    ).history
    train, held_out = events(tmp_path / "train"), events(tmp_path / "validation")
    for name in ("loss", "mae"):
        for folder, prefix in ((train, ""), (held_out, "val_")):
            found = folder["scalars", f"epoch_{name}"]
            assert list(found) == [1, 2, 3]
            assert list(found.values()) == np.float32(history[prefix + name]).tolist()
        found = held_out["scalars", f"evaluation_{name}_vs_iterations"]
        assert list(found) == [2, 4, 6]
        assert list(found.values()) == np.float32(history[f"val_{name}"]).tolist()
        # Of batches 3 and 6, one the first and one the last of its epoch.
        assert list(train["scalars", f"batch_{name}"]) == [3, 6]
        assert train["scalars", f"batch_{name}"][6] == np.float32(history[name][-1])
    assert train["scalars", "epoch_learning_rate"] == dict.fromkeys((1, 2, 3), 2**-6)
    assert min(train["scalars", "epoch_steps_per_second"].values()) > 0
    assert min(train["scalars", "batch_steps_per_second"].values()) > 0
    (configuration,) = train["graph_keras_model", "keras"][0]
    assert json.loads(configuration) == json.loads(made.to_json())
    assert {plugin for plugin, _ in train} == {"scalars", "graph_keras_model"}
    assert len(held_out) == 4


def test_weights(tmp_path: Path) -> None:
    made = model()
    board = callbacks.TensorBoard(tmp_path, histogram_freq=2, write_images=True, write_graph=False)
    made.fit(X, Y, epochs=4, verbose=0, callbacks=[board])
    found = events(tmp_path / "train")
    assert ("graph_keras_model", "keras") not in found
    tags = [f"{name}/{part}" for name in ("dense", "out") for part in ("kernel", "bias")]
    assert [tag for plugin, tag in found if plugin == "histograms"] == [
        f"{tag}/histogram" for tag in tags
    ]
    histograms = found["histograms", "dense/kernel/histogram"]
    assert list(histograms) == [0, 2]
    assert histograms[2].shape == (30, 3)
    assert histograms[2][:, 2].sum() == 9
    assert list(found["images", "dense/kernel/image"]) == [0, 2]
    assert found["images", "dense/bias/image"][2][:2] == [b"1", b"3"]
    # A bias of one element has no axes left, and is no image to Keras either.
    assert ("images", "out/bias/image") not in found


def test_evaluate_writes_by_iterations(tmp_path: Path) -> None:
    made = model()
    made.fit(X, Y, 6, 1, 0)
    board = callbacks.TensorBoard(tmp_path, write_graph=False)
    loss, mae = made.evaluate(X, Y, verbose=0, callbacks=[board])
    found = events(tmp_path / "validation")
    assert found["scalars", "evaluation_loss_vs_iterations"] == {2: np.float32(loss)}
    assert found["scalars", "evaluation_mae_vs_iterations"] == {2: np.float32(mae)}
    assert [path.name for path in tmp_path.iterdir()] == ["validation"]


def test_models_without_a_configuration(tmp_path: Path) -> None:
    made = models.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x + 1.0)])
    with pytest.warns(UserWarning, match="TensorBoard: the model has no graph to write: "):
        callbacks.TensorBoard(tmp_path).set_model(made)

    class Own(models.Model):
        pass

    callbacks.TensorBoard(tmp_path).set_model(Own())
    assert list(tmp_path.iterdir()) == []


def test_histograms(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    file.histogram("spread", np.array([[0.0, 1.0, 30.0], [29.5, np.nan, np.inf]]), 300)
    file.histogram("same", np.full(7, 2.0), 300)
    file.histogram("none", np.array([]), 300)
    file.close()
    found = {tag: steps[300] for (_, tag), steps in events(tmp_path).items()}
    edges = np.arange(31.0)
    np.testing.assert_allclose(found["spread"][:, 0], edges[:-1], atol=1e-12)
    np.testing.assert_allclose(found["spread"][:, 1], edges[1:], atol=1e-12)
    assert found["spread"][:, 2].tolist() == [1, 1, *[0] * 27, 2]
    assert found["same"].tolist() == [[2.0, 2.0, 0.0]] * 29 + [[2.0, 2.0, 7.0]]
    assert not found["none"].any()


def test_images(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    images = np.arange(2 * 2 * 5 * 3, dtype=np.uint8).reshape(2, 2, 5, 3)
    file.images("colours", images, 0)
    file.images("grey", images[..., :1], 0)
    file.close()
    found = events(tmp_path)
    width, height, *pngs = found["images", "colours"][0]
    assert (width, height) == (b"5", b"2")
    np.testing.assert_array_equal([pixels(png) for png in pngs], images)
    np.testing.assert_array_equal(pixels(found["images", "grey"][0][2]), images[0, ..., :1])


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((4,), (1, 4, 1, 1)),
        ((5, 2), (1, 2, 5, 1)),
        ((2, 5), (1, 2, 5, 1)),
        ((3, 1, 2, 6), (3, 3, 2, 1)),
        ((7, 6, 5, 3), (3, 6, 5, 3)),
        ((2, 2, 2, 2), None),
        ((1, 1), None),
    ],
)
def test_weights_as_images(shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> None:
    from graphc.callbacks.tensorboard import _as_images  # noqa: PLC0415

    values = np.linspace(-0.5, 1.5, int(np.prod(shape))).reshape(shape)
    images = _as_images(values)
    assert (None if images is None else images.shape) == wanted
    if shape == (4,):
        assert images is not None
        assert images.ravel().tolist() == [0, int(255.5 / 6), int(255.5 * 5 / 6), 255]


@pytest.mark.parametrize("options", [{"profile_batch": 2}, {"embeddings_freq": 1}])
def test_what_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"profile_batch, embeddings_freq and .* not supported"):
        callbacks.TensorBoard(**options)


@pytest.mark.parametrize("update_freq", [0, "step", 1.5])
def test_update_freq_is_checked(update_freq: Any) -> None:
    with pytest.raises(ValueError, match="must be 'batch', 'epoch' or an int of at least 1, got"):
        callbacks.TensorBoard(update_freq=update_freq)
