"""What a model is trained to do: what `compile` says, output by output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import losses, metrics
from .losses import Loss
from .metrics import Mean, Metric
from .optimizers import Optimizer
from .tree import flatten


@dataclass
class Target:
    """What one output is trained to do.

    Attributes:
        name: of the output; "" in a model with one.
        loss: None for an output that is not trained.
        loss_weight: factor of the loss in the total.
        metrics: those that ignore sample weights; weighted_metrics: those that do not.
        tracker: the running mean of its loss, in a model with several losses.
    """

    name: str
    loss: Loss | None
    loss_weight: float | None
    metrics: Sequence[Metric]
    weighted_metrics: Sequence[Metric]
    tracker: Mean | None = None


@dataclass
class Task:
    """What a model is trained to do: set by `compile`.

    Attributes:
        targets: of each output.
        tracker: the running mean of the total loss, reported as "loss".
    """

    optimizer: Optimizer
    targets: Sequence[Target]
    tracker: Mean

    @property
    def has_loss(self) -> bool:
        return any(target.loss is not None for target in self.targets)

    def names(self) -> dict[Metric, str]:
        """The metrics of `compile` with the names they are reported under, as Keras makes them."""
        seen: Counter[str] = Counter()
        result = {}
        for weighted in (False, True):
            for target in self.targets:
                prefix = f"{target.name}_" if target.name else ""
                for metric in target.weighted_metrics if weighted else target.metrics:
                    name = prefix + metric.name
                    if seen[name] and weighted:
                        name = f"{prefix}weighted_{metric.name}"
                    result[metric] = f"{name}_{seen[name]}" if seen[name] else name
                    seen[name] += 1
        return result

    def reported(self) -> list[str]:
        """Names of what `evaluate` returns, in Keras's order: the losses, then the metrics."""
        names = ["loss", *self.names().values()]
        trackers = [t.tracker.name for t in self.targets if t.tracker is not None]
        if len(self.targets) == 1:
            return names
        return ["loss", *trackers, *sorted(names[1:])]

    def all_metrics(self) -> list[Metric]:
        """Everything that accumulates: the losses' means and the metrics of `compile`."""
        trackers = [t.tracker for t in self.targets if t.tracker is not None]
        return [self.tracker, *trackers, *self.names()]


def make_task(
    optimizer: Optimizer,
    names: Sequence[str],
    loss: object,
    loss_weights: object,
    unweighted: object,
    weighted: object,
    before: Task | None,
) -> Task:
    """The task that `compile`'s arguments say, for outputs of these names.

    Compiling again without a loss or without metrics keeps those there were, as in Keras.

    Raises:
        ValueError: for missing or surplus entries, naming the outputs.
    """
    given = [None if part is None else _loss(part) for part in _each(loss, names, "loss", "all")]
    weights = _each(loss_weights, names, "loss_weights", "some")
    metric_lists = [
        [_metrics(part) for part in _each_list(argument, names, name)]
        for argument, name in ((unweighted, "metrics"), (weighted, "weighted_metrics"))
    ]
    if before is not None and loss is None:
        given = [target.loss for target in before.targets]
        weights = [target.loss_weight for target in before.targets]
    if before is not None and unweighted is None and weighted is None:
        metric_lists = [
            [list(t.metrics) for t in before.targets],
            [list(t.weighted_metrics) for t in before.targets],
        ]
    several = sum(part is not None for part in given) > 1
    targets = [
        Target(
            name if len(names) > 1 else "",
            part,
            None if weight is None else _number(weight),
            plain,
            of_weights,
            Mean(f"{name}_loss") if several and part is not None else None,
        )
        for name, part, weight, plain, of_weights in zip(
            names, given, weights, *metric_lists, strict=True
        )
    ]
    task = Task(optimizer, targets, Mean("loss"))
    if "loss" in task.names().values():
        raise ValueError("compile: a metric cannot be called 'loss', as the total is; rename it")
    return task


def _number(weight: Any) -> float:
    if isinstance(weight, bool) or not isinstance(weight, (int, float, np.number)):
        raise ValueError(f"compile: loss_weights must be numbers, got {weight!r}")
    return float(weight)


def _each(given: Any, names: Sequence[str], argument: str, entries: str) -> list[Any]:
    """One entry an output, from a dict by names, a list, or one for all.

    Args:
        entries: whether a dict must have "all" outputs, or only "some".
    """
    if isinstance(given, dict):
        missing = [n for n in names if n not in given]
        surplus = [key for key in given if key not in names]
        if surplus or (missing and entries == "all"):
            raise ValueError(
                f"compile: {argument} must have an entry for each output, {', '.join(names)}; "
                + (f"{', '.join(map(str, missing))} missing" if missing else "")
                + (" and " if missing and surplus else "")
                + (f"{', '.join(map(str, surplus))} unknown" if surplus else "")
            )
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(
                f"compile: the model has {len(names)} outputs ({', '.join(names)}), {argument} "
                f"has {len(given)} entries"
            )
        return list(given)
    if given is not None and argument == "loss_weights" and len(names) > 1:
        raise ValueError(
            f"compile: loss_weights must be a list or dict for outputs {', '.join(names)}, got "
            f"{given!r}"
        )
    return [given] * len(names)


def _each_list(given: Any, names: Sequence[str], argument: str) -> list[Any]:
    """One list of metrics an output."""
    if given is None:
        return [None] * len(names)
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise ValueError(f"compile: metrics must be a list such as ['accuracy'], got {given!r}")
    if isinstance(given, dict):
        return _each(given, names, argument, "some")
    if len(names) == 1:
        return [given]
    return _each(given, names, argument, "all")


def _loss(given: object) -> Loss:
    found = losses.get(given)
    if found.reduction in (None, "none"):
        raise ValueError(f"compile: loss {found.name!r} must be reduced to a scalar")
    return found


def _metrics(given: object) -> list[Metric]:
    """One output's metrics; each output has its own accumulators."""
    if given is None:
        return []
    parts = given if isinstance(given, (list, tuple)) else [given]
    return [metrics.get(part) for part in flatten(list(parts)) if part is not None]
