"""Losses: one line a case; values a sample, and a model trained with the loss."""

import zlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
ROWS, BATCH, EPOCHS = 7, 3, 3


@dataclass(frozen=True)
class Case:
    """A loss with its arguments.

    Args:
        target: kind of y_true: normal, positive, zeros and ones ("flags"), distributions ("rows"),
            one-hot rows ("one_hot"), class numbers ("ints"), or labellings ("labels").
        output: activation of the model's last layer; "unit" for vectors of length 1.
        shape: of a row of the output.
        weighted: whether samples have weights.
    """

    loss: str
    arguments: dict[str, Any] = field(default_factory=dict)
    target: str = "normal"
    output: str = "linear"
    shape: tuple[int, ...] = (5,)
    weighted: bool = False

    @property
    def name(self) -> str:
        given = ",".join(f"{key}={value}" for key, value in self.arguments.items())
        weights = " weighted" if self.weighted else ""
        return f"{self.loss}({given}) {self.target} {self.output} {self.shape}{weights}"


LOGITS, SMOOTH = {"from_logits": True}, {"label_smoothing": 0.1}
BALANCED = {"apply_class_balancing": True, "gamma": 3.0, **LOGITS}

CASES = [
    Case("MeanSquaredError", {"reduction": "sum"}),
    Case("MeanSquaredError", {"reduction": "mean_with_sample_weight"}, weighted=True),
    Case("MeanAbsoluteError", {"reduction": "mean"}, weighted=True),
    Case("MeanAbsoluteError", shape=(3, 2), weighted=True),
    Case("MeanAbsolutePercentageError"),
    Case("MeanSquaredLogarithmicError", target="positive", output="softplus"),
    Case("Huber"),
    Case("Huber", {"delta": 0.3}, weighted=True),
    Case("LogCosh"),
    Case("CosineSimilarity", weighted=True),
    Case("CosineSimilarity", {"axis": 1}, shape=(3, 4)),
    Case("BinaryCrossentropy", target="flags", output="sigmoid"),
    Case("BinaryCrossentropy", {**LOGITS, **SMOOTH}, "flags", weighted=True),
    Case("BinaryCrossentropy", target="flags", output="sigmoid", shape=(1,)),
    Case("BinaryFocalCrossentropy", target="flags", output="sigmoid"),
    Case("BinaryFocalCrossentropy", BALANCED, "flags"),
    Case("CategoricalCrossentropy", target="rows", output="softmax"),
    Case("CategoricalCrossentropy", {**LOGITS, **SMOOTH}, "one_hot", shape=(2, 4), weighted=True),
    Case("CategoricalCrossentropy", target="one_hot", output="sigmoid"),
    Case("CategoricalFocalCrossentropy", SMOOTH, "one_hot", "softmax"),
    Case("CategoricalFocalCrossentropy", {**LOGITS, "alpha": 0.5, "gamma": 1.0}, "one_hot"),
    Case("SparseCategoricalCrossentropy", target="ints", output="softmax"),
    Case("SparseCategoricalCrossentropy", {**LOGITS, "ignore_class": 2}, "ints", shape=(3, 4)),
    Case("SparseCategoricalCrossentropy", {"ignore_class": 0}, "ints", "softmax", weighted=True),
    Case("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, "ints", "softmax"),
    Case("KLDivergence", target="rows", output="softmax"),
    Case("Poisson", target="positive", output="softplus"),
    Case("Hinge", target="flags"),
    Case("SquaredHinge"),
    Case("CategoricalHinge", target="one_hot"),
    Case("Dice", target="flags", output="sigmoid"),
    Case("Dice", {"axis": (1, 2)}, "flags", "sigmoid", (3, 2)),
    Case("Tversky", {"alpha": 0.3, "beta": 0.7}, "flags", "sigmoid"),
    Case("Circle", target="ints", output="unit", shape=(3,)),
    Case("Circle", {"gamma": 5.0, "margin": 0.2, "remove_diagonal": False}, "ints", "unit", (2,)),
    Case("CTC", target="labels", shape=(6, 4)),
    Case("CTC", target="labels", shape=(3, 4), weighted=True),
]  # fmt: skip


def random(case: Case, what: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32(f"{case.name} {what}".encode())
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def target(case: Case) -> np.ndarray:
    x = random(case, "y", (ROWS, *case.shape))
    if case.target == "positive":
        return np.abs(x)
    if case.target == "flags":
        return (x > 0.3).astype(np.float32)
    if case.target == "rows":
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    if case.target == "one_hot":
        return np.eye(case.shape[-1], dtype=np.float32)[x.argmax(-1)]
    if case.target == "ints":
        return x.argmax(-1).astype(np.int32)
    if case.target == "labels":  # of 0 to 3 labels with repetitions; some do not fit into 3 steps
        labels = 1 + (np.abs(x[:, :3, 0]) * 3).astype(np.int32) % (case.shape[-1] - 1)
        return np.where(np.arange(3) < np.arange(ROWS)[:, None] % 4, labels, 0).astype(np.int32)
    return x


def compiled(lib: ModuleType, case: Case) -> tuple[Any, dict[str, np.ndarray | None]]:
    """A Dense layer and the activation, and what to train them on."""
    layers = lib.layers
    unit = case.output == "unit"
    last = layers.UnitNormalization() if unit else layers.Activation(case.output)
    model = lib.models.Sequential([layers.Input(case.shape), layers.Dense(case.shape[-1]), last])
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([0.5 * random(case, f"weight {at}", s) for at, s in enumerate(shapes)])
    model.compile(lib.optimizers.SGD(0.05), getattr(lib.losses, case.loss)(**case.arguments))
    # Keras takes a weight a sample only where the loss is one value a sample.
    more = (1,) * (len(case.shape) - 1) if case.target != "labels" else ()
    weight = np.abs(random(case, "weights", (ROWS, *more))) if case.weighted else None
    x = random(case, "x", (ROWS, *case.shape))
    return model, {"x": x, "y": target(case), "sample_weight": weight}


def record(lib: ModuleType, case: Case) -> Arrays:
    """Losses and weights of training."""
    model, data = compiled(lib, case)
    history = model.fit(**data, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    results = {"loss": np.array(history.history["loss"])}
    return results | {f"weight/{at}": w for at, w in enumerate(model.get_weights())}
