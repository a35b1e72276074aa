"""Write `keras_2.tar.xz`: models in HDF5 files as real Keras 2 writes them, and what it computes.

Run from the repository's root, in an environment with TensorFlow 2.15 (which has Keras 2.15):

    python tests/reference/files/make_keras_2.py

The archive holds `<case>.h5`, `<case>.weights.h5` of some, and `results.npz`: "<case>/x/0" ...,
predictions "<case>/prediction/0" ..., and of those that are trained "<case>/y/0" ... and
"<case>/history/<name>" of two more epochs, after two before the file was written.
"""

import io
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

keras = tf.keras
L, O, S = keras.layers, keras.optimizers, keras.optimizers.schedules  # noqa: E741
OLD = O.legacy
ROWS, BATCH = 8, 4
TARGET = Path(__file__).with_name("keras_2.tar.xz")


def chain(*layers: Any) -> Any:
    return keras.Sequential(list(layers))


def recurrent() -> Any:
    return chain(
        L.Embedding(5, 4, input_length=5, mask_zero=True),
        L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="sum"),
        L.SpatialDropout1D(0.1),
        L.RNN([L.GRUCell(2), L.LSTMCell(3)], return_sequences=True),
        L.TimeDistributed(L.Dense(3)),
        L.GRU(2, reset_after=False, return_sequences=True),
        L.SimpleRNN(2, go_backwards=True),
    )


def translation() -> Any:
    """States among the inputs of a call."""
    first, second = L.Input((5, 3)), L.Input((4, 3))
    _, h, c = L.LSTM(4, return_state=True)(first)
    y = L.LSTM(4, return_sequences=True)(second, initial_state=[h, c])
    y, last = L.GRU(4, return_sequences=True, return_state=True)(y, initial_state=h)
    return keras.Model([first, second], [L.Dense(2)(y), last])


def attention() -> Any:
    """Tensors among the options of a call."""
    x, z = L.Input((5, 4)), L.Input((3, 4))
    y = L.MultiHeadAttention(2, 3)(x, z)
    y = L.LayerNormalization()(L.Add()([x, y]))
    y, scores = L.MultiHeadAttention(2, 3)(y, y, return_attention_scores=True, use_causal_mask=True)
    return keras.Model([x, z], [L.Attention(use_scale=True)([y, z]), scores])


def siamese() -> Any:
    """A model that is called twice, and is the last layer too."""
    start = L.Input((3,))
    inner = keras.Model(start, L.Dense(3, "relu")(start), name="inner")
    a, b = L.Input((3,)), L.Input((3,))
    whole = keras.Model([a, b], inner(L.subtract([inner(a), inner(b)])), name="whole")
    c, d = L.Input((3,)), L.Input((3,))
    head = chain(L.Dense(2, input_shape=(3,)), L.BatchNormalization(), L.Dropout(0.5))
    late = chain(L.Dense(2), L.Activation("softmax"))
    return keras.Model([c, d], [head(whole([c, d]), training=False), late(c)])


def preprocessing() -> Any:
    normalization = L.Normalization()
    normalization.adapt(np.random.default_rng(3).normal(2, 3, (20, 4)).astype(np.float32))
    x = L.Input((4,))
    bins = L.CategoryEncoding(3, output_mode="multi_hot")(L.Discretization([-1.0, 0.0])(x))
    number = L.Input((4,), dtype="int64")
    found = L.Flatten()(L.Embedding(5, 2)(L.IntegerLookup(vocabulary=[1, 2, 3])(number)))
    return keras.Model([x, number], L.Concatenate()([normalization(x), bins, found]))


