"""Metrics: one line a case; values over an epoch with a partial batch, and by themselves."""

import zlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
ROWS, BATCH = 11, 4


@dataclass(frozen=True)
class Case:
    """A metric with its arguments.

    Args:
        target: kind of y_true: "normal", "flags", "one_hot" or "ints".
        output: kind of y_pred: "normal", "unit" (between 0 and 1), "rows" (sum 1) or "ints".
        shape: of a row of y_pred.
        weighted: whether samples have weights: "" or "some", or "whole" ones.
    """

    metric: str
    arguments: dict[str, Any] = field(default_factory=dict)
    target: str = "flags"
    output: str = "unit"
    shape: tuple[int, ...] = (5,)
    weighted: str = ""

    @property
    def name(self) -> str:
        kinds = f"{self.target} {self.output} {self.shape} {self.weighted}"
        return f"{self.metric} {self.arguments} {kinds}"


ONE, SOME, TWO = (1,), "some", {"thresholds": [0.3, 0.8]}
BY_VARIANCE = {"class_aggregation": "variance_weighted_average"}
LABELS = {"multi_label": True, "num_labels": 3}

CASES = [
    Case("Accuracy", {}, "ints", "ints", ONE),
    Case("BinaryAccuracy", {"threshold": 0.3}, weighted=SOME),
    Case("CategoricalAccuracy", {}, "one_hot", "rows", weighted=SOME),
    Case("SparseCategoricalAccuracy", {}, "ints", "rows"),
    Case("TopKCategoricalAccuracy", {"k": 2}, "one_hot", "rows"),
    Case("SparseTopKCategoricalAccuracy", {"k": 3}, "ints", "rows", weighted=SOME),
    Case("MeanSquaredError", {}, "normal", "normal", weighted=SOME),
    Case("RootMeanSquaredError", {}, "normal", "normal", (3, 2)),
    Case("MeanAbsoluteError", {}, "normal", "normal"),
    Case("MeanAbsolutePercentageError", {}, "normal", "normal"),
    Case("MeanSquaredLogarithmicError", {}, "flags", "unit"),
    Case("LogCoshError", {}, "normal", "normal"),
    Case("CosineSimilarity", {}, "normal", "normal", weighted=SOME),
    Case("PearsonCorrelation", {}, "normal", "normal"),
    Case("ConcordanceCorrelation", {}, "normal", "normal"),
    Case("KLDivergence", {}, "one_hot", "rows"),
    Case("Poisson", {}, "flags", "unit"),
    Case("Hinge", {}, "flags", "normal"),
    Case("SquaredHinge", {}, "flags", "normal"),
    Case("CategoricalHinge", {}, "one_hot", "normal"),
    Case("BinaryCrossentropy", {"label_smoothing": 0.1}, weighted=SOME),
    Case("CategoricalCrossentropy", {"from_logits": True}, "one_hot", "normal"),
    Case("SparseCategoricalCrossentropy", {}, "ints", "rows"),
    Case("R2Score", {}, "normal", "normal", (2,), SOME),
    Case("R2Score", BY_VARIANCE, "normal", "normal", (3,)),
    Case("R2Score", {"class_aggregation": None}, "normal", "normal", (3,)),
    Case("AUC", shape=ONE),
    Case("AUC", {"num_thresholds": 20, "curve": "PR"}, shape=ONE, weighted=SOME),
    Case("AUC", {"curve": "PR", "summation_method": "majoring", "num_thresholds": 9}),
    Case("AUC", {"summation_method": "minoring", "thresholds": [0.2, 0.5, 0.6]}, weighted=SOME),
    Case("AUC", {**LABELS, "num_thresholds": 15}, shape=(3,)),
    Case("AUC", {**LABELS, "label_weights": [1.0, 2.0, 0.5], "curve": "PR"}, shape=(3,)),
    Case("AUC", {"from_logits": True}, "flags", "normal", ONE),
    Case("Precision", weighted=SOME),
    Case("Precision", {"top_k": 2}, "one_hot"),
    Case("Precision", {"class_id": 1, **TWO}),
    Case("Recall", TWO, weighted=SOME),
    Case("Recall", {"top_k": 3, "class_id": 2}, "one_hot"),
    Case("TruePositives", {"thresholds": 0.4}),
    Case("FalsePositives", TWO, weighted=SOME),
    Case("TrueNegatives"),
    Case("FalseNegatives", weighted=SOME),
    Case("SensitivityAtSpecificity", {"specificity": 0.5}, shape=ONE),
    Case("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 7}, weighted=SOME),
    Case("PrecisionAtRecall", {"recall": 0.8}, shape=ONE),
    Case("RecallAtPrecision", {"precision": 0.6}, weighted=SOME),
    Case("F1Score", {}, "one_hot"),
    Case("F1Score", {"average": "macro", "threshold": 0.4}, weighted=SOME),
    Case("FBetaScore", {"average": "weighted", "beta": 2.0}, "one_hot"),
    Case("FBetaScore", {"average": "micro", "beta": 0.5, "threshold": 0.6}),
    Case("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, "ints", "ints", ONE),
    Case("BinaryIoU", {"threshold": 0.4}, shape=ONE, weighted="whole"),
    Case("MeanIoU", {"num_classes": 3, "ignore_class": 1}, "ints", "ints", ONE),
    Case("OneHotIoU", {"num_classes": 4, "target_class_ids": [1]}, "one_hot", "rows", (4,)),
    Case("OneHotMeanIoU", {"num_classes": 4}, "one_hot", "rows", (4,), "whole"),
]  # fmt: skip


def random(case: Case, what: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32(f"{case.name} {what}".encode())
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def made(case: Case, kind: str, what: str) -> np.ndarray:
    x = random(case, what, (ROWS, *case.shape))
    if kind == "flags":
        return (x > 0.3).astype(np.float32)
    if kind == "unit":
        return 1 / (1 + np.exp(-x))
    if kind == "rows":
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    if kind == "one_hot":
        return np.eye(case.shape[-1], dtype=np.float32)[x.argmax(-1)]
    if kind == "ints":  # below 3, where there is no axis of classes
        return (np.abs(x) * 2 % 3).astype(np.int32) if case.shape == ONE else x.argmax(-1)
    return x


def compiled(lib: ModuleType, case: Case) -> Any:
    """A model that gives back what it gets, with the metric."""
    x = lib.layers.Input(case.shape)
    model = lib.models.Model(x, lib.layers.Activation("linear")(x))
    metric = getattr(lib.metrics, case.metric)(**case.arguments, name="m")
    model.compile("sgd", "mse", weighted_metrics=[metric])
    return model


def record(lib: ModuleType, case: Case) -> Arrays:
    """The metric's value of evaluate, and of itself, called batch by batch."""
    new = getattr(lib.metrics, case.metric)
    y_true, y_pred = made(case, case.target, "y"), made(case, case.output, "p")
    weight = np.abs(random(case, "w", (ROWS,))) if case.weighted else None
    if case.weighted == "whole" and weight is not None:
        weight = np.floor(4 * weight)
    results = {}
    alone = new(**case.arguments, name="m")
    for start in range(0, ROWS, BATCH):
        rows = slice(start, start + BATCH)
        alone.update_state(y_true[rows], y_pred[rows], None if weight is None else weight[rows])
    results["alone"] = np.array(alone.result())
    if case.target != "ints":
        model = compiled(lib, case)
        logs = model.evaluate(
            y_pred, y_true, BATCH, verbose=0, sample_weight=weight, return_dict=True
        )
        results["evaluate"] = np.array(logs[alone.name])
    alone.reset_state()
    alone.update_state(y_true[:2], y_pred[:2])
    results["again"] = np.array(alone.result())
    return results
