"""Resizing images, as TensorFlow and `keras.ops.image.resize` do without antialiasing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys's cubic convolution with a = -1/2 (1981)."""
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def _lanczos(radius: int) -> Callable[[np.ndarray], np.ndarray]:
    def kernel(x: np.ndarray) -> np.ndarray:
        return np.where(x <= radius, np.sinc(x) * np.sinc(x / radius), 0)

    return kernel


# What a point at a distance, in points, weighs.
_KERNELS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bilinear": lambda x: np.maximum(1 - x, 0),
    "bicubic": _cubic,
    "lanczos3": _lanczos(3),
    "lanczos5": _lanczos(5),
}
INTERPOLATIONS = ("nearest", *_KERNELS)


def resized(
    image: np.ndarray, size: tuple[int, int], interpolation: str, fit: str = "stretch"
) -> np.ndarray:
    """An image of another size.

    Args:
        image: float32 (height, width, channels).
        size: (height, width) of the result.
        interpolation: one of INTERPOLATIONS.
        fit: "stretch" (default) to the size; "crop" the middle in the size's shape before; or "pad"
            with zeros what keeps its shape.

    Returns:
        float32 (*size, channels).
    """
    height, width = image.shape[:2]
    if fit == "pad":
        shrink = max(height / size[0], width / size[1])
        inner = max(int(height / shrink), 1), max(int(width / shrink), 1)
        top, left = int((size[0] - height / shrink) / 2), int((size[1] - width / shrink) / 2)
        padded = np.zeros((*size, image.shape[-1]), np.float32)
        padded[top : top + inner[0], left : left + inner[1]] = resized(image, inner, interpolation)
        return padded
    if fit == "crop":
        top, left, rows, columns = largest_part((height, width), size)
        image = image[top : top + rows, left : left + columns]
    for axis in (0, 1):
        image = _resized_along(image, axis, size[axis], interpolation)
    return image


def _resized_along(image: np.ndarray, axis: int, size: int, interpolation: str) -> np.ndarray:
    before = image.shape[axis]
    if before == size:
        return image
    if interpolation == "nearest":
        nearest: np.ndarray = image.take(nearest_points(before, size), axis)
        return nearest
    product = np.tensordot(point_weights(before, size, interpolation), image, (1, axis))
    return np.moveaxis(product, 0, axis)


def _places(before: int, size: int) -> np.ndarray:
    """Where the middles of so many new points lie among the old ones."""
    return (np.arange(size) + 0.5) * before / size - 0.5


def nearest_points(before: int, size: int) -> np.ndarray:
    """The old point (int) that each new one is nearest to."""
    return np.floor(_places(before, size) + 0.5).astype(int)


def point_weights(
    before: int, size: int, interpolation: str, antialias: bool = False
) -> np.ndarray:
    """What each old point weighs in each new one: float32 (size, before), rows of sum 1.

    Args:
        before: the number of old points.
        size: of new ones.
        interpolation: one of INTERPOLATIONS but "nearest".
        antialias: whether new points that are further apart take in all old ones between them.
    """
    reach = max(before / size, 1.0) if antialias else 1.0
    distances = np.abs(_places(before, size)[:, None] - np.arange(before)) / reach
    weights = _KERNELS[interpolation](distances)
    weights /= weights.sum(1, keepdims=True)  # near the borders a part lies outside
    return weights.astype(np.float32)


def largest_part(shape: tuple[int, int], like: tuple[int, int]) -> tuple[int, int, int, int]:
    """The middle of an image in the proportions of another: top, left, rows and columns."""
    height, width = shape
    rows = max(min(height, int(width * like[0] / like[1])), 1)
    columns = max(min(width, int(height * like[1] / like[0])), 1)
    return (height - rows) // 2, (width - columns) // 2, rows, columns
