"""The models that contenders train: each built by one function, for graphc and for Keras alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

MSE, CROSSENTROPY = "mse", "categorical_crossentropy"
RATE = 0.001

# A function of a library's modules `layers` and `models` that returns a model.
Build = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Workload:
    """A model and how it is trained.

    Attributes:
        about: the model in a line.
        build: makes it, softmax and all.
        shape: of one row of x.
        outputs: numbers in a row of y: one-hot classes, or a single real number.
        batch: rows of a step.
        steps: of a round.
        optimizer, loss: names, as in Keras; the learning rate is RATE.
        vocabulary: for integers below this as x, instead of real numbers.
    """

    about: str
    build: Build
    shape: tuple[int, ...]
    outputs: int
    batch: int
    steps: int
    optimizer: str = "Adam"
    loss: str = CROSSENTROPY
    vocabulary: int = 0

    def data(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Random inputs and targets."""
        random = np.random.default_rng(0)
        if self.vocabulary:
            x = random.integers(0, self.vocabulary, (rows, *self.shape), np.int32)
        else:
            x = random.random((rows, *self.shape), np.float32)
        if self.outputs == 1:
            return x, random.random((rows, 1), np.float32)
        labels = random.integers(0, self.outputs, rows)
        return x, np.eye(self.outputs, dtype=np.float32)[labels]

    def model(self, library: str) -> Any:
        """The compiled model of "keras" or "graphc"."""
        layers, models, optimizers = (
            import_module(f"{library}.{part}") for part in ("layers", "models", "optimizers")
        )
        model = self.build(layers, models)
        model.compile(optimizer=getattr(optimizers, self.optimizer)(RATE), loss=self.loss)
        return model


def dense(shape: tuple[int, ...], *widths: int) -> Build:
    """Dense layers: relu, and softmax at the end."""

    def build(layers: Any, models: Any) -> Any:
        hidden = [layers.Dense(units, activation="relu") for units in widths[:-1]]
        last = layers.Dense(widths[-1], activation="softmax")
        return models.Sequential([layers.Input(shape), *hidden, last])

    return build


def cnn(layers: Any, models: Any) -> Any:
    """Two 3x3 convolutions, each followed by pooling."""
    return models.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def recurrent(kind: str) -> Build:
    """LSTM or GRU, and one number."""

    def build(layers: Any, models: Any) -> Any:
        rnn = getattr(layers, kind)(64)
        return models.Sequential([layers.Input((100, 32)), rnn, layers.Dense(1)])

    return build


def incept(layers: Any, models: Any) -> Any:
    """Two Inception modules with pooling between them."""
    conv = partial(layers.Conv2D, activation="relu", padding="same")
    pool = partial(layers.MaxPooling2D, padding="same")

    def module(x: Any, one: int, three: tuple[int, int], five: tuple[int, int], last: int) -> Any:
        towers = [
            conv(one, 1)(x),
            conv(three[1], 3)(conv(three[0], 1)(x)),
            conv(five[1], 5)(conv(five[0], 1)(x)),
            conv(last, 1)(pool(3, strides=1)(x)),
        ]
        return layers.Concatenate()(towers)

    inputs = layers.Input((32, 32, 3))
    x = module(conv(32, 3)(inputs), 16, (16, 32), (8, 16), 16)
    x = module(pool(2)(x), 32, (32, 64), (16, 32), 32)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return models.Model(inputs, outputs)


def dwise(layers: Any, models: Any) -> Any:
    """As MobileNet: depthwise 3x3 and 1x1 convolutions, some with strides."""
    same: dict[str, Any] = {"activation": "relu", "padding": "same"}
    x = inputs = layers.Input((64, 64, 3))
    x = layers.Conv2D(32, 3, strides=2, **same)(x)
    for filters, strides in ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1)):
        x = layers.DepthwiseConv2D(3, strides=strides, **same)(x)
        x = layers.Conv2D(filters, 1, **same)(x)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return models.Model(inputs, outputs)


def dilated(layers: Any, models: Any) -> Any:
    """Convolutions with strides, and with dilation."""
    conv = partial(layers.Conv2D, kernel_size=3, activation="relu", padding="same")
    x = inputs = layers.Input((48, 48, 3))
    x = conv(32, strides=2)(x)
    for dilation in (2, 4):
        x = conv(32, dilation_rate=dilation)(x)
    x = conv(64, strides=2)(x)
    x = conv(64, dilation_rate=2)(x)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return models.Model(inputs, outputs)


