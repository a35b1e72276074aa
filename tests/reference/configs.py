"""Objects whose configurations graphc and Keras must agree on: one line a case.

The layers, losses, metrics and optimizers of the other tables, and what these leave out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import convolution
import layers
import losses
import metrics
import numpy as np
import optimizers
import preprocessing
import recurrent
import topologies


@dataclass(frozen=True)
class Case:
    """An object: the place of its class in the library, and arguments.

    Args:
        make: makes the object, where it takes more than a call of the class.
    """

    kind: str
    cls: str
    arguments: dict[str, Any]
    make: Callable[[ModuleType], Any] | None = None

    @property
    def name(self) -> str:
        given = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        return f"{self.kind}.{self.cls}({given})"

    def made(self, library: ModuleType) -> Any:
        """The object of a library."""
        if self.make is not None:
            return self.make(library)
        module: Any = library
        for part in self.kind.split("."):
            module = getattr(module, part)
        return getattr(module, self.cls)(**self.arguments)


def case(kind: str, cls: str, **arguments: Any) -> Case:
    return Case(kind, cls, arguments)


def layer(cls: str, **arguments: Any) -> Case:
    return Case("layers", cls, arguments)


def around(given: recurrent.Case) -> Case:
    arguments = {**given.arguments, **({"inside": given.inside} if given.inside else {})}
    return Case("layers", given.layer, arguments, lambda library: recurrent.layer(library, given))


def adapted(given: preprocessing.Case) -> Case:
    arguments = {**given.arguments, "adapted": True}
    return Case(
        "layers", given.layer, arguments, lambda library: preprocessing.made(library, given)
    )


def scheduled(given: optimizers.Case) -> Case:
    kind, *arguments = given.schedule
    return Case(
        "optimizers.schedules", kind, {"given": arguments},
        lambda library: getattr(library.optimizers.schedules, kind)(*arguments),
    )  # fmt: skip


def optimizer_with_schedule(library: ModuleType) -> Any:
    rate = library.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    return library.optimizers.Adam(rate, clipnorm=1.0)


def dense_with_objects(library: ModuleType) -> Any:
    return library.layers.Dense(
        3, "gelu", kernel_initializer=library.initializers.HeNormal(seed=3),
        kernel_regularizer=library.regularizers.L1L2(0.1, 0.2), bias_constraint="non_neg",
        activity_regularizer="l1", name="d", trainable=False,
    )  # fmt: skip


INITIALIZERS = [
    case("initializers", "Constant", value=0.5),
    case("initializers", "Identity", gain=2.0),
    case("initializers", "Orthogonal", gain=0.5, seed=1),
    case("initializers", "RandomNormal", stddev=0.1),
    case("initializers", "RandomUniform", minval=-1.0, seed=3),
    case("initializers", "TruncatedNormal", mean=1.0),
    case("initializers", "VarianceScaling", scale=2.0, mode="fan_avg", distribution="uniform"),
    case("initializers", "Zeros"),
    case("initializers", "Ones"),
    *(
        case("initializers", name, seed=2)
        for name in ("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal",
                     "LecunUniform")
    ),
]  # fmt: skip

LAYERS = [
    Case("layers", "Dense", {"of": "objects"}, dense_with_objects),
    layer("Dense", units=2),
    layer("Embedding", input_dim=7, output_dim=3, mask_zero=True, embeddings_regularizer="l2"),
    layer("Activation", activation="swish"),
    layer("AlphaDropout", rate=0.2, seed=4),
    layer("Dropout", rate=0.5, noise_shape=(None, 1), seed=3),
    layer("GaussianDropout", rate=0.5),
    layer("GaussianNoise", stddev=0.1, seed=7),
    layer("SpatialDropout2D", rate=0.5, data_format="channels_first"),
    layer("SpatialDropout3D", rate=0.5, seed=1),
    layer("InputLayer", shape=(3, None), dtype="int32", name="numbers"),
    layer("Masking", mask_value=-1.0),
    layer("BatchNormalization", gamma_regularizer="l2", beta_constraint="non_neg"),
    layer("DepthwiseConv2D", kernel_size=3, depthwise_regularizer="l1"),
    layer("GlobalAveragePooling1D"),
    layer("GlobalMaxPooling3D"),
    layer("LSTM", units=3, dropout=0.2, recurrent_dropout=0.1, seed=5, kernel_regularizer="l2"),
    layer("GRU", units=3, activity_regularizer="l2", recurrent_constraint="unit_norm"),
    layer("SimpleRNNCell", units=3),
    layer("GRUCell", units=3, reset_after=False),
    layer("Normalization", axis=-1, mean=[1.0, 2.0], variance=[0.5, 1.5], invert=True),
    layer("Rescaling", scale=np.array([0.5, 2.0], np.float32), offset=1.0),
    layer("Attention", dropout=0.1, seed=2),
    layer("MultiHeadAttention", num_heads=2, key_dim=3, output_shape=4, dropout=0.1),
    layer("Conv1D", filters=2, kernel_size=3, bias_regularizer="l2"),
    layer("MaxPooling1D", pool_size=3, strides=1, padding="same"),
    layer("RandomFlip", mode="vertical", seed=3, data_format="channels_first"),
    layer("RandomCrop", height=3, width=4, seed=3),
    layer("RandomRotation", factor=0.2, fill_mode="wrap"),
    layer("RandomZoom", height_factor=0.2),
    layer(
        "RandomTranslation", height_factor=0.2, width_factor=(-0.1, 0.3), interpolation="nearest"
    ),
    layer("RandomContrast", factor=0.2),
    layer("RandomBrightness", factor=[-0.1, 0.2], value_range=[0.0, 1.0], seed=1),
]

PENALTIES = [
    case("regularizers", "L1", l1=0.2),
    case("regularizers", "L2"),
    case("regularizers", "L1L2", l1=0.1, l2=0.2),
    case("regularizers", "OrthogonalRegularizer", factor=0.2, mode="columns"),
    case("constraints", "MaxNorm", max_value=3, axis=1),
    case("constraints", "MinMaxNorm", min_value=0.5, rate=0.7, axis=[0, 1]),
    case("constraints", "NonNeg"),
    case("constraints", "UnitNorm", axis=1),
]

CASES = [
    *INITIALIZERS,
    *PENALTIES,
    *LAYERS,
    *(Case("layers", c.layer, c.arguments) for c in [*layers.CASES, *convolution.CASES]),
    *(layer(c.layer, **c.arguments) for c in preprocessing.CASES if c.data is None),
    *(adapted(c) for c in preprocessing.CASES if c.data is not None),
    *map(around, recurrent.CASES),
    *(Case("losses", c.loss, c.arguments) for c in losses.CASES),
    *(Case("metrics", c.metric, c.arguments) for c in metrics.CASES),
    case("metrics", "Mean", name="average"),
    case("metrics", "Sum"),
    *(Case("optimizers", c.optimizer, c.arguments) for c in optimizers.CASES if not c.schedule),
    *(scheduled(c) for c in optimizers.CASES if c.schedule),
    Case("optimizers", "Adam", {"of": "schedule"}, optimizer_with_schedule),
]
CASES = list({case.name: case for case in CASES}.values())


def functions(library: ModuleType) -> Any:
    """Functions and operators on a model's tensors."""
    ops, layers = library.ops, library.layers
    x = layers.Input((4,), name="x")
    h = layers.Dense(3, "tanh", name="h")(x)
    whole = ops.concatenate([h, 1.0 - h], axis=-1)[:, None] * 2.0
    mean = ops.mean(whole, axis=1, keepdims=True)
    product = ops.einsum("ab,ab->ab", h, ops.softmax(-h, axis=-1))
    turned = ops.transpose(ops.reshape(h, (-1, 3, 1)), (0, 2, 1))
    chosen = ops.where(ops.clip(h, 0.0, 0.5) > 0.2, h, 0.0) - ops.sqrt(ops.square(h) + 1.0)
    padded = ops.pad(ops.stack([h, h], axis=1)[..., 0], ((0, 0), (1, 1)))
    return library.models.Model(x, [mean, product, turned, chosen, padded, ops.relu(h)])


