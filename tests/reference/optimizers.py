"""Optimizers, schedules, regularizers and constraints: weights after training steps."""

import zlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
ROWS, BATCH, EPOCHS = 7, 3, 3


@dataclass(frozen=True)
class Case:
    """An optimizer with its arguments.

    Args:
        schedule: the learning rate's: a class name and its arguments.
        dense: more arguments of the model's Dense layer; classes of regularizers and constraints
            are given as name and arguments.
    """

    optimizer: str
    arguments: dict[str, Any] = field(default_factory=dict)
    schedule: tuple[Any, ...] = ()
    dense: dict[str, tuple[Any, ...] | str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.optimizer} {self.arguments} {self.schedule} {self.dense}"


RATE = {"learning_rate": 0.1}


def sgd(**dense: Any) -> Case:
    return Case("SGD", RATE, dense=dense)


CASES = [
    Case("SGD", {**RATE, "momentum": 0.9, "weight_decay": 0.1}),
    Case("SGD", {**RATE, "clipnorm": 0.3}),
    Case("SGD", {**RATE, "clipvalue": 0.1, "nesterov": True, "momentum": 0.5}),
    Case("SGD", {**RATE, "global_clipnorm": 0.4}),
    Case("RMSprop", {"weight_decay": 0.05, "centered": True}),
    Case("Adam", {**RATE, "use_ema": True, "ema_momentum": 0.8}),
    Case("Adam", {**RATE, "use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 2}),
    Case("Adam", {**RATE, "gradient_accumulation_steps": 3, "clipnorm": 1.0}),
    Case("SGD", {**RATE, "gradient_accumulation_steps": 2, "momentum": 0.9, "use_ema": True}),
    Case("AdamW", {**RATE, "weight_decay": 0.1, "amsgrad": True}),
    Case("AdamW"),
    Case("Adamax", {**RATE, "beta_1": 0.8}),
    Case("Nadam", RATE),
    Case("Adagrad", {**RATE, "initial_accumulator_value": 0.3}),
    Case("Adadelta", {"learning_rate": 1.0, "rho": 0.9}),
    Case("Ftrl", {**RATE, "l1_regularization_strength": 0.01, "beta": 0.1}),
    Case(
        "Ftrl",
        {**RATE, "learning_rate_power": -0.7, "l2_regularization_strength": 0.1,
         "l2_shrinkage_regularization_strength": 0.05},
    ),
    Case("Lion", {"learning_rate": 0.01, "weight_decay": 0.1}),
    Case("Lamb", {**RATE, "clipvalue": 0.2}),
    Case("Adafactor"),
    Case("Adafactor", {"learning_rate": 0.9, "weight_decay": 0.1, "clip_threshold": 0.5}),
    Case("Muon", {"learning_rate": 0.05}),
    Case("Muon", {"learning_rate": 0.05, "weight_decay": 0.2, "nesterov": False, "rms_rate": None,
                  "adam_lr_ratio": 0.5, "ns_steps": 3}),
    Case("Muon", {"learning_rate": 0.05, "exclude_layers": ["bias", "kernel"]}),
    Case("ScheduleFreeAdamW", RATE),
    Case("ScheduleFreeAdamW", {**RATE, "warmup_steps": 5, "beta_1": 0.7, "weight_decay": 0.1}),
    Case("SGD", schedule=("ExponentialDecay", 0.1, 3, 0.5)),
    Case("Adam", schedule=("ExponentialDecay", 0.1, 3, 0.5, True)),
    Case("SGD", schedule=("InverseTimeDecay", 0.1, 2, 0.5)),
    Case("SGD", schedule=("PiecewiseConstantDecay", [2, 5], [0.1, 0.05, 0.2])),
    Case("SGD", {"weight_decay": 0.1}, ("PolynomialDecay", 0.1, 4, 0.01, 2.0)),
    Case("SGD", schedule=("PolynomialDecay", 0.1, 3, 0.01, 1.0, True)),
    Case("SGD", schedule=("CosineDecay", 0.1, 5, 0.1)),
    Case("SGD", schedule=("CosineDecay", 0.01, 4, 0.0, "CosineDecay", 0.1, 3)),
    Case("SGD", schedule=("CosineDecayRestarts", 0.1, 2, 2.0, 0.5, 0.1)),
    Case("SGD", schedule=("CosineDecayRestarts", 0.1, 3, 1.0)),
    sgd(kernel_regularizer="l2", bias_regularizer=("L1", 0.1)),
    sgd(kernel_regularizer=("L1L2", 0.05, 0.1), activity_regularizer=("L2", 0.1)),
    sgd(kernel_regularizer=("OrthogonalRegularizer", 0.2)),
    sgd(kernel_regularizer=("OrthogonalRegularizer", 0.2, "columns")),
    sgd(kernel_constraint=("MaxNorm", 0.8), bias_constraint="non_neg"),
    sgd(kernel_constraint="UnitNorm"),
    sgd(kernel_constraint=("MinMaxNorm", 0.5, 0.9, 0.7, 1)),
]  # fmt: skip


def random(case: Case, what: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32(f"{case.name} {what}".encode())
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def compiled(lib: ModuleType, case: Case) -> tuple[Any, dict[str, np.ndarray]]:
    """Two layers, and what to train them on."""
    layers, arguments = lib.layers, dict(case.arguments)
    if case.schedule:
        arguments["learning_rate"] = schedule(lib, case)
    options: dict[str, Any] = dict(case.dense)
    for key, value in case.dense.items():
        if isinstance(value, tuple):
            module = getattr(lib, f"{key.rpartition('_')[2]}s")
            options[key] = getattr(module, value[0])(*value[1:])
    model = lib.models.Sequential(
        [layers.Input((5,)), layers.Dense(4, "tanh", **options), layers.Dense(2)]
    )
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights([0.5 * random(case, f"weight {at}", s) for at, s in enumerate(shapes)])
    model.compile(getattr(lib.optimizers, case.optimizer)(**arguments), "mse")
    return model, {"x": random(case, "x", (ROWS, 5)), "y": random(case, "y", (ROWS, 2))}


def schedule(lib: ModuleType, case: Case) -> Any:
    kind, *given = case.schedule
    return getattr(lib.optimizers.schedules, kind)(*given)


def record(lib: ModuleType, case: Case) -> Arrays:
    """Losses, weights and evaluation of training; rates, if they follow a schedule."""
    results = {}
    if case.schedule:
        rate = schedule(lib, case)
        results["rates"] = np.array([float(rate(step)) for step in range(12)])
    model, data = compiled(lib, case)
    history = model.fit(**data, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    results["loss"] = np.array(history.history["loss"])
    results["evaluate"] = np.array(model.evaluate(**data, verbose=0))
    return results | {f"weight/{at}": w for at, w in enumerate(model.get_weights())}
