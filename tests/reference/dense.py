"""Dense-network training cases that graphc and Keras must agree on: one line a case.

Everything here is written in the spelling the two libraries share, and takes the library as
an argument. Data and initial weights are drawn by NumPy from the case's name, so both
libraries start from the same numbers; `record` trains a case and returns what is compared.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
Spec = str | tuple[str, Mapping[str, Any]]  # a name Keras knows, or a class and its arguments


@dataclass(frozen=True)
class Case:
    """A network, the way it is compiled, and the data it is trained on."""

    name: str
    loss: Spec = "mse"
    optimizer: Spec = ("SGD", {"learning_rate": 0.05})
    metric: Spec = "mae"  # reported beside "accuracy"
    target: str = "real"  # or binary, flat (binary, 1-D), onehot, index, column (index, 2-D)
    hidden: str = "tanh"
    output: str = "linear"
    shape: tuple[int, ...] = (13,)
    widths: tuple[int, ...] = (17, 5)
    bias: bool = True
    rows: int = 97
    batch: int = 10
    epochs: int = 5
    weighted_rows: bool = False  # pass sample_weight to fit and evaluate
    weighted_metrics: bool = False  # compile(weighted_metrics=...) instead of metrics
    class_weight: Mapping[int, float] | None = None
    validation_split: float = 0.0
    single_steps: int = 0  # also run so many train_on_batch calls


def sgd(learning_rate: float, **options: Any) -> Spec:
    return "SGD", {"learning_rate": learning_rate, **options}


def rmsprop(learning_rate: float = 1e-3, **options: Any) -> Spec:
    return "RMSprop", {"learning_rate": learning_rate, **options}


def adam(learning_rate: float = 1e-3, **options: Any) -> Spec:
    return "Adam", {"learning_rate": learning_rate, **options}


BCE, CCE = "binary_crossentropy", "categorical_crossentropy"
SCCE = "sparse_categorical_crossentropy"
LOGITS, SMOOTH = {"from_logits": True}, {"label_smoothing": 0.1}
BCE_LOGITS, CCE_LOGITS = ("BinaryCrossentropy", LOGITS), ("CategoricalCrossentropy", LOGITS)
SCCE_LOGITS = ("SparseCategoricalCrossentropy", LOGITS)
BCE_SMOOTH, CCE_SMOOTH = ("BinaryCrossentropy", SMOOTH), ("CategoricalCrossentropy", SMOOTH)
BCE_BOTH = ("BinaryCrossentropy", LOGITS | SMOOTH)
CCE_BOTH = ("CategoricalCrossentropy", LOGITS | SMOOTH)
BINARY: dict[str, Any] = {"target": "binary", "output": "sigmoid", "widths": (17, 1)}
CLASSES: dict[str, Any] = {"loss": CCE, "metric": CCE, "target": "onehot", "output": "softmax"}
INDEX: dict[str, Any] = {"loss": SCCE, "metric": SCCE, "target": "index", "output": "softmax"}

# Left out: glu halves the width, threshold has no defaults, sparsemax needs a sort.
# fmt: off
ACTIVATIONS = [
    "celu", "elu", "exponential", "gelu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus",
    "softsign", "sparse_plus", "sparse_sigmoid", "squareplus", "swish", "tanh", "tanh_shrink",
]
# fmt: on

CASES = [
    # losses
    Case("mse", "mse", metric="mse", single_steps=12),
    Case("mae", "mae", metric="mse"),
    Case("mse-one-output", "mse", widths=(17, 1)),
    Case("mse-softmax", "mse", target="onehot", hidden="relu", output="softmax"),
    Case("mse-class", ("MeanSquaredError", {}), metric=("MeanSquaredError", {})),
    Case("mae-class", ("MeanAbsoluteError", {}), metric=("MeanAbsoluteError", {})),
    Case("bce", BCE, metric=BCE, **BINARY, single_steps=12),
    Case("bce-multilabel", BCE, metric=BCE, **BINARY | {"widths": (17, 5)}),
    Case("bce-flat-target", BCE, **BINARY | {"target": "flat"}),  # Keras: no BCE metric here
    Case("bce-logits", BCE_LOGITS, metric=BCE_LOGITS, **BINARY | {"output": "linear"}),
    Case("bce-smooth", BCE_SMOOTH, metric=BCE, **BINARY),
    Case("bce-smooth-logits", BCE_BOTH, metric="mse", **BINARY | {"output": "linear"}),
    Case("cce", **CLASSES, single_steps=12),
    # Keras on TensorFlow takes the sigmoid's logits here, and differs from JAX and PyTorch.
    Case("cce-not-normalised", **CLASSES | {"output": "sigmoid"}),
    Case("cce-logits", **CLASSES | {"loss": CCE_LOGITS, "metric": CCE_LOGITS, "output": "linear"}),
    Case("cce-smooth", **CLASSES | {"loss": CCE_SMOOTH}),
    Case("cce-smooth-logits", **CLASSES | {"loss": CCE_BOTH, "metric": "mse", "output": "linear"}),
    Case("scce", **INDEX, single_steps=12),
    Case("scce-column", **INDEX | {"target": "column"}),
    Case("scce-logits", **INDEX | {"loss": SCCE_LOGITS, "metric": SCCE_LOGITS, "output": "linear"}),
    # optimizers
    Case("sgd-default", **CLASSES, optimizer="sgd"),
    Case("sgd-momentum", **CLASSES, optimizer=sgd(0.02, momentum=0.9), single_steps=12),
    Case("sgd-nesterov", **CLASSES, optimizer=sgd(0.02, momentum=0.9, nesterov=True)),
    Case("rmsprop-default", **CLASSES, optimizer="rmsprop", single_steps=12),
    Case("rmsprop-momentum", **CLASSES, optimizer=rmsprop(5e-4, momentum=0.9)),
    Case("rmsprop-centered", **CLASSES, optimizer=rmsprop(centered=True)),
    Case("rmsprop-both", **CLASSES, optimizer=rmsprop(5e-4, momentum=0.5, centered=True)),
    Case("rmsprop-options", **CLASSES, optimizer=rmsprop(rho=0.8, epsilon=1e-4)),
    Case("adam-default", **CLASSES, optimizer="adam", single_steps=12),
    Case("adam-amsgrad", **CLASSES, optimizer=adam(amsgrad=True)),
    Case("adam-options", **CLASSES, optimizer=adam(3e-3, beta_1=0.8, beta_2=0.99, epsilon=1e-4)),
    Case("adam-mse", optimizer=adam()),
    Case("rmsprop-mse", optimizer=rmsprop()),
    # widths, shapes and batches
    Case("wide-input", **CLASSES, shape=(301,), widths=(7, 3)),
    Case("four-layers", **CLASSES, shape=(33,), widths=(65, 31, 9, 3), optimizer=adam()),
    Case("no-hidden-layer", **CLASSES, widths=(5,)),
    Case("one-by-one", "mse", shape=(1,), widths=(1, 1)),
    Case("no-bias", **CLASSES, bias=False),
    Case("flatten", **CLASSES, shape=(3, 5)),
    Case("flatten-first-rank-4", **CLASSES, shape=(2, 3, 4), widths=(11, 3)),
    Case("batch-of-one", **CLASSES, rows=11, batch=1),
    Case("batch-exceeds-rows", **CLASSES, batch=128),
    Case("batch-divides-rows", **CLASSES, rows=96, batch=32),
    Case("last-batch-of-one", **CLASSES, rows=97, batch=32),
    # weights and validation
    Case("sample-weight", **CLASSES, weighted_rows=True, single_steps=12),
    Case("sample-weight-metrics", **CLASSES, weighted_rows=True, weighted_metrics=True),
    Case("sample-weight-mse", "mse", weighted_rows=True, weighted_metrics=True),
    Case("class-weight", **INDEX, class_weight={0: 2.0, 1: 0.5, 2: 1.5, 3: 1.0, 4: 3.0}),
    Case("class-weight-onehot", **CLASSES, class_weight={0: 2.0, 1: 0.5, 2: 1.5, 3: 1.0, 4: 3.0}),
    Case("class-weight-binary", BCE, metric=BCE, **BINARY, class_weight={0: 0.5, 1: 2.0}),
    Case("validation", **CLASSES, validation_split=0.2),
    Case("validation-sample-weight", **CLASSES, validation_split=0.25, weighted_rows=True),
    Case("validation-adam", BCE, metric=BCE, **BINARY, validation_split=0.3, optimizer=adam()),
    # activations
    *(Case(f"activation-{name}", hidden=name, optimizer=sgd(0.02)) for name in ACTIVATIONS),
    *(
        Case(f"output-{name}", output=name, optimizer=sgd(0.02))
        for name in ("relu", "sigmoid", "softmax", "softplus", "tanh")
    ),
]


def build(lib: ModuleType, case: Case) -> Any:
    """The case's compiled model, of `keras` or `graphc`."""
    *hidden, outputs = case.widths
    layers = [lib.layers.Input(case.shape)]
    if len(case.shape) > 1:
        layers.append(lib.layers.Flatten())
    for units in hidden:
        layers.append(lib.layers.Dense(units, activation=case.hidden, use_bias=case.bias))
    layers.append(lib.layers.Dense(outputs, activation=case.output, use_bias=case.bias))
    model = lib.models.Sequential(layers)
    metrics = ["accuracy", make(lib.metrics, case.metric)]
    model.compile(
        optimizer=make(lib.optimizers, case.optimizer),
        loss=make(lib.losses, case.loss),
        **{"weighted_metrics" if case.weighted_metrics else "metrics": metrics},
    )
    return model


