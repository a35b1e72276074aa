"""Small models, one a family of layers, for files that go from one library to the other."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

ROWS, BATCH = 12, 4


@dataclass(frozen=True)
class Family:
    """A model and how it is trained.

    Args:
        build: makes the model with `keras`, or with `graphc`.
        inputs: shape of each input, or (shape, count) where it takes ints below the count.
        outputs: shape of each output.
        optimizer: its class and arguments.
        loss, metrics: of compile.
        trains: whether its steps are the same in both libraries: they draw no numbers.
        suffix: of the file: ".h5" is the format of Keras 2.
        backend: that Keras needs for it.
    """

    build: Callable[[ModuleType], Any]
    inputs: tuple[Any, ...]
    outputs: tuple[tuple[int, ...], ...] = ((2,),)
    optimizer: tuple[str, dict[str, Any]] = ("Adam", {"learning_rate": 0.01})
    loss: Any = "mse"
    metrics: Any = ("mae",)
    trains: bool = True
    suffix: str = ".keras"
    backend: str = "jax"

    @property
    def name(self) -> str:
        return self.build.__name__

    def compiled(self, lib: ModuleType) -> Any:
        """The model, ready to be trained."""
        model = self.build(lib)
        kind, options = self.optimizer
        if "learning_rate" in options and isinstance(options["learning_rate"], tuple):
            schedule, arguments = options["learning_rate"]
            rate = getattr(lib.optimizers.schedules, schedule)(**arguments)
            options = {**options, "learning_rate": rate}
        optimizer = getattr(lib.optimizers, kind)(**options)
        metrics = list(self.metrics) if isinstance(self.metrics, tuple) else self.metrics
        model.compile(optimizer, self.loss, metrics=metrics)
        return model

    def data(self) -> tuple[Any, Any]:
        """x and y."""
        x = [self._input(at, *given) for at, given in enumerate(map(_shape, self.inputs))]
        y = [self._random(f"y{at}").random((ROWS, *shape)) for at, shape in enumerate(self.outputs)]
        y = [array.astype(np.float32) for array in y]
        return (x if len(x) > 1 else x[0]), (y if len(y) > 1 else y[0])

    def _input(self, at: int, shape: tuple[int, ...], count: int | None) -> np.ndarray:
        random = self._random(f"x{at}")
        if count is None:
            return random.normal(size=(ROWS, *shape)).astype(np.float32)
        return random.integers(0, count, (ROWS, *shape)).astype(np.int32)

    def _random(self, what: str) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32(f"{self.name} {what}".encode()))

    def weights(self, model: Any) -> list[np.ndarray]:
        """Values for its weights; positive ones, as some are variances."""
        random = self._random("weights")
        return [(random.random(w.shape) * 0.4 + 0.05).astype(w.dtype) for w in model.get_weights()]

    def losses(self, model: Any) -> np.ndarray:
        """The losses of two more epochs."""
        x, y = self.data()
        history = model.fit(x, y, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
        return np.array(history.history["loss"], np.float64)

    def predictions(self, model: Any) -> list[np.ndarray]:
        """The outputs for x."""
        x, _ = self.data()
        results = model.predict(x, verbose=0)
        return list(results) if isinstance(results, (list, tuple)) else [results]


def _shape(given: Any) -> tuple[tuple[int, ...], int | None]:
    nested = bool(given) and isinstance(given[0], tuple)
    return given if nested else (given, None)


def dense(lib: ModuleType) -> Any:
    layers, l2 = lib.layers, lib.regularizers.L2(0.01)
    return lib.models.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(4, "relu", kernel_regularizer=l2, kernel_constraint="max_norm"),
            layers.PReLU(),
            layers.Dropout(0.0),
            layers.EinsumDense("ab,bc->ac", 3, bias_axes="c", activation="tanh"),
            layers.Dense(2, use_bias=False),
        ]
    )


def convolution(lib: ModuleType) -> Any:
    layers = lib.layers
    x = layers.Input((8, 8, 2))
    y = layers.Conv2D(3, 3, padding="same", activation="relu")(x)
    y = layers.BatchNormalization()(y)
    y = layers.MaxPooling2D(2)(y)
    y = layers.SeparableConv2D(3, 2)(y)
    y = layers.Conv2DTranspose(2, 2)(y)
    return lib.models.Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(y)))


def recurrent(lib: ModuleType) -> Any:
    layers = lib.layers
    x = layers.Input((5,), dtype="int32")
    y = layers.Embedding(7, 3, mask_zero=True)(x)
    y = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(y)
    y = layers.RNN([layers.GRUCell(2), layers.SimpleRNNCell(3)], return_sequences=True)(y)
    y = layers.TimeDistributed(layers.Dense(2))(y)
    return lib.models.Model(x, layers.GRU(2)(y))


def attention(lib: ModuleType) -> Any:
    layers = lib.layers
    x = layers.Input((4, 6))
    y = layers.MultiHeadAttention(2, 3)(x, x)
    y = layers.LayerNormalization()(layers.Add()([x, y]))
    y = layers.Attention(use_scale=True)([y, y])
    return lib.models.Model(x, layers.Dense(2)(layers.GlobalMaxPooling1D()(y)))


def normalizing(lib: ModuleType) -> Any:
    layers = lib.layers
    x = layers.Input((4, 6))
    y = layers.GroupNormalization(2)(x)
    y = layers.LeakyReLU()(y)
    y = layers.BatchNormalization(scale=False)(layers.RMSNormalization()(y))
    return lib.models.Model(x, layers.Dense(2)(layers.Flatten()(y)))


def noisy(lib: ModuleType) -> Any:
    layers = lib.layers
    return lib.models.Sequential(
        [
            layers.Input((5, 3)),
            layers.GaussianNoise(0.1),
            layers.LSTM(2, dropout=0.2, recurrent_dropout=0.1),
            layers.Dropout(0.5),
            layers.Dense(2),
        ]
    )


def images(lib: ModuleType) -> Any:
    """Layers that draw numbers in training."""
    layers = lib.layers
    return lib.models.Sequential(
        [
            layers.Input((6, 6, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.2),
            layers.RandomZoom(0.2),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomContrast(0.3, value_range=(-3.0, 3.0)),
            layers.RandomBrightness(0.3, value_range=(-3.0, 3.0)),
            layers.Resizing(5, 4),
            layers.Rescaling(0.5),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


def nested(lib: ModuleType) -> Any:
    layers, models = lib.layers, lib.models
    start = layers.Input((3,))
    twice = layers.Dense(3, "tanh")
    inner = models.Model(start, [twice(start), layers.Dense(3, name="side")(twice(start))])
    chain = models.Sequential([layers.Input((3,)), layers.Dense(4, "relu"), layers.Dense(3)])
    x, z = layers.Input((3,)), layers.Input((3,))
    a, b = inner(chain(x))
    first = layers.Dense(2, name="first")(layers.Concatenate()([a, z]))
    second = layers.Dense(1, name="second")(layers.Multiply()([b, chain(z)]))
    return models.Model([x, z], [first, second])


def lookup(lib: ModuleType) -> Any:
    """Numbers by vocabularies, which Keras keeps in files beside the configuration."""
    layers = lib.layers
    data = np.array([[3, 3, 5], [5, 8, 3], [8, 1, 3]])
    first = layers.IntegerLookup(mask_token=0, num_oov_indices=2)
    weighed = layers.IntegerLookup(output_mode="tf_idf")
    first.adapt(data)
    weighed.adapt(data)
    given = layers.IntegerLookup(vocabulary=[5, 3], output_mode="multi_hot")
    x = layers.Input((4,), dtype="int64")
    y = layers.GlobalAveragePooling1D()(layers.Embedding(7, 3)(first(x)))
    y = layers.Concatenate()([y, layers.Dense(2)(weighed(x)), layers.Rescaling(0.5)(given(x))])
    return lib.models.Model(x, layers.Dense(2)(y))


def texts(lib: ModuleType) -> Any:
    """A layer of one's own, with words that it took from data; not one of FAMILIES."""

    class Texts(lib.layers.Layer):  # type: ignore[name-defined, misc]
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.words = lib.layers.TextVectorization(output_mode="tf_idf")
            self.letters = lib.layers.StringLookup(mask_token="")

        def call(self, inputs: Any) -> Any:
            return inputs

    return Texts