def functions_with_defaults(library: ModuleType) -> Any:
    """Functions that have options in Keras that they do not have here."""
    x = library.layers.Input((4,), name="x")
    most = library.ops.argmax(library.ops.normalize(x), axis=-1)
    return library.models.Model(x, library.ops.one_hot(library.ops.cast(most, "int32"), 4))


def sequence(library: ModuleType) -> Any:
    """Masks, which Keras writes as functions of the inputs; states; wrappers."""
    layers = library.layers
    x = layers.Input((5, 4), name="x")
    masked = layers.Masking(name="m")(x)
    steps, state = layers.SimpleRNN(3, return_sequences=True, return_state=True)(masked)
    again = layers.SimpleRNN(3, return_sequences=True)(steps, initial_state=[state])
    both = layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True))(again)
    each = layers.TimeDistributed(layers.Dense(3))(both)
    seen = layers.MultiHeadAttention(2, 3, dropout=0.1)(each, each, use_causal_mask=True)
    return library.models.Model(x, layers.Dropout(0.5)(layers.GlobalAveragePooling1D()(seen)))


def own_calls(library: ModuleType) -> Any:
    """A functional model as a layer, called twice, whose results are the outer model's."""
    layers, models = library.layers, library.models
    x = layers.Input((4,), name="x")
    inner = models.Model(x, layers.Dense(4)(layers.BatchNormalization()(x)), name="inner")
    start = layers.Input((4,), name="start")
    once = inner(start)
    twice = inner(once)
    return models.Model({"start": start}, {"pair": [once, twice], "last": layers.ReLU()(twice)})


def compiled(library: ModuleType) -> Any:
    layers = library.layers
    model = library.models.Sequential([layers.Input((4,)), layers.Dense(3), layers.Softmax()])
    rate = library.optimizers.schedules.CosineDecay(0.1, 100)
    model.compile(
        library.optimizers.SGD(rate, momentum=0.9),
        library.losses.CategoricalCrossentropy(label_smoothing=0.1), metrics=[
            "accuracy", library.metrics.AUC(name="auc"), library.metrics.mean_squared_error,
        ],
    )  # fmt: skip
    return model


def unbuilt(library: ModuleType) -> Any:
    model = library.models.Sequential([library.layers.Dense(3), library.layers.Dropout(0.5)])
    model.compile("adam", "mse", weighted_metrics=["mae"])
    return model


def several_losses(library: ModuleType) -> Any:
    model = topologies.heads(library)
    model.compile(
        "rmsprop", {"a": "mse", "b": "sparse_categorical_crossentropy"},
        loss_weights={"a": 1.0, "b": 0.5}, metrics={"b": ["accuracy"], "a": ["mae"]},
    )  # fmt: skip
    return model


MODELS: dict[str, Callable[[ModuleType], Any]] = {
    **topologies.MODELS,
    **{
        f.__name__: f
        for f in (
            functions,
            functions_with_defaults,
            sequence,
            own_calls,
            compiled,
            unbuilt,
            several_losses,
        )
    },
}
