"""Models in plain JAX: a jitted step that gathers, differentiates and updates donated state."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from contenders import Model
from jax import lax, nn
from jax import numpy as jnp
from workloads import CROSSENTROPY, PREDICTED, RATE, Workload

EPSILON = 1e-7
RHO = 0.9  # RMSprop
BETA_1, BETA_2 = 0.9, 0.999  # Adam

Shapes = list[tuple[int, ...]]


@dataclass(frozen=True)
class Network:
    """Shapes of the parameters, and the function from them and x to the outputs, or logits."""

    shapes: Shapes
    apply: Callable[[list[Any], Any], Any]


def layer(*kernel: int) -> Shapes:
    """A kernel and its bias."""
    return [kernel, kernel[-1:]]


def conv(x: Any, kernel: Any, bias: Any, padding: str) -> Any:
    y = lax.conv_general_dilated(x, kernel, (1, 1), padding, None, None, ("NHWC", "HWIO", "NHWC"))
    return nn.relu(y + bias)


def pool(x: Any, size: int, strides: int, padding: str) -> Any:
    window = (1, size, size, 1), (1, strides, strides, 1)
    return lax.reduce_window(x, -jnp.inf, lax.max, *window, padding)


def mlp(*widths: int) -> Network:
    def apply(params: list[Any], x: Any) -> Any:
        *hidden, kernel, bias = params
        for weights, shift in zip(hidden[::2], hidden[1::2], strict=True):
            x = nn.relu(x @ weights + shift)
        return x @ kernel + bias

    pairs = itertools.pairwise(widths)
    return Network([shape for pair in pairs for shape in layer(*pair)], apply)


def cnn() -> Network:
    def apply(params: list[Any], x: Any) -> Any:
        for at in (0, 2):
            x = pool(conv(x, *params[at : at + 2], "VALID"), 2, 2, "VALID")
        x = nn.relu(x.reshape(len(x), -1) @ params[4] + params[5])
        return x @ params[6] + params[7]

    convs = layer(3, 3, 1, 32) + layer(3, 3, 32, 64)
    return Network(convs + layer(1600, 128) + layer(128, 10), apply)


def lstm() -> Network:
    def apply(params: list[Any], x: Any) -> Any:
        kernel, recurrent, bias, last, shift = params

        def step(carry: Any, part: Any) -> Any:
            h, c = carry
            i, f, g, o = jnp.split(part + h @ recurrent, 4, axis=-1)
            c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
            return (nn.sigmoid(o) * jnp.tanh(c), c), None

        start = jnp.zeros((len(x), 64))
        parts = (x @ kernel + bias).transpose(1, 0, 2)
        (h, _), _ = lax.scan(step, (start, start), parts)
        return h @ last + shift

    return Network([(32, 256), (64, 256), (256,), *layer(64, 1)], apply)


def incept() -> Network:
    # Towers: 1x1; 1x1 and 3x3; 1x1 and 5x5; pooling and 1x1.
    sizes = (1, 1, 3, 1, 5, 1)
    modules = (32, (16, 16, 32, 8, 16, 16)), (80, (32, 32, 64, 16, 32, 32))
    shapes = layer(3, 3, 3, 32)
    for channels, (a, b, c, d, e, f) in modules:
        inputs = (channels, channels, b, channels, d, channels)
        for size, given, filters in zip(sizes, inputs, (a, b, c, d, e, f), strict=True):
            shapes += layer(size, size, given, filters)

    def module(x: Any, params: list[Any]) -> Any:
        one, three_in, three, five_in, five, last = (
            partial(conv, kernel=params[at], bias=params[at + 1], padding="SAME")
            for at in range(0, 12, 2)
        )
        towers = one(x), three(three_in(x)), five(five_in(x)), last(pool(x, 3, 1, "SAME"))
        return jnp.concatenate(towers, axis=-1)

    def apply(params: list[Any], x: Any) -> Any:
        x = module(conv(x, *params[:2], "SAME"), params[2:14])
        x = module(pool(x, 2, 2, "SAME"), params[14:26])
        return x.mean((1, 2)) @ params[26] + params[27]

    return Network(shapes + layer(160, 10), apply)


NETWORKS = {
    "mlp_s": mlp(784, 32, 10),
    "mlp_l": mlp(784, 1024, 1024, 10),
    "mlp_xl": mlp(2048, 2048, 2048, 2048, 2048, 10),
    "odd": mlp(301, 173, 59, 13),
    "cnn": cnn(),
    "lstm": lstm(),
    "incept": incept(),
}


def rmsprop(params: Any, grads: Any, m: Any, v: Any, count: Any) -> Any:
    v = jax.tree.map(lambda v, g: RHO * v + (1 - RHO) * g * g, v, grads)
    change = jax.tree.map(lambda p, g, v: p - RATE * g / jnp.sqrt(v + EPSILON), params, grads, v)
    return change, m, v


def adam(params: Any, grads: Any, m: Any, v: Any, count: Any) -> Any:
    m = jax.tree.map(lambda m, g: m + (1 - BETA_1) * (g - m), m, grads)
    v = jax.tree.map(lambda v, g: v + (1 - BETA_2) * (g * g - v), v, grads)
    rate = RATE * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
    change = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), params, m, v)
    return change, m, v


def initial(shapes: Shapes, random: np.random.Generator) -> list[Any]:
    """Kernels in Glorot's range; biases are zero."""
    params = []
    for shape in shapes:
        limit = (6 / sum(shape[-2:])) ** 0.5 if len(shape) > 1 else 0
        params.append(jnp.asarray(random.uniform(-limit, limit, shape).astype(np.float32)))
    return params


def contender(workload: str, work: Workload) -> Model:
    """The workload in JAX.

    Raises:
        LookupError: when it is not written here.
    """
    workload = PREDICTED.get(workload, workload)
    if workload not in NETWORKS:
        raise LookupError(f"raw JAX has no model of {workload}")
    network = NETWORKS[workload]
    update = {"RMSprop": rmsprop, "Adam": adam}[work.optimizer]
    activation = nn.softmax if work.outputs > 1 else (lambda y: y)

    def loss(params: Any, x: Any, y: Any) -> Any:
        outputs = network.apply(params, x)
        if work.loss == CROSSENTROPY:
            return -jnp.mean(jnp.sum(y * nn.log_softmax(outputs), axis=-1))
        return jnp.mean((activation(outputs) - y) ** 2)

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any, rows: Any) -> Any:
        params, m, v, count = state
        value, grads = jax.value_and_grad(loss)(params, x[rows], y[rows])
        params, m, v = update(params, grads, m, v, count + 1)
        return (params, m, v, count + 1), value

    random = np.random.default_rng(0)
    params = initial(network.shapes, random)
    zeros = partial(jax.tree.map, jnp.zeros_like, params)
    state = (params, zeros(), zeros(), jnp.zeros(()))
    device_data: dict[int, Any] = {}  # by the identity of x: a set is put there once

    def train(x: np.ndarray, y: np.ndarray) -> None:
        nonlocal state
        if id(x) not in device_data:
            device_data.clear()
            device_data[id(x)] = jnp.asarray(x), jnp.asarray(y)
        order = random.permutation(len(x)).astype(np.int32)
        for start in range(0, len(x), work.batch):
            rows = order[start : start + work.batch]
            state, _ = step(state, *device_data[id(x)], rows)
        jax.block_until_ready(state)

    forward = jax.jit(lambda params, x: activation(network.apply(params, x)))
    return Model(f"jax {jax.__version__}", train, lambda x: np.asarray(forward(state[0], x)))