LAYERS: dict[str, Callable[[], Any]] = {
    "dense": lambda: chain(
        L.Dense(
            3, input_dim=4, kernel_regularizer=keras.regularizers.l1_l2(0.1, 0.2),
            kernel_constraint="max_norm", bias_initializer=keras.initializers.Constant(0.3),
            kernel_initializer=keras.initializers.VarianceScaling(seed=3),
            activity_regularizer="l1",
        ),
        L.ActivityRegularization(l2=0.1),
        L.Dense(2, "hard_sigmoid", kernel_initializer="he_normal", trainable=False),
    ),
    "activations": lambda: chain(
        L.Input((4, 3)), L.LeakyReLU(alpha=0.2), L.PReLU(shared_axes=[1]), L.ELU(0.5),
        L.Dense(3), L.ThresholdedReLU(0.2), L.Activation(tf.nn.relu), L.Softmax(),
    ),
    "convolution": lambda: chain(
        L.Input((9, 8, 2)), L.Conv2D(3, 3, activation="relu"), L.BatchNormalization(),
        L.DepthwiseConv2D(3, depth_multiplier=2),
        L.SeparableConv2D(3, 2, kernel_regularizer="l2"), L.MaxPooling2D(2, padding="same"),
        L.Conv2DTranspose(2, 3), L.UpSampling2D(), L.ZeroPadding2D(1), L.GlobalMaxPooling2D(),
    ),
    "steps": lambda: chain(
        L.Input((6, 2)), L.Conv1D(2, 3, padding="causal", dilation_rate=2), L.SeparableConv1D(3, 2),
        L.AveragePooling1D(2, strides=1), L.LayerNormalization(axis=[1]), L.GroupNormalization(3),
        L.Permute((2, 1)), L.Cropping1D(1), L.Reshape((-1,)), L.RepeatVector(2),
    ),
    "convolved_steps": lambda: chain(
        L.Input((3, 5, 5, 1)), L.ConvLSTM2D(2, 3, return_sequences=True), L.ConvLSTM2D(2, 2),
    ),
    "recurrent": recurrent,
    "translation": translation,
    "attention": attention,
    "siamese": siamese,
    "preprocessing": preprocessing,
    "images": lambda: chain(
        L.Rescaling(1 / 255.0, input_shape=(8, 8, 3)), L.RandomFlip("horizontal"),
        L.RandomRotation(0.1), L.RandomZoom(0.1), L.RandomContrast(0.1),
        L.RandomTranslation(0.1, 0.1), L.RandomBrightness(0.1), L.Resizing(6, 6),
        L.CenterCrop(4, 4), L.Flatten(),
    ),
}  # fmt: skip
WITH_WEIGHTS = ("dense", "recurrent", "attention", "siamese")


def small(last: str | None = None) -> Any:
    return chain(L.Dense(4, "tanh", input_shape=(3,)), L.BatchNormalization(), L.Dense(2, last))


def several() -> Any:
    a, b = L.Input((3,), name="a"), L.Input((3,), name="b")
    shared = L.Dense(3, "tanh", name="shared")
    inner = chain(L.Dense(3, "relu", input_shape=(3,)), L.Dense(2))
    one = L.Dense(2, name="one")(L.Concatenate()([shared(a), shared(b)]))
    return keras.Model([a, b], [one, L.Dense(1, name="two")(inner(L.add([shared(a), b])))])


RATE: dict[str, Any] = {"learning_rate": 0.02}
OPTIMIZERS: dict[str, Callable[[], Any]] = {
    **{
        f"{era}_{kind}": partial(getattr(where, kind), **options)
        for era, where in (("new", O), ("old", OLD))
        for kind, options in {
            "SGD": {**RATE, "momentum": 0.9, "nesterov": True},
            "Adam": {**RATE, "amsgrad": True},
            "Adamax": RATE,
            "Adagrad": RATE,
            "Adadelta": {"learning_rate": 0.5},
            "RMSprop": {"learning_rate": 0.01, "centered": True, "momentum": 0.5},
            "Ftrl": {"learning_rate": 0.05},
        }.items()
    },
    "new_Nadam": lambda: O.Nadam(**RATE),
    "new_Lion": lambda: O.Lion(learning_rate=0.001),
    "new_AdamW": lambda: O.AdamW(**RATE),
    "new_Adafactor": lambda: O.Adafactor(**RATE),
    "new_plain": lambda: O.SGD(**RATE),
    "new_averages": lambda: O.Adam(**RATE, use_ema=True, ema_momentum=0.9, global_clipnorm=1.0),
    "new_schedule": lambda: O.RMSprop(S.ExponentialDecay(0.05, 5, 0.9)),
    "new_steps": lambda: O.SGD(S.PiecewiseConstantDecay([2, 5], [0.1, 0.05, 0.01])),
    "old_plain": lambda: OLD.SGD(**RATE),
    "old_decay": lambda: OLD.Adam(learning_rate=0.05, decay=0.1),
    "old_schedule": lambda: OLD.Adam(S.CosineDecay(0.05, 50), clipnorm=0.1),
}
M, LOSSES = keras.metrics, keras.losses
COMPILED: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    **{name: (small, {"optimizer": make, "metrics": ["mae"]}) for name, make in OPTIMIZERS.items()},
    "names": (lambda: small("softmax"), {
        "loss": "huber_loss", "metrics": ["mse", "acc", "binary_accuracy", "cosine_similarity"],
        "weighted_metrics": ["mape"],
    }),
    "classes": (lambda: small("softmax"), {
        "loss": LOSSES.CategoricalCrossentropy(label_smoothing=0.1),
        "metrics": [M.AUC(num_thresholds=20), M.Precision(), M.Recall(thresholds=0.3),
                    M.CosineSimilarity(), M.MeanSquaredError(name="x"), M.CategoricalAccuracy()],
    }),
    "functions": (lambda: small("sigmoid"), {
        "loss": LOSSES.binary_crossentropy, "metrics": [M.mean_squared_error, M.MeanIoU(2)],
    }),
    "sums": (small, {"loss": LOSSES.Huber(delta=0.2, reduction="sum")}),
    "several_lists": (several, {
        "loss": ["mse", "mae"], "metrics": [["mae"], ["mse", "mae"]], "loss_weights": [0.5, 2],
    }),
    "several_dicts": (several, {
        "loss": {"one": "mse", "two": "mae"}, "metrics": {"one": ["mae"], "two": "mse"},
        "loss_weights": {"one": 0.5, "two": 2}, "optimizer": lambda: OLD.Adam(0.01),
    }),
}  # fmt: skip