def make(module: ModuleType, spec: Spec) -> Any:
    """A name as it is, or an instance of the class the spec names."""
    return spec if isinstance(spec, str) else getattr(module, spec[0])(**spec[1])


def data(case: Case) -> Arrays:
    """The case's `x`, `y` and, for weighted rows, `sample_weight`; the same on every machine."""
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    x = random.uniform(-1.7, 1.7, (case.rows, *case.shape)).astype(np.float32)
    features = x.reshape(case.rows, -1).astype(np.float64)
    teacher = random.uniform(-1, 1, (features.shape[1], case.widths[-1]))
    arrays = {"x": x, "y": targets(case.target, features @ teacher / features.shape[1] ** 0.5)}
    if case.weighted_rows:
        arrays["sample_weight"] = random.uniform(0.25, 2, case.rows).astype(np.float32)
    return arrays


def targets(kind: str, scores: np.ndarray) -> np.ndarray:
    """Targets of one kind, computed from a teacher's scores, one row a sample."""
    best = scores.argmax(axis=1)
    kinds: dict[str, tuple[np.ndarray, type]] = {
        "real": (scores, np.float32),
        "binary": (scores > 0, np.float32),
        "flat": (scores[:, 0] > 0, np.float32),
        "onehot": (np.eye(scores.shape[1])[best], np.float32),
        "index": (best, np.int32),
        "column": (best[:, None], np.int32),
    }
    values, dtype = kinds[kind]
    return values.astype(dtype)


