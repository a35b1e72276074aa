"""graphc.ops that move, pick and slide over elements, against NumPy."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from computing import compute

from graphc import layers, models, ops
from graphc.trace import Trace

Array = np.ndarray
X = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6) - 60
Y = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
PICKED = np.array([[3, 0, -1], [2, 2, -4]], np.int32)
PLACES = np.array([[[1], [5], [-1], [0], [2]]] * 4, np.int32)

CASES: dict[str, tuple[Callable[..., Any], Callable[..., Array]]] = {
    "x[1]": (lambda x, y: x[1], lambda x, y: x[1]),
    "x[:, -2]": (lambda x, y: x[:, -2], lambda x, y: x[:, -2]),
    "x[..., None, 1:5:2]": (lambda x, y: x[..., None, 1:5:2], lambda x, y: x[..., None, 1:5:2]),
    "x[::-1, 1:, ::-2]": (lambda x, y: x[::-1, 1:, ::-2], lambda x, y: x[::-1, 1:, ::-2]),
    "slice": (lambda x, y: ops.slice(x, (1, 0, 2), (2, 5, 3)), lambda x, y: x[1:3, :, 2:5]),
    "split": (
        lambda x, y: ops.split(x, [1, 4], axis=1)[1],
        lambda x, y: np.split(x, [1, 4], axis=1)[1],
    ),
    "equal parts": (lambda x, y: ops.split(x, 3, axis=-1)[2], lambda x, y: x[..., 4:]),
    "concatenate": (
        lambda x, y: ops.concatenate([x[:, :, :3], y[:, 1:], x], axis=2),
        lambda x, y: np.concatenate([x[:, :, :3], y[:, 1:], x], axis=2),
    ),
    "stack": (lambda x, y: ops.stack([x, -x], axis=1), lambda x, y: np.stack([x, -x], axis=1)),
    "flip": (lambda x, y: ops.flip(x, 1), lambda x, y: np.flip(x, 1)),
    "flip all": (lambda x, y: ops.flip(x), lambda x, y: np.flip(x)),
    "pad": (
        lambda x, y: ops.pad(x, ((1, 2), (0, 0), (3, 1)), constant_values=7.0),
        lambda x, y: np.pad(x, ((1, 2), (0, 0), (3, 1)), constant_values=7.0),
    ),
    "reflect": (
        lambda x, y: ops.pad(x, ((0, 0), (2, 3), (1, 0)), mode="reflect"),
        lambda x, y: np.pad(x, ((0, 0), (2, 3), (1, 0)), mode="reflect"),
    ),
    "symmetric": (
        lambda x, y: ops.pad(x, 2, mode="symmetric"),
        lambda x, y: np.pad(x, 2, mode="symmetric"),
    ),
    "take": (lambda x, y: ops.take(x, PICKED, axis=1), lambda x, y: np.take(x, PICKED, axis=1)),
    "take of all": (lambda x, y: ops.take(x, PICKED), lambda x, y: np.take(x, PICKED)),
    "take outside": (
        lambda x, y: ops.take(x, [1, 4], axis=0),
        lambda x, y: np.stack([x[1], x[1] * np.nan]),
    ),
    "take_along_axis": (
        lambda x, y: ops.take_along_axis(x, PLACES, axis=-1),
        lambda x, y: np.take_along_axis(x, PLACES, axis=-1),
    ),
    "take_along_axis of all": (
        lambda x, y: ops.take_along_axis(x, PICKED),
        lambda x, y: np.take_along_axis(x, np.asarray(PICKED).ravel(), None),
    ),
    "take_along_axis inside": (
        lambda x, y: ops.take_along_axis(x, PLACES[:, :1], axis=1),
        lambda x, y: np.take_along_axis(x, PLACES[:, :1], axis=1),
    ),
    "matmul": (ops.matmul, lambda x, y: x @ y),
    "matmul broadcast": (lambda x, y: ops.matmul(x[:, None], y[0]), lambda x, y: x[:, None] @ y[0]),
    "matmul of a vector": (lambda x, y: x @ y[0, :, 1], lambda x, y: x @ y[0, :, 1]),
    "vector by matrices": (lambda x, y: x[0, 0] @ y, lambda x, y: x[0, 0] @ y),
}  # fmt: skip


def test_against_numpy() -> None:
    results = compute({name: ours for name, (ours, _) in CASES.items()}, X, Y)
    for name, (_, numpy) in CASES.items():
        wanted = numpy(X, Y)
        assert results[name].shape == wanted.shape, name
        np.testing.assert_allclose(results[name], wanted, rtol=2e-6, atol=1e-5, err_msg=name)


IMAGES = np.random.default_rng(1).normal(size=(2, 6, 5, 4)).astype(np.float32)
KERNEL = np.random.default_rng(2).normal(size=(3, 2, 4, 3)).astype(np.float32)
POINTS = np.random.default_rng(3).normal(size=(12, 2)).astype(np.float32)


def slide(x: Array, window: tuple[int, int], strides: tuple[int, int]) -> Array:
    """[batch, count, count, window, window, channels]."""
    counts = [(x.shape[1 + a] - window[a]) // strides[a] + 1 for a in (0, 1)]
    result = np.empty((len(x), *counts, *window, x.shape[-1]), x.dtype)
    for i, j in itertools.product(*map(range, counts)):
        low = i * strides[0], j * strides[1]
        result[:, i, j] = x[:, low[0] : low[0] + window[0], low[1] : low[1] + window[1]]
    return result


def conv(x: Array, kernel: Array, strides: tuple[int, int] = (1, 1)) -> Array:
    return np.einsum("bijhwc,hwcf->bijf", slide(x, kernel.shape[:2], strides), kernel)


def depthwise(x: Array, kernel: Array) -> Array:
    result = np.einsum("bijhwc,hwcm->bijcm", slide(x, kernel.shape[:2], (1, 1)), kernel)
    return result.reshape(*result.shape[:3], -1)


def transposed(x: Array, kernel: Array, stride: int) -> Array:
    """Each element of x puts the kernel, times itself, into the result."""
    (n, h, w, _), (kh, kw, filters, _) = x.shape, kernel.shape
    result = np.zeros((n, (h - 1) * stride + kh, (w - 1) * stride + kw, filters), np.float32)
    for i, j in itertools.product(range(h), range(w)):
        place = result[:, i * stride : i * stride + kh, j * stride : j * stride + kw]
        place += np.einsum("bc,hwfc->bhwf", x[:, i, j], kernel)
    return result


def first(x: Any) -> Any:
    return ops.transpose(x, (0, 3, 1, 2))


OUTER = np.pad(IMAGES, ((0, 0), (1, 1), (0, 1), (0, 0)), constant_values=-np.inf)
MEANS = np.pad(IMAGES, ((0, 0), (1, 1), (0, 1), (0, 0)), constant_values=np.nan)
WINDOWS: dict[str, tuple[Callable[..., Any], Array]] = {
    "conv": (lambda x: ops.conv(x, KERNEL, strides=(2, 1)), conv(IMAGES, KERNEL, (2, 1))),
    "conv, channels first": (
        lambda x: ops.conv(first(x), KERNEL, data_format="channels_first"),
        conv(IMAGES, KERNEL).transpose(0, 3, 1, 2),
    ),
    "depthwise_conv": (lambda x: ops.depthwise_conv(x, KERNEL), depthwise(IMAGES, KERNEL)),
    "separable_conv": (
        lambda x: ops.separable_conv(x, KERNEL, POINTS[None, None]),
        depthwise(IMAGES, KERNEL) @ POINTS,
    ),
    "conv_transpose": (
        lambda x: ops.conv_transpose(x, KERNEL.transpose(0, 1, 3, 2), strides=2),
        transposed(IMAGES, KERNEL.transpose(0, 1, 3, 2), 2),
    ),
    "max_pool": (
        lambda x: ops.max_pool(x, (3, 2), strides=1, padding="same"),
        slide(OUTER, (3, 2), (1, 1)).max((3, 4)),
    ),
    "average_pool": (
        lambda x: ops.average_pool(x, (3, 2), strides=1, padding="same"),
        np.nanmean(slide(MEANS, (3, 2), (1, 1)), axis=(3, 4)),
    ),
}  # fmt: skip


def test_windows() -> None:
    results = compute({name: ours for name, (ours, _) in WINDOWS.items()}, IMAGES)
    for name, (_, wanted) in WINDOWS.items():
        assert results[name].shape == wanted.shape, name
        np.testing.assert_allclose(results[name], wanted, rtol=1e-5, atol=1e-5, err_msg=name)


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "conv": (lambda x: ops.conv(x, np.ones((2, 2, 3, 1))), "4 channels do not fit a kernel of"),
    "padding": (lambda x: ops.max_pool(x, 2, padding="full"), "padding must be .*'full'"),
    "pool": (lambda x: ops.max_pool(x, (2, 0)), r"pool_size must be a positive int.*\(2, 0\)"),
    "format": (lambda x: ops.max_pool(x, 2, data_format="last"), "data_format must be .*'last'"),
    "split": (lambda x: ops.split(x, 4, axis=1), "6 elements cannot be cut into 4 equal parts"),
    "index": (lambda x: x[0, 6], r"6 does not index an axis of size 6 of shape \[2, 6, 5, 4\]"),
    "too many": (lambda x: x[0, 0, 0, 0, 0], "does not index shape"),
    "matmul": (lambda x: ops.matmul(x, np.ones((3, 2))), r"matmul: expected .* \[3, 2\]"),
    "mode": (lambda x: ops.pad(x, 1, mode="edge"), "mode must be constant, reflect or symmetric"),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors(name: str) -> None:
    function, message = WRONG[name]
    with Trace("test"), pytest.raises((ValueError, IndexError), match=message):
        function(ops.convert_to_tensor(IMAGES))


def test_a_models_tensor_is_indexed() -> None:
    x = layers.Input((5, 6))
    model = models.Model(x, x[:, 1:4:2, -1])
    assert model.output_shape == (None, 2)
    np.testing.assert_array_equal(model.predict(X, verbose=0), X[:, 1:4:2, -1])