def values(name: str, shape: Any, dtype: str) -> np.ndarray:
    random = np.random.default_rng(zlib.crc32(name.encode()))
    if dtype != "float32":
        return random.integers(0, 5, shape).astype(dtype)
    return random.normal(size=shape).astype(np.float32)


def predicted(name: str, model: Any, x: list[np.ndarray]) -> dict[str, np.ndarray]:
    results = model.predict(x if len(x) > 1 else x[0], verbose=0)
    results = results if isinstance(results, list) else [results]
    return {
        **{f"{name}/x/{at}": array for at, array in enumerate(x)},
        **{f"{name}/prediction/{at}": array for at, array in enumerate(results)},
    }


def fresh(name: str, make: Callable[[], Any]) -> tuple[Any, list[np.ndarray]]:
    """A model with weights that depend on the name alone, and inputs."""
    keras.backend.clear_session()
    model = make()
    if name != "preprocessing":
        arrays = enumerate(model.get_weights())
        model.set_weights([
            np.abs(values(f"{name} {at}", w.shape, "float32")) * 0.3 + 0.05 for at, w in arrays
        ])  # fmt: skip
    shapes = [(ROWS, *t.shape[1:]) for t in model.inputs]
    first = model.layers[0]
    dtypes = ["int32" if isinstance(first, L.Embedding) else t.dtype.name for t in model.inputs]
    given = enumerate(zip(shapes, dtypes, strict=True))
    x = [values(f"{name} x{at}", shape, dtype) for at, (shape, dtype) in given]
    return model, x


def trained(name: str, model: Any, x: list[np.ndarray], options: dict[str, Any], path: str) -> Any:
    options = {"loss": "mse", "optimizer": "sgd", **options}
    if callable(options["optimizer"]):
        options["optimizer"] = options["optimizer"]()
    model.compile(**options)
    y = [np.abs(values(f"{name} y{at}", (ROWS, *t.shape[1:]), "float32"))
         for at, t in enumerate(model.outputs)]  # fmt: skip
    if name in ("names", "classes", "functions"):  # classes
        y = [np.eye(2, dtype=np.float32)[array.argmax(-1)] for array in y]
    given = [a if len(a) > 1 else a[0] for a in (x, y)]
    fit = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0}
    model.fit(*given, **fit)
    model.save(path)
    arrays = predicted(name, model, x) | {f"{name}/y/{at}": array for at, array in enumerate(y)}
    history = model.fit(*given, **fit).history
    return arrays | {f"{name}/history/{key}": np.array(value) for key, value in history.items()}


def main() -> None:
    """Write the archive, and say how large it is."""
    arrays: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder, tarfile.open(TARGET, "w:xz") as archive:
        for name, make in LAYERS.items():
            model, x = fresh(name, make)
            model.save(f"{folder}/{name}.h5")
            if name in WITH_WEIGHTS:
                model.save_weights(f"{folder}/{name}.weights.h5")
            arrays |= predicted(name, model, x)
        for name, (make, options) in COMPILED.items():
            model, x = fresh(name, make)
            arrays |= trained(name, model, x, options, f"{folder}/{name}.h5")
        for path in sorted(Path(folder).iterdir()):
            archive.add(path, path.name)
        results = io.BytesIO()
        np.savez(results, **arrays)
        entry = tarfile.TarInfo("results.npz")
        entry.size = len(results.getvalue())
        archive.addfile(entry, io.BytesIO(results.getvalue()))
    print(f"TensorFlow {tf.__version__}: {TARGET.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
