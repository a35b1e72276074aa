"""Models of several branches, inputs and outputs: predictions, histories and weights."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
ROWS, BATCH, EPOCHS = 7, 3, 3


@dataclass(frozen=True)
class Case:
    """A model, by the name of a function below, and the arguments of compile.

    Args:
        targets: kinds of y: "normal", "flags", "ints" or None for an output without one.
        named: whether x and y are dicts.
        weights: "one" for a weight a sample, "each" for one an output as well.
    """

    model: str
    compile: dict[str, Any] = field(default_factory=lambda: {"loss": "mse"})
    targets: tuple[str | None, ...] = ("normal", "normal")
    named: bool = False
    weights: str = ""

    @property
    def name(self) -> str:
        return f"{self.model} {self.compile} {self.targets} {self.named} {self.weights}"


SPARSE = "sparse_categorical_crossentropy"
BOTH = {"a": "mse", "b": SPARSE}
WEIGHTED = {
    "loss": BOTH, "loss_weights": {"a": 1.0, "b": 0.5},
    "weighted_metrics": {"a": ["mae"], "b": ["acc"]},
}  # fmt: skip

CASES = [
    Case("heads"),
    Case("heads", {"loss": ["mse", SPARSE], "loss_weights": [0.3, 2.0]}, ("normal", "ints")),
    Case("heads", {"loss": BOTH, "metrics": {"b": ["accuracy"], "a": "mae"}}, ("normal", "ints")),
    Case("heads", {"loss": ["mse", None], "metrics": [["mae", "mse"], None]}, ("normal", None)),
    Case("heads", WEIGHTED, ("normal", "ints"), weights="each"),
    Case("heads", weights="one"),
    Case("dicts", {"loss": {"first": "mae", "second": "mse"}}, named=True),
    Case("shared", targets=("normal",)),
    Case("siamese", {"loss": "binary_crossentropy", "metrics": ["acc"]}, ("flags",)),
    Case("nested", targets=("normal",)),
    Case("inner", targets=("normal", "normal")),
    Case("residual", targets=("normal",)),
    Case("inception", targets=("normal",)),
]  # fmt: skip


def heads(lib: ModuleType) -> Any:
    layers = lib.layers
    x = layers.Input((4,), name="x")
    shared = layers.Dense(5, "tanh")(x)
    a, b = layers.Dense(3, name="a")(shared), layers.Dense(3, "softmax", name="b")(shared)
    return lib.models.Model(x, [a, b])


def dicts(lib: ModuleType) -> Any:
    layers = lib.layers
    inputs = {name: layers.Input((size,), name=name) for name, size in (("left", 4), ("right", 3))}
    both = layers.Concatenate()([inputs["left"], inputs["right"]])
    outputs = {"first": layers.Dense(3)(both), "second": layers.Dense(3)(layers.ReLU()(both))}
    return lib.models.Model(inputs, outputs)


def shared(lib: ModuleType) -> Any:
    layers = lib.layers
    x = layers.Input((4,))
    twice = layers.Dense(4, "tanh")
    return lib.models.Model(x, layers.Dense(3)(twice(twice(x))))


def siamese(lib: ModuleType) -> Any:
    layers = lib.layers
    tower = lib.models.Sequential([layers.Input((4,)), layers.Dense(6, "relu"), layers.Dense(3)])
    inputs = [layers.Input((4,)), layers.Input((4,))]
    near = layers.Dot(1, normalize=True)([tower(inputs[0]), tower(inputs[1])])
    return lib.models.Model(inputs, layers.Dense(1, "sigmoid")(near))


def nested(lib: ModuleType) -> Any:
    layers, models = lib.layers, lib.models
    x = layers.Input((4,))
    inner = models.Model(x, [layers.Dense(3)(x), layers.Dense(3, "tanh")(x)])
    outer_input = layers.Input((4,))
    a, b = inner(outer_input)
    middle = models.Sequential([layers.Input((3,)), layers.Dense(5), layers.Dense(3, "tanh")])
    core = models.Model(outer_input, middle(layers.add([a, b])))
    return models.Sequential([layers.Input((4,)), core, layers.Dense(3)])


def inner(lib: ModuleType) -> Any:
    layers = lib.layers
    x = layers.Input((4,))
    hidden = layers.Dense(3, "tanh", name="hidden")(x)
    whole = lib.models.Model(x, layers.Dense(3, name="last")(hidden))
    return lib.models.Model(whole.input, [whole.get_layer("hidden").output, whole.output])


def residual(lib: ModuleType) -> Any:
    layers = lib.layers
    x = y = layers.Input((4,))
    for _ in range(3):
        z = layers.BatchNormalization()(layers.Dense(4)(y))
        y = layers.Add()([y, layers.Activation("relu")(z)])
    return lib.models.Model(x, layers.Dense(3)(y))


def inception(lib: ModuleType) -> Any:
    layers = lib.layers
    x = layers.Input((6, 5, 2))
    towers = [
        layers.Conv2D(3, 1, activation="relu")(x),
        layers.Conv2D(2, 3, padding="same")(layers.Conv2D(2, 1, activation="relu")(x)),
        layers.Conv2D(2, 1)(layers.MaxPooling2D(3, strides=1, padding="same")(x)),
    ]
    return lib.models.Model(
        x, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.concatenate(towers)))
    )


MODELS: dict[str, Callable[[ModuleType], Any]] = {
    f.__name__: f for f in (heads, dicts, shared, siamese, nested, inner, residual, inception)
}


def random(case: Case, what: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32(f"{case.name} {what}".encode())
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def data(model: Any, case: Case) -> tuple[Any, Any, Any]:
    x = [random(case, f"x{at}", (ROWS, *t.shape[1:])) for at, t in enumerate(model.inputs)]
    y: list[np.ndarray | None] = []
    for at, (kind, t) in enumerate(zip(case.targets, model.outputs, strict=True)):
        normal = random(case, f"y{at}", (ROWS, *t.shape[1:]))
        kinds = {
            "normal": normal,
            "flags": (normal > 0) * 1.0,
            "ints": normal.argmax(-1),
            None: None,
        }
        y.append(kinds[kind])
    weight: Any = None
    if case.weights:
        each = [np.abs(random(case, f"w{at}", (ROWS,))) for at in range(len(y))]
        weight = each[0] if case.weights == "one" else each
    if case.named:
        names = [["left", "right"], ["first", "second"]]
        x, y = (dict(zip(n, v, strict=True)) for n, v in zip(names, (x, y), strict=True))  # type: ignore[assignment]
    return x if len(x) > 1 else x[0], y if len(y) > 1 else y[0], weight


def record(lib: ModuleType, case: Case) -> Arrays:
    """Predictions, histories in the order of their names, evaluate's list, and weights."""
    model = MODELS[case.model](lib)
    shapes = [w.shape for w in model.get_weights()]
    values = [0.4 * random(case, f"weight {at}", shape) for at, shape in enumerate(shapes)]
    model.set_weights([np.abs(v) if v.ndim == 1 else v for v in values])
    x, y, weight = data(model, case)
    predicted = model.predict(x, verbose=0)
    predicted = list(predicted.values()) if isinstance(predicted, dict) else predicted
    predicted = predicted if isinstance(predicted, (list, tuple)) else [predicted]
    results = {f"output/{at}": p for at, p in enumerate(predicted)}
    model.compile(lib.optimizers.SGD(0.02), **case.compile)
    given = {"sample_weight": weight, "verbose": 0, "batch_size": BATCH}
    history = model.fit(x, y, epochs=EPOCHS, shuffle=False, validation_data=(x, y), **given).history
    results |= {f"history/{name}": np.array(values) for name, values in history.items()}
    results["evaluate"] = np.array(model.evaluate(x, y, **given)).reshape(-1)
    return results | {f"weight/{at}": w for at, w in enumerate(model.get_weights())}
