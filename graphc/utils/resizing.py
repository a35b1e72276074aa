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
        rows = max(min(height, int(width * size[0] / size[1])), 1)
        columns = max(min(width, int(height * size[1] / size[0])), 1)
        top, left = (height - rows) // 2, (width - columns) // 2
        image = image[top : top + rows, left : left + columns]
    for axis in (0, 1):
        image = _resized_along(image, axis, size[axis], interpolation)
    return image


def _resized_along(image: np.ndarray, axis: int, size: int, interpolation: str) -> np.ndarray:
    before = image.shape[axis]
    if before == size:
        return image
    # Where the middles of the new points lie among the old ones.
    places = (np.arange(size) + 0.5) * before / size - 0.5
    if interpolation == "nearest":
        nearest: np.ndarray = image.take(np.floor(places + 0.5).astype(int), axis)
        return nearest
    weights = _KERNELS[interpolation](np.abs(places[:, None] - np.arange(before)))
    weights /= weights.sum(1, keepdims=True)  # near the borders a part lies outside
    product = np.tensordot(weights.astype(np.float32), image, (1, axis))
    return np.moveaxis(product, 0, axis)
