"""Images to files and back."""

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc.utils import array_to_img, img_to_array, load_img, save_img

RGB = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.float32)


def test_to_files_and_back(tmp_path: Path) -> None:
    save_img(tmp_path / "a.png", RGB, scale=False)
    np.testing.assert_array_equal(img_to_array(load_img(tmp_path / "a.png")), RGB)
    grey = img_to_array(load_img(tmp_path / "a.png", "grayscale"))
    assert grey.shape == (4, 6, 1)
    np.testing.assert_allclose(grey[..., 0], RGB @ [0.299, 0.587, 0.114], atol=1)
    assert img_to_array(load_img(tmp_path / "a.png", "rgba"))[..., 3].min() == 255
    file = io.BytesIO()
    save_img(file, RGB.transpose(2, 0, 1), "channels_first", "png", scale=False)
    file.seek(0)
    first = img_to_array(load_img(file), "channels_first", "int32")
    assert first.dtype == np.int32
    np.testing.assert_array_equal(first.transpose(1, 2, 0), RGB)


def test_scaling() -> None:
    values = np.array([-1.0, 0.0, 3.0])[:, None, None]
    assert np.asarray(array_to_img(values)).ravel().tolist() == [0, 63, 255]
    assert not np.asarray(array_to_img(np.full((2, 2, 3), 7.0))).any()
    deep = np.asarray(array_to_img(np.array([[[0], [70_000]]]), scale=False))
    assert deep.tolist() == [[0, 70_000]]


def test_resizing(tmp_path: Path) -> None:
    columns = np.tile(np.arange(6.0)[:, None], (4, 1, 1)).reshape(4, 6, 1)
    save_img(tmp_path / "a.png", columns, scale=False)
    halves = img_to_array(load_img(tmp_path / "a.png", "grayscale", (2, 3)))
    assert halves[..., 0].tolist() == [[1, 3, 5]] * 2
    middle = load_img(tmp_path / "a.png", "grayscale", (2, 2), keep_aspect_ratio=True)
    assert img_to_array(middle)[..., 0].tolist() == [[2, 4]] * 2


def test_jpeg_has_no_transparency(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        save_img(tmp_path / "a.jpg", np.zeros((2, 2, 4)))
    assert load_img(tmp_path / "a.jpg").mode == "RGB"


def test_errors(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    save_img(tmp_path / "a.png", RGB)
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:80])
    for name in ("text.png", "cut.png"):
        with pytest.raises(ValueError, match=f"load_img: .*{name} is no image, or is damaged"):
            load_img(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        load_img(tmp_path / "none.png")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"color_mode": "grey"}, "Unknown color_mode 'grey'. Known: grayscale, rgb, rgba"),
        ({"interpolation": "cubic"}, "Unknown interpolation 'cubic'. Did you mean 'bicubic'"),
    ]
    for options, message in wrong:
        with pytest.raises(ValueError, match=message):
            load_img(tmp_path / "a.png", **options)
    with pytest.raises(ValueError, match="Unknown data_format 'last'"):
        img_to_array(RGB, "last")
    with pytest.raises(ValueError, match=r"expected an image, got an array of shape \(2,\)"):
        img_to_array(np.zeros(2))
    with pytest.raises(ValueError, match=r"with 1, 3 or 4 channels, got .* shape \(2, 2, 5\)"):
        array_to_img(np.zeros((2, 2, 5)))


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(
        ImportError, match=r"array_to_img needs Pillow: pip install graphc\[images]"
    ):
        array_to_img(RGB)
