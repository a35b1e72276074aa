"""Data sets of image files in folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphc.errors import unknown_name
from graphc.random import next_seed

from .batches import RowDataset
from .images import COLOR_MODES, img_to_array, load_img
from .resizing import INTERPOLATIONS, resized

FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_LABEL_MODES = ("int", "categorical", "binary")
_SUBSETS = ("training", "validation", "both")


class _Images(RowDataset):
    """Images with labels; see `image_dataset_from_directory`."""

    def __init__(
        self,
        paths: list[str],
        labels: np.ndarray | None,
        class_names: list[str] | None,
        read: Callable[[str], np.ndarray],
        batch_size: int | None,
        random: np.random.RandomState | None,
    ) -> None:
        super().__init__(len(paths), batch_size, random)
        self.file_paths = paths
        self.class_names = class_names
        self._labels = labels
        self._read = read

    def rows(self, numbers: np.ndarray) -> Any:
        if numbers.ndim == 0:
            images = self._read(self.file_paths[int(numbers)])
        else:
            images = np.stack([self._read(self.file_paths[at]) for at in numbers])
        return images if self._labels is None else (images, self._labels[numbers])


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    verbose: bool = True,
) -> Any:
    """Images in folders, one for each class (`keras.utils.image_dataset_from_directory`).

    Files whose names end in .bmp, .gif, .jpeg, .jpg or .png are read batch by batch, when they
    are needed, with Pillow (graphc[images]).

    Args:
        directory: has a folder of files for each class, in any depth.
        labels: "inferred" (default): the number of the class's folder; None: there are none; or a
            list of an int for each file. Without "inferred" all files in `directory` are taken, in
            the order of their paths, whatever the folders.
        label_mode: "int" (default): int32 (batch,); "categorical": one-hot rows, float32 (batch,
            classes); "binary", for two classes: float32 (batch, 1); None: the same as labels=None.
        class_names: the folders to take, in the order of their numbers; all, sorted, by default.
        color_mode: "rgb" (default), "rgba" or "grayscale".
        batch_size: images of a batch, 32 by default; None for single images.
        image_size: (height, width), (256, 256) by default, or one int for both.
        shuffle: whether files come in another order each epoch, True by default; else sorted.
        seed: of the shuffle: `file_paths` are in Keras's order for this seed.
        validation_split: share of the files, from the end, that are for validation.
        subset: with it, "training", "validation" or "both".
        interpolation: "bilinear" (default), "nearest", "bicubic", "lanczos3" or "lanczos5", without
            smoothing where an image shrinks.
        follow_links: whether to enter folders that are links.
        crop_to_aspect_ratio: cuts images' middles out, in the target's shape, and so does not
            distort them.
        pad_to_aspect_ratio: puts black beside images, and so does not distort them.
        verbose: whether to print how many files there are.

    Returns:
        A `PyDataset` of images float32 (batch, height, width, channels), from 0 to 255, or of
        pairs of images and labels, with attributes `class_names` and `file_paths`; for "both" a
        list of two. (Keras returns data sets of TensorFlow or Grain.)

    Raises:
        ValueError: for arguments that do not fit, folders without images.
        ImportError: without Pillow, when the first image is read.
    """
    _check_choices(label_mode, interpolation, color_mode, subset)
    _check_split(validation_split, subset, shuffle, seed)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError("pass crop_to_aspect_ratio or pad_to_aspect_ratio, not both")
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"image_size must be (height, width), got {image_size!r}")
    fit = "crop" if crop_to_aspect_ratio else "pad" if pad_to_aspect_ratio else "stretch"

    def read(path: str) -> np.ndarray:
        return resized(img_to_array(load_img(path, color_mode)), size, interpolation, fit)

    given = None if label_mode is None else labels
    paths, numbers, names = _index(Path(directory), given, class_names, follow_links)
    if verbose:
        classes = "" if names is None else f" belonging to {len(names)} classes"
        print(f"Found {len(paths)} files{classes}.")
    if shuffle:
        seed = next_seed() if seed is None else seed
        np.random.RandomState(seed).shuffle(paths)
        np.random.RandomState(seed).shuffle(numbers)
    targets = _targets(numbers, label_mode, names)
    held_out = int(len(paths) * (validation_split or 0))
    middle = len(paths) - held_out
    rows = {None: slice(None), "training": slice(middle), "validation": slice(middle, None)}
    made = []
    for part in ("training", "validation") if subset == "both" else (subset,):
        taken = paths[rows[part]]
        if not taken:
            kind = f" for {part}" if part else ""
            raise ValueError(f"{directory}: there are no images{kind}; known are {FORMATS}")
        if verbose and part:
            print(f"Using {len(taken)} files for {part}.")
        random = np.random.RandomState(seed) if shuffle and part != "validation" else None
        its_targets = None if targets is None else targets[rows[part]]
        made.append(_Images(taken, its_targets, names, read, batch_size, random))
    return made if subset == "both" else made[0]


def _check_choices(
    label_mode: str | None, interpolation: str, color_mode: str, subset: str | None
) -> None:
    for name, value, known in (
        ("label_mode", label_mode, (*_LABEL_MODES, None)),
        ("interpolation", interpolation, INTERPOLATIONS),
        ("color_mode", color_mode, COLOR_MODES),
        ("subset", subset, (*_SUBSETS, None)),
    ):
        if value not in known:
            raise unknown_name(name, value, [choice for choice in known if choice])


def _check_split(
    validation_split: float | None, subset: str | None, shuffle: bool, seed: int | None
) -> None:
    if validation_split is not None and not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1, got {validation_split!r}")
    if (validation_split is None) != (subset is None):
        raise ValueError("validation_split and subset belong together: pass both or none")
    if validation_split is not None and shuffle and seed is None:
        raise ValueError(
            "validation_split of shuffled files needs a seed, so that no file is in both parts"
        )


def _index(
    directory: Path,
    labels: str | Sequence[int] | None,
    class_names: Sequence[str] | None,
    follow_links: bool,
) -> tuple[list[str], np.ndarray, list[str] | None]:
    """Paths, their labels, and the classes' names."""
    if not directory.is_dir():
        raise ValueError(f"there is no folder {directory}")
    if labels == "inferred":
        folders = sorted(path.name for path in directory.iterdir() if path.is_dir())
        folders = [name for name in folders if not name.startswith(".")]
        missing = sorted(set(class_names or ()) - set(folders))
        if missing:
            raise ValueError(f"class_names {missing} are not among the folders {folders}")
        names = list(class_names or folders)
        files = [_files(directory / name, follow_links) for name in names]
        counts = [len(found) for found in files]
        return [path for found in files for path in found], _numbers(counts), names
    if class_names is not None:
        raise ValueError("class_names are for labels='inferred'")
    paths = _files(directory, follow_links)
    if labels is None:
        return paths, np.zeros(len(paths), np.int32), None
    if isinstance(labels, str) or len(labels) != len(paths):
        raise ValueError(
            f"labels must be 'inferred', None, or an int for each of {len(paths)} files, got "
            + (repr(labels) if isinstance(labels, str) else f"{len(labels)}")
        )
    return paths, np.array(labels, np.int32), [str(label) for label in sorted(set(labels))]


def _numbers(counts: list[int]) -> np.ndarray:
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _files(folder: Path, follow_links: bool) -> list[str]:
    """Paths of the images in a folder and those within, sorted folder by folder."""
    return [
        os.path.join(root, name)
        for root, _, names in sorted(os.walk(folder, followlinks=follow_links))
        for name in sorted(names)
        if name.lower().endswith(FORMATS)
    ]


def _targets(
    numbers: np.ndarray, label_mode: str | None, class_names: list[str] | None
) -> np.ndarray | None:
    if class_names is None:
        return None
    if label_mode == "int":
        return numbers
    if label_mode == "binary":
        if len(class_names) != 2:
            raise ValueError(f"label_mode='binary' needs two classes, there are {class_names}")
        return numbers[:, None].astype(np.float32)
    # As in Keras a label that is not below the number of classes has a row of zeros.
    one_hot: np.ndarray = numbers[:, None] == np.arange(len(class_names))
    return one_hot.astype(np.float32)