def initial_weights(case: Case, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Weights to start from: Glorot's range for kernels, small numbers (not zero) for biases."""
    random = np.random.default_rng(zlib.crc32(case.name.encode()) + 1)
    limits = [(6 / sum(shape)) ** 0.5 if len(shape) == 2 else 0.1 for shape in shapes]
    return [
        random.uniform(-limit, limit, shape).astype(np.float32)
        for limit, shape in zip(limits, shapes, strict=True)
    ]


def started(lib: ModuleType, case: Case) -> Any:
    """The case's compiled model, holding its initial weights."""
    model = build(lib, case)
    model.set_weights(initial_weights(case, [weight.shape for weight in model.get_weights()]))
    return model


def predictions(model: Any, case: Case) -> np.ndarray:
    """What the model predicts for the case's inputs."""
    return np.asarray(model.predict(data(case)["x"], batch_size=case.batch, verbose=0))


def record(lib: ModuleType, case: Case) -> Arrays:
    """Train the case; return all that the two libraries must agree on, by name.

    `data` sums up the data, so that a change in NumPy's random numbers is not taken for a
    disagreement. `initial/i` and `final/i` are in the order of `get_weights`.
    """
    arrays = data(case)
    model = started(lib, case)
    result = {"data": np.array([array.sum(dtype=np.float64) for array in arrays.values()])}
    result |= {f"initial/{i}": weight for i, weight in enumerate(model.get_weights())}
    result["predictions"] = predictions(model, case)
    history = model.fit(
        **arrays,
        batch_size=case.batch,
        epochs=case.epochs,
        shuffle=False,
        class_weight=case.class_weight,
        validation_split=case.validation_split,
        verbose=0,
    ).history
    result |= {f"history/{key}": np.array(values) for key, values in history.items()}
    result |= {f"final/{i}": weight for i, weight in enumerate(model.get_weights())}
    result["evaluate"] = np.array(model.evaluate(**arrays, batch_size=case.batch, verbose=0))
    if case.single_steps:
        result["single_steps"] = single_steps(started(lib, case), case)
    return {key: np.asarray(value, np.float32) for key, value in result.items()}


def single_steps(model: Any, case: Case) -> np.ndarray:
    """What `train_on_batch` returns, one row a step, going round the batches."""
    arrays = data(case)
    starts = range(0, case.rows, case.batch)
    steps = []
    for step in range(case.single_steps):
        start = starts[step % len(starts)]
        batch = {key: array[start : start + case.batch] for key, array in arrays.items()}
        steps.append(model.train_on_batch(**batch))
    return np.array(steps)