def bidir(layers: Any, models: Any) -> Any:
    """An LSTM in each direction, then classes."""
    return models.Sequential(
        [
            layers.Input((50, 40)),
            layers.Bidirectional(layers.LSTM(48)),
            layers.Dense(10, activation="softmax"),
        ]
    )


def resnet(layers: Any, models: Any) -> Any:
    """Three residual blocks with batch normalisation (ResNet-8)."""
    conv = partial(layers.Conv2D, padding="same", use_bias=False)

    def normal(x: Any) -> Any:
        return layers.BatchNormalization()(x)

    def relu(x: Any) -> Any:
        return layers.Activation("relu")(x)

    def block(x: Any, filters: int, strides: int) -> Any:
        y = relu(normal(conv(filters, 3, strides=strides)(x)))
        y = normal(conv(filters, 3)(y))
        if strides > 1:
            x = normal(conv(filters, 1, strides=strides)(x))
        return relu(layers.Add()([x, y]))

    inputs = layers.Input((32, 32, 3))
    x = relu(normal(conv(16, 3)(inputs)))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        x = block(x, filters, strides)
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling2D()(x))
    return models.Model(inputs, outputs)


def embed(layers: Any, models: Any) -> Any:
    """Words to vectors, their mean, classes."""
    return models.Sequential(
        [
            layers.Input((200,), dtype="int32"),
            layers.Embedding(10_000, 64),
            layers.GlobalAveragePooling1D(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def transformer(layers: Any, models: Any) -> Any:
    """One encoder block: attention and a feed-forward net, each with a residual."""
    x = inputs = layers.Input((64, 128))
    attention = layers.MultiHeadAttention(num_heads=4, key_dim=32)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, attention]))
    y = layers.Dense(128)(layers.Dense(256, activation="relu")(x))
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    outputs = layers.Dense(10, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    return models.Model(inputs, outputs)


WORKLOADS = {
    "mlp_s": Workload(
        "784-32-10", dense((784,), 32, 10), (784,), 10, 128, 400, "RMSprop", MSE
    ),
    "mlp_l": Workload(
        "784-1024-1024-10", dense((784,), 1024, 1024, 10), (784,), 10, 128, 100
    ),
    "mlp_xl": Workload(
        "2048x4 wide 2048, 10", dense((2048,), *[2048] * 4, 10), (2048,), 10, 512, 10
    ),
    "cnn": Workload(
        "28x28x1: conv 32, pool, conv 64, pool, dense 128, dense 10", cnn, (28, 28, 1), 10, 128, 20
    ),
    "lstm": Workload(
        "(100, 32): LSTM 64, dense 1", recurrent("LSTM"), (100, 32), 1, 64, 40, loss=MSE
    ),
    "incept": Workload(
        "32x32x3: conv 32, two Inception modules, dense 10", incept, (32, 32, 3), 10, 32, 10
    ),
    "dwise": Workload(
        "64x64x3: conv 32 /2, five depthwise 3x3 + 1x1 to 256", dwise, (64, 64, 3), 10, 32, 20
    ),
    "dilated": Workload(
        "48x48x3: five 3x3 convs, strides 2, dilations 2 and 4", dilated, (48, 48, 3), 10, 32, 20
    ),
    "gru": Workload(
        "(100, 32): GRU 64, dense 1", recurrent("GRU"), (100, 32), 1, 64, 40, loss=MSE
    ),
    "bidir": Workload("(50, 40): bidirectional LSTM 48, dense 10", bidir, (50, 40), 10, 64, 40),
    "resnet": Workload(
        "32x32x3: ResNet-8 with batch normalisation", resnet, (32, 32, 3), 10, 32, 20
    ),
    "embed": Workload(
        "200 words of 10,000: embedding 64, mean, dense 64, dense 10", embed, (200,), 10, 64, 100,
        vocabulary=10_000,
    ),
    "transformer": Workload(
        "(64, 128): attention of 4 heads, dense 256, 128, layer norm", transformer, (64, 128), 10,
        32, 40,
    ),
    "odd": Workload(
        "301-173-59-13", dense((301,), 173, 59, 13), (301,), 13, 77, 400
    ),
}  # fmt: skip
# Workloads that predict: the model of each.
PREDICTED = {"predict": "mlp_s"} | {f"predict_{name}": name for name in WORKLOADS}
WORKLOADS |= {name: WORKLOADS[model] for name, model in PREDICTED.items()}
