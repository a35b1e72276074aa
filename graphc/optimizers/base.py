"""What an optimizer is: a learning rate, slots beside variables, an update of ordinary ops."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, ClassVar

import numpy as np

from graphc import ops
from graphc.serialization import serialize_keras_object
from graphc.trace import Tensor, Variable, assign_all, current
from graphc.utils import automatic_name

from .schedules import LearningRateSchedule, deserialize

# Options that all optimizers share, with their defaults.
SHARED: dict[str, Any] = {
    "weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None,
    "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": None,
    "gradient_accumulation_steps": None,
}  # fmt: skip


class LearningRate(float):
    """A learning rate: a number that can be assigned, as Keras's variable."""

    optimizer: Optimizer

    def assign(self, value: float) -> None:
        """Changes the optimizer's learning rate."""
        self.optimizer.learning_rate = value

    def numpy(self) -> float:
        return float(self)


class Optimizer:
    """Base of optimizers, as `keras.optimizers.Optimizer`.

    One of one's own defines `update_step(gradient, variable, learning_rate)` with `graphc.ops` and
    `assign`, and `build(variables)` if it keeps slots. The step is traced into the training program
    and fused like everything else. The learning rate is an input: changing it never recompiles.

    Args:
        learning_rate: of each step: a number or a `schedules.LearningRateSchedule`; `lr` is the
            same.
        name: shown in messages.
        weight_decay: each step first takes this times the learning rate off the weights.
        clipnorm: largest length of each variable's gradient.
        clipvalue: largest size of each of its elements.
        global_clipnorm: largest length of all gradients together; only one of the three.
        use_ema: whether to keep moving averages of the weights, which `fit` puts in their place
            at its end.
        ema_momentum: how much of the averages stays at each step.
        ema_overwrite_frequency: puts them in the weights' place every so many steps.
        gradient_accumulation_steps: updates only every so many steps, with the mean gradient.
    """

    only_defaults: ClassVar[Mapping[str, Any]] = {"loss_scale_factor": None}  # for half precision
    weight_decay: float | None
    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    gradient_accumulation_steps: int | None

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "lr" in kwargs:
            learning_rate = kwargs.pop("lr")
        if "decay" in kwargs:
            kwargs.pop("decay")
            warnings.warn(
                "decay is no longer an argument of optimizers; it is ignored", stacklevel=3
            )
        if kwargs.pop("loss_scale_factor", None) is not None:
            raise ValueError(f"{type(self).__name__}: loss_scale_factor must be None")
        for key, default in SHARED.items():
            setattr(self, key, kwargs.pop(key, default))
        if kwargs:
            raise TypeError(
                f"{type(self).__name__}: unknown argument {', '.join(map(repr, sorted(kwargs)))}"
            )
        if isinstance(learning_rate, Mapping):
            learning_rate = deserialize(learning_rate)
        self.schedule = learning_rate if isinstance(learning_rate, LearningRateSchedule) else None
        if isinstance(learning_rate, bool) or not isinstance(
            learning_rate, (int, float, np.number, LearningRateSchedule)
        ):
            raise ValueError(
                f"{type(self).__name__}: learning_rate must be a number or a schedule, got "
                f"{learning_rate!r}"
            )
        self.name = name or automatic_name(type(self).__name__)
        self._check_options()
        self.built = False
        self._iterations = Variable(0, "iteration", False, "int32")
        start = 0.0 if isinstance(learning_rate, LearningRateSchedule) else learning_rate
        self._learning_rate = Variable(start, "learning_rate", False)
        self._slots: list[Variable] = []
        self._built_for: frozenset[Variable] = frozenset()
        self._ema: dict[Variable, Variable] = {}
        self._accumulated: dict[Variable, Variable] = {}
        self._without_decay: tuple[set[Variable], list[str]] = (set(), [])

    def _check_options(self) -> None:
        kind = type(self).__name__
        names = ("clipnorm", "clipvalue", "global_clipnorm")
        clips = [n for n in names if getattr(self, n) is not None]
        if len(clips) > 1:
            raise ValueError(f"{kind}: only one of {' and '.join(clips)} can be set")
        for name in clips:
            value = getattr(self, name)
            if not isinstance(value, (int, float, np.number)):
                raise ValueError(f"{kind}: {name} must be a number, got {value!r}")
        if self.use_ema:
            fraction(kind, "ema_momentum", self.ema_momentum)
        for name, least in (("ema_overwrite_frequency", 1), ("gradient_accumulation_steps", 2)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < least):
                raise ValueError(
                    f"{kind}: {name} must be an int of at least {least}, got {value!r}"
                )

    @property
    def learning_rate(self) -> LearningRate:
        """The learning rate; assigning takes effect at the next step, without compiling again."""
        if self.schedule is not None:
            rate = LearningRate(self.schedule(int(self._iterations.value)))
        else:
            rate = LearningRate(self._learning_rate.value)
        rate.optimizer = self
        return rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if self.schedule is not None:
            raise TypeError(
                f"optimizer {self.name!r}: the learning rate follows {self.schedule!r} and cannot "
                "be set"
            )
        self._learning_rate.assign(np.float32(value))

    lr = learning_rate

    @property
    def iterations(self) -> Variable | Tensor:
        """How many updates there were; while tracing, a tensor if several steps make one."""
        steps = self.gradient_accumulation_steps
        if not steps:
            return self._iterations
        quotient = ops.floor(ops.divide(ops.cast(self._iterations, "float32"), float(steps)))
        return ops.cast(quotient, "int32")

    @property
    def variables(self) -> list[Variable]:
        """Iterations, the learning rate unless it follows a schedule, then the slots."""
        rate = [self._learning_rate] if self.schedule is None else []
        return [self._iterations, *rate, *self._slots]

    @property
    def moving_averages(self) -> dict[Variable, Variable]:
        """The moving average of each weight with `use_ema`, once training has begun."""
        return dict(self._ema)

    def build(self, variables: Sequence[Variable]) -> None:
        """Makes the slots for these variables."""
        if self.use_ema:
            self._ema = {v: self.add_slot(v, "average") for v in variables}
        if self.gradient_accumulation_steps:
            self._accumulated = {v: self.add_slot(v, "gradient_accumulator") for v in variables}
        self._built_for = frozenset(variables)
        self.built = True

    def prepare(self, variables: Sequence[Variable]) -> None:
        """Builds the optimizer for these variables, unless it is built."""
        if not self.built:
            self.build(variables)
            self.built = True
            self._built_for = frozenset(variables)

    def save_own_variables(self, store: MutableMapping[str, np.ndarray]) -> None:
        """Puts the state, which is `variables`, into a dict as "0", "1" and so on."""
        store.update({str(at): variable.value for at, variable in enumerate(self.variables)})

    def load_own_variables(self, store: Mapping[str, np.ndarray]) -> None:
        """Takes back what `save_own_variables` put into a dict.

        Raises:
            ValueError: when number or shapes differ; then nothing is changed.
        """
        read = getattr(store, "stored", store.__getitem__)  # a file's need not be read at once
        values = [read(str(at)) for at in range(len(store))]
        variables = self.kept_in(len(store)) or self.variables
        assign_all(f"optimizer {self.name!r}", variables, values)

    def kept_in(self, count: int) -> list[Variable]:
        """Which variables a saved state of so many arrays has; none if it is another optimizer's.

        One that was saved before its first step may have no slots yet: where there was no step
        here either, they have their first values, and are left so.
        """
        own = self.variables
        before = own[: len(own) - len(self._slots)]
        if count == len(before) and not self._iterations.value:
            return before
        return own if count == len(own) else []

    def add_slot(
        self, variable: Variable, name: str, value: float = 0.0, shape: Sequence[int] | None = None
    ) -> Variable:
        """A value of a variable's shape, or of another one, to go with the variable."""
        first = np.full(variable.shape if shape is None else shape, value)
        slot = Variable(first, f"{variable.name}/{name}", False, variable.dtype)
        self._slots.append(slot)
        return slot

    def assign(self, variable: Variable, value: Any) -> Tensor:
        """Makes a value the variable's new one; returns it."""
        tensor = ops.convert_to_tensor(value)
        current().assign(variable, tensor)
        return tensor

    def update_step(self, gradient: Tensor, variable: Variable, learning_rate: Tensor) -> None:
        """Assigns the variable (and its slots) their values after this step."""
        raise TypeError(f"{type(self).__name__} must define update_step")

    def before_updates(self) -> None:
        """Traces what is done once a step, before all variables' updates."""

    def exclude_from_weight_decay(
        self, var_list: Sequence[Variable] = (), var_names: Sequence[str] = ()
    ) -> None:
        """Leaves variables, given or with names ("kernel") that match a pattern, out of decay."""
        if self.built:
            raise ValueError("exclude_from_weight_decay must be called before training begins")
        self._without_decay = set(var_list), list(var_names)

    def apply(self, gradients: Sequence[Tensor], variables: Sequence[Variable]) -> None:
        """Traces a step for all variables, then counts it.

        Raises:
            ValueError: when a variable is not among those the optimizer was built for.
        """
        self.prepare(variables)
        new = [v.name for v in variables if v not in self._built_for]
        if new:
            raise ValueError(
                f"optimizer {self.name!r} was built for other variables than {new}, and has kept "
                "nothing for these; compile the model again with a new optimizer"
            )
        steps = self.gradient_accumulation_steps
        if steps:
            self._apply_at_times(gradients, variables, steps)
        else:
            self._update(gradients, variables)
        if self.use_ema:
            self._average(variables)
        for variable in variables:
            if variable.constraint is not None:
                self.assign(variable, variable.constraint(ops.convert_to_tensor(variable)))
        self.assign(self._iterations, ops.add(self._iterations, 1))

    def _update(self, gradients: Sequence[Tensor], variables: Sequence[Variable]) -> None:
        if self.schedule is not None:
            rate = ops.cast(self.schedule(ops.convert_to_tensor(self._iterations)), "float32")
        else:
            rate = ops.convert_to_tensor(self._learning_rate)
        gradients = self._clipped(gradients)
        self.before_updates()
        for gradient, variable in zip(gradients, variables, strict=True):
            with current().scope(current().layer_of(variable), "update"):
                decay = self.decay_of(variable) if self._decays(variable) else None
                if decay is not None:
                    off = ops.multiply(ops.multiply(variable, decay), rate)
                    self.assign(variable, ops.subtract(variable, off))
                self.update_step(gradient, variable, rate)

    def decay_of(self, variable: Variable) -> float | None:
        """What weight decay takes off a variable, times the learning rate."""
        return self.weight_decay

    def _decays(self, variable: Variable) -> bool:
        left_out, patterns = self._without_decay
        name = variable.name.rpartition("/")[2]
        return variable not in left_out and not any(re.search(p, name) for p in patterns)

    def _clipped(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        if self.clipnorm:
            return [self._shortened(g, _length([g]), self.clipnorm) for g in gradients]
        if self.global_clipnorm:
            norm = _length(gradients)
            return [self._shortened(g, norm, self.global_clipnorm) for g in gradients]
        if self.clipvalue:
            return [ops.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        return list(gradients)

    def _shortened(self, gradient: Tensor, norm: Tensor, longest: float) -> Tensor:
        return ops.multiply(gradient, ops.divide(longest, ops.maximum(norm, longest)))

    def _apply_at_times(
        self, gradients: Sequence[Tensor], variables: Sequence[Variable], steps: int
    ) -> None:
        """An update with the mean gradient at every so many steps; nothing changes between."""
        now = self._every(steps, self._iterations)
        sums = [
            ops.add(gradient, self._accumulated[variable])
            for gradient, variable in zip(gradients, variables, strict=True)
        ]
        slots = [s for s in self._slots if s not in self._accumulated.values()]
        kept = {v: ops.convert_to_tensor(v) for v in (*variables, *slots)}
        self._update([ops.divide(total, float(steps)) for total in sums], variables)
        for variable, before in kept.items():
            self.assign(variable, ops.where(now, variable, before))
        for total, variable in zip(sums, variables, strict=True):
            self.assign(self._accumulated[variable], ops.where(now, 0.0, total))

    def _every(self, steps: int, counter: Any) -> Tensor:
        """Whether counter + 1 is a multiple of steps."""
        after = ops.cast(ops.add(counter, 1), "float32")
        return ops.equal(after, ops.multiply(ops.floor(ops.divide(after, steps)), float(steps)))

    def _average(self, variables: Sequence[Variable]) -> None:
        counter = self.iterations
        later = ops.cast(ops.not_equal(counter, 0), "float32")
        momentum = ops.multiply(later, self.ema_momentum)
        every = self.ema_overwrite_frequency
        now = self._every(every, counter) if every else None
        for variable in variables:
            average = self._ema[variable]
            kept = ops.multiply(momentum, average)
            mean = self.assign(
                average, ops.add(kept, ops.multiply(ops.subtract(1.0, momentum), variable))
            )
            if now is not None:
                self.assign(variable, ops.where(now, mean, variable))

    def finalize_variable_values(self, variables: Sequence[Variable]) -> None:
        """Puts the averages in the weights' place, when training is over (`use_ema`)."""
        for variable in variables:
            if variable in self._ema:
                variable.assign(self._ema[variable].value)

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal optimizer with."""
        rate: Any = float(self._learning_rate.value)
        rate = rate if self.schedule is None else serialize_keras_object(self.schedule)
        shared = {key: getattr(self, key) for key in SHARED}
        return {"name": self.name, "learning_rate": rate, **shared, **self.only_defaults}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Optimizer:
        """An optimizer from `get_config`'s result."""
        return cls(**config)


def _length(gradients: Sequence[Tensor]) -> Tensor:
    total: Tensor | None = None
    for gradient in gradients:
        square = ops.sum(ops.square(gradient))
        total = square if total is None else ops.add(total, square)
    return ops.sqrt(ops.convert_to_tensor(0.0 if total is None else total))


def fraction(owner: str, name: str, value: float) -> float:
    """A coefficient checked to be in [0, 1].

    Raises:
        ValueError: naming the optimizer and argument otherwise.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError(f"{owner}: {name} must be between 0 and 1, got {value!r}")
    return float(value)
