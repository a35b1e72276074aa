"""That the tables of models for files leave nothing out that graphc has."""

from typing import Any

import losses
import metrics
import optimizers
import pytest
import tables

import graphc
from graphc.layers import InputLayer, Layer, Wrapper

# Those that nobody compiles a model with by themselves, and Input, which is in every model.
ABSTRACT = {
    graphc.losses.LossFunctionWrapper,
    graphc.metrics.ByShape,
    graphc.metrics.Mean,
    graphc.metrics.MeanMetricWrapper,
    graphc.metrics.Sum,
    Layer, Wrapper, InputLayer, graphc.losses.Loss, graphc.metrics.Metric,
    graphc.optimizers.Optimizer,
}  # fmt: skip


def classes(module: Any, base: type) -> set[type]:
    exported = [getattr(module, name) for name in dir(module)]
    return {c for c in exported if isinstance(c, type) and issubclass(c, base)} - ABSTRACT


@pytest.mark.parametrize(
    ("module", "base", "used"),
    [
        (graphc.layers, Layer, tables.used()),
        (graphc.losses, graphc.losses.Loss, [case.loss for case in losses.CASES]),
        (graphc.metrics, graphc.metrics.Metric, [case.metric for case in metrics.CASES]),
        (graphc.optimizers, graphc.optimizers.Optimizer, [c.optimizer for c in optimizers.CASES]),
    ],
    ids=["layers", "losses", "metrics", "optimizers"],
)
def test_everything_is_in_a_table(module: Any, base: type, used: Any) -> None:
    there = {getattr(module, name) for name in used if name}
    assert not {cls.__name__ for cls in classes(module, base) - there}
