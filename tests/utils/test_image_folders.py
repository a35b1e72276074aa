"""Folders of images as batches; orders and labels were compared with Keras 3.15.1's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc import layers, models
from graphc.utils import image_dataset_from_directory, save_img


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images of b, two of a, one of c within another folder; the brighter the later."""
    for at, name in enumerate(
        ["b/0.png", "b/1.PNG", "b/2.png", "a/0.png", "a/1.png", "c/in/0.png"]
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_img(path, np.full((2 + at, 3, 3), 10.0 * at), scale=False, file_format="png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


def made(folder: Path, **options: Any) -> Any:
    options = {"image_size": (2, 2), "batch_size": 4, "shuffle": False, "verbose": False} | options
    return image_dataset_from_directory(folder, **options)


def names(data: Any, folder: Path) -> list[str]:
    return [Path(path).relative_to(folder).as_posix() for path in data.file_paths]


def test_batches(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = made(folder, verbose=True)
    assert capsys.readouterr().out == "Found 6 files belonging to 3 classes.\n"
    assert data.class_names == ["a", "b", "c"]
    assert names(data, folder) == [
        "a/0.png", "a/1.png", "b/0.png", "b/1.PNG", "b/2.png", "c/in/0.png",
    ]  # fmt: skip
    (first, first_labels), (second, second_labels) = data
    assert (first.shape, second.shape) == ((4, 2, 2, 3), (2, 2, 2, 3))
    assert first.dtype == np.float32
    np.testing.assert_allclose(first[:, 0, 0, 0], [30, 40, 0, 10], atol=1e-4)
    np.testing.assert_allclose(second[:, 1, 1, 2], [20, 50], atol=1e-4)
    assert (first_labels.tolist(), second_labels.tolist()) == ([0, 0, 1, 1], [1, 2])
    assert first_labels.dtype == np.int32
    image, label = made(folder, batch_size=None, color_mode="grayscale", image_size=5)[5]
    assert (image.shape, label) == ((5, 5, 1), 2)


def test_labels(folder: Path) -> None:
    categorical = made(folder, label_mode="categorical", class_names=["c", "a"])
    assert categorical[0][1].tolist() == [[1, 0], [0, 1], [0, 1]]
    binary = made(folder, label_mode="binary", class_names=["b", "a"])
    assert binary[0][1].tolist() == [[0], [0], [0], [1]]
    assert binary[0][1].dtype == np.float32
    given = made(folder, labels=[5, 3, 3, 3, 5, 4], batch_size=6)
    assert (given[0][1].tolist(), given.class_names) == ([5, 3, 3, 3, 5, 4], ["3", "4", "5"])
    for options in ({"labels": None}, {"label_mode": None}):
        assert made(folder, **options)[0].shape == (4, 2, 2, 3)


def test_shuffling_and_splits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = made(folder, shuffle=True, seed=7, batch_size=6)
    order = np.arange(6)
    np.random.RandomState(7).shuffle(order)
    expected = np.array([0, 0, 1, 1, 1, 2])[order].tolist()
    assert [
        whole.class_names.index(name.split("/")[0]) for name in names(whole, folder)
    ] == expected
    epochs = []
    for _ in range(2):
        images, labels = whole[0]
        brightness = {30: 0, 40: 0, 0: 1, 10: 1, 20: 1, 50: 2}
        epochs.append(images[:, 0, 0, 0].round().astype(int).tolist())
        assert [brightness[value] for value in epochs[-1]] == labels.tolist()
        whole.on_epoch_end()
    assert epochs[0] != epochs[1]
    options = {"shuffle": True, "seed": 7, "validation_split": 0.4, "verbose": True}
    both = made(folder, subset="both", **options)
    assert capsys.readouterr().out.endswith(
        "Using 4 files for training.\nUsing 2 files for validation.\n"
    )
    apart = [made(folder, subset=part, **options) for part in ("training", "validation")]
    for split in (both, apart):
        assert names(split[0], folder) + names(split[1], folder) == names(whole, folder)


def test_a_model_trains_on_it(folder: Path) -> None:
    model = models.Sequential([layers.Input((2, 2, 3)), layers.Flatten(), layers.Dense(3)])
    model.compile("sgd", "mse")
    history = model.fit(made(folder, label_mode="categorical"), verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert model.predict(made(folder, labels=None), verbose=0).shape == (6, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_mode": "ints"}, "Unknown label_mode 'ints'. Did you mean 'int'"),
        ({"interpolation": "area"}, "Unknown interpolation 'area'"),
        ({"color_mode": "grey"}, "Unknown color_mode 'grey'"),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, "not both"),
        ({"image_size": (2, 2, 3)}, r"must be \(height, width\), got \(2, 2, 3\)"),
        ({"validation_split": 1.0, "subset": "both"}, r"between 0 and 1, got 1\.0"),
        ({"subset": "both"}, "validation_split and subset belong together"),
        ({"subset": "both", "validation_split": 0.5, "shuffle": True}, "needs a seed"),
        ({"subset": "both", "validation_split": 0.1}, "there are no images for validation"),
        ({"class_names": ["a", "d"]}, r"class_names \['d'\] are not among the folders \['a', "),
        ({"labels": None, "class_names": ["a"]}, "class_names are for labels='inferred'"),
        ({"labels": [1, 2]}, "an int for each of 6 files, got 2"),
        ({"label_mode": "binary"}, "needs two classes, there are"),
    ],
)
def test_errors(options: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(ValueError, match=message):
        made(folder, **options)


def test_folders_without_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there are no images; known are"):
        made(tmp_path)
    with pytest.raises(ValueError, match=r"there is no folder .*none"):
        made(tmp_path / "none")
