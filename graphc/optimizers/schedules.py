"""Learning rates that follow the number of steps, as `keras.optimizers.schedules`.

A schedule is called with the counter of steps while a program is traced, and then is part of it;
called with a number it gives a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.registration import CustomObjectScope, export
from graphc.serialization import deserialize_keras_object, serialize_keras_object
from graphc.trace import Tensor, Variable


def _library(step: object) -> Any:
    """What to compute with: ops for tensors, NumPy for numbers; both have the same names."""
    return ops if isinstance(step, (Tensor, Variable)) else np


def _float(step: Any) -> Any:
    return ops.cast(step, "float32") if _library(step) is ops else np.float32(step)


class LearningRateSchedule:
    """Base of schedules; one of one's own defines `__call__(step)` with `graphc.ops`."""

    def __call__(self, step: Any) -> Any:
        """The learning rate at a step."""
        raise TypeError(f"{type(self).__name__} must define __call__(self, step)")

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal schedule with."""
        return {key: value for key, value in vars(self).items() if key[0] != "_"}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LearningRateSchedule:
        """A schedule from `get_config`'s result."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in vars(self).items())})"


def _positive(schedule: LearningRateSchedule, **steps: float) -> None:
    for name, value in steps.items():
        if value <= 0:
            raise ValueError(f"{type(schedule).__name__}: {name} must be above 0, got {value!r}")


class ExponentialDecay(LearningRateSchedule):
    """initial * decay_rate ** (step / decay_steps).

    Args:
        staircase: whether only whole multiples of decay_steps count.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float,
        staircase: bool = False, name: str = "ExponentialDecay",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        _positive(self, decay_steps=decay_steps)

    def __call__(self, step: Any) -> Any:
        x = _library(step)
        p = _float(step) / float(self.decay_steps)
        p = x.floor(p) if self.staircase else p
        return self.initial_learning_rate * x.power(self.decay_rate, p)


class InverseTimeDecay(ExponentialDecay):
    """initial / (1 + decay_rate * step / decay_steps).

    Args:
        staircase: whether only whole multiples of decay_steps count.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, decay_rate: float,
        staircase: bool = False, name: str = "InverseTimeDecay",
    ) -> None:  # fmt: skip
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> Any:
        p = _float(step) / float(self.decay_steps)
        p = _library(step).floor(p) if self.staircase else p
        return self.initial_learning_rate / (1.0 + self.decay_rate * p)


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] up to the step boundaries[i], then the next one.

    Args:
        boundaries: steps.
        values: one more than boundaries.
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay: values must be one more than boundaries, got "
                f"{len(values)} and {len(boundaries)}"
            )
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def __call__(self, step: Any) -> Any:
        x, step = _library(step), _float(step)
        rate: Any = self.values[-1]
        for boundary, value in reversed(list(zip(self.boundaries, self.values, strict=False))):
            rate = x.where(step <= float(boundary), value, rate)
        return rate


class PolynomialDecay(LearningRateSchedule):
    """(initial - end) * (1 - step / decay_steps) ** power + end.

    Args:
        cycle: whether decay_steps grows to the next multiple behind the step; else the rate stays
            at its end.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, end_learning_rate: float = 0.0001,
        power: float = 1.0, cycle: bool = False, name: str = "PolynomialDecay",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name
        _positive(self, decay_steps=decay_steps)

    def __call__(self, step: Any) -> Any:
        x, step, steps = _library(step), _float(step), float(self.decay_steps)
        if self.cycle:
            rounds = -x.floor(-(step / steps))
            p = step / (steps * x.where(step <= 0.0, 1.0, rounds))
        else:
            p = x.minimum(step, steps) / steps
        span = self.initial_learning_rate - self.end_learning_rate
        return span * x.power(1.0 - p, self.power) + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine from initial to alpha * initial, after a linear warm-up (Loshchilov and
    Hutter 2017).

    Args:
        decay_steps: of the cosine.
        alpha: the part of the rate that is left.
        warmup_target: the rate after warmup_steps, from which the cosine starts.
    """

    def __init__(
        self, initial_learning_rate: float, decay_steps: int, alpha: float = 0.0,
        name: str = "CosineDecay", warmup_target: float | None = None, warmup_steps: int = 0,
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps
        _positive(self, decay_steps=decay_steps)

    def _decay(self, x: Any, step: Any, start: float) -> Any:
        decayed = 0.5 * (1.0 + x.cos(math.pi * (step / float(self.decay_steps))))
        return start * ((1.0 - self.alpha) * decayed + self.alpha)

    def __call__(self, step: Any) -> Any:
        x, step = _library(step), _float(step)
        target, warmup = self.warmup_target, float(self.warmup_steps)
        if target is None:
            return self._decay(
                x, x.minimum(step, float(self.decay_steps)), self.initial_learning_rate
            )
        step = x.minimum(step, self.decay_steps + warmup)
        decayed = self._decay(x, step - warmup, target)
        if not warmup:
            return decayed
        rising = (target - self.initial_learning_rate) * (step / warmup)
        return x.where(step < warmup, rising + self.initial_learning_rate, decayed)


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after another (Loshchilov and Hutter 2017, SGDR).

    Args:
        first_decay_steps: of the first.
        t_mul: each lasts this many times as long as the one before.
        m_mul: and starts at this many times its rate.
        alpha: the part of the rate that is left.
    """

    def __init__(
        self, initial_learning_rate: float, first_decay_steps: int, t_mul: float = 2.0,
        m_mul: float = 1.0, alpha: float = 0.0, name: str = "SGDRDecay",
    ) -> None:  # fmt: skip
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name
        _positive(self, first_decay_steps=first_decay_steps)

    def __call__(self, step: Any) -> Any:
        x = _library(step)
        done = _float(step) / float(self.first_decay_steps)
        if self.t_mul == 1:
            restarts = x.floor(done)
            done = done - restarts
        else:
            restarts = x.floor(x.log(1.0 - done * (1.0 - self.t_mul)) / math.log(self.t_mul))
            length = x.power(self.t_mul, restarts)
            done = (done - (1.0 - length) / (1.0 - self.t_mul)) / length
        decayed = 0.5 * x.power(self.m_mul, restarts) * (1.0 + x.cos(math.pi * done))
        return self.initial_learning_rate * ((1.0 - self.alpha) * decayed + self.alpha)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """The configuration of a schedule, as Keras writes it."""
    config: dict[str, Any] = serialize_keras_object(learning_rate_schedule)
    return config


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> LearningRateSchedule:
    """The schedule of a configuration; `custom_objects` are a user's own, by name.

    Raises:
        ValueError: when it is of something else, or of what is not there.
    """
    with CustomObjectScope(custom_objects):
        found = deserialize_keras_object({"module": "keras.optimizers.schedules", **config})
    if not isinstance(found, LearningRateSchedule):
        raise ValueError(f"expected the config of a learning-rate schedule, got {config!r}")
    return found


_CLASSES: tuple[type[LearningRateSchedule], ...] = (
    ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay, CosineDecay,
    CosineDecayRestarts,
)  # fmt: skip
export("keras.optimizers.schedules", [*_CLASSES, LearningRateSchedule])