TEXTS, LETTERS = ["so what", "what now", "now or never, café"], ["ß", "b", "a", "b", "", "a", "a"]
ASKED = (["never so", "so so?"], ["a", "ß", "c", ""])
TWO: dict[str, Any] = {
    "inputs": ((3,), (3,)), "outputs": ((2,), (1,)), "loss": ["mse", "huber"], "metrics": None
}  # fmt: skip
DECAY = ("ExponentialDecay", {"initial_learning_rate": 0.05, "decay_steps": 5, "decay_rate": 0.9})

FAMILIES = [
    Family(dense, ((3,),), optimizer=("Adam", {"learning_rate": 0.02, "amsgrad": True})),
    Family(convolution, ((8, 8, 2),), optimizer=("SGD", {"learning_rate": 0.05, "momentum": 0.9})),
    Family(recurrent, (((5,), 7),), optimizer=("SGD", {"learning_rate": 0.1})),
    Family(attention, ((4, 6),), optimizer=("SGD", {"learning_rate": DECAY})),
    Family(normalizing, ((4, 6),), optimizer=("RMSprop", {"learning_rate": 0.01})),
    Family(
        noisy, ((5, 3),), optimizer=("SGD", {"learning_rate": 0.01}), trains=False, suffix=".h5"
    ),
    Family(images, ((6, 6, 3),), optimizer=("SGD", {"learning_rate": 0.01}), trains=False),
    Family(nested, optimizer=("SGD", {"learning_rate": 0.05}), **TWO),
    Family(lookup, (((4,), 10),), optimizer=("SGD", {"learning_rate": 0.1}), backend="tensorflow"),
]
