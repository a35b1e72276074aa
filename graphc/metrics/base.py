"""What a metric is: variables that a program updates, and a value made of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from graphc import losses, ops
from graphc.budget import check_state
from graphc.eager import eagerly
from graphc.serialization import serialize_keras_object, with_objects
from graphc.trace import Tensor, Variable, current
from graphc.utils import automatic_name, snake_case


class Metric:
    """Base of metrics.

    A metric of one's own makes variables with `add_variable` in its constructor and defines
    `update_state(y_true, y_pred, sample_weight=None)` and `result()`.
    """

    dtype = "float32"  # of values
    options: dict[str, Any]  # the arguments that configurations have beside name and dtype
    _direction: str | None = None  # "up" when more is better, "down" when less is: for callbacks

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        if dtype not in (None, self.dtype):
            kind = type(self).__name__
            raise ValueError(f"{kind}: dtype must be {self.dtype!r}, got {dtype!r}")
        self.name = name or automatic_name(type(self).__name__)
        self.variables: list[Variable] = []
        self.options: dict[str, Any] = {}

    def __init_subclass__(cls) -> None:
        # Outside of a program being traced they compute with arrays, as in Keras.
        for method in ("update_state", "result"):
            if method in vars(cls):
                setattr(cls, method, eagerly(vars(cls)[method]))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch into account, and returns the value so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def add_variable(
        self,
        shape: Sequence[int] = (),
        initializer: object = "zeros",
        dtype: str | None = None,
        name: str = "value",
    ) -> Variable:
        """A state variable, zero at the start of each epoch."""
        if initializer not in ("zeros", None):
            raise ValueError(f"metric {self.name!r}: variables start at zero")
        check_state(math.prod(shape), f"metric {self.name!r}: {name!r} of shape {tuple(shape)}")
        variable = Variable(np.zeros(shape), f"{self.name}/{name}", False, dtype or "float32")
        self.variables.append(variable)
        return variable

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account."""
        raise TypeError(f"{type(self).__name__} must define update_state(self, y_true, y_pred)")

    def result(self) -> Any:
        """The value so far."""
        raise TypeError(f"{type(self).__name__} must define result(self)")

    def reset_state(self) -> None:
        """Forgets everything."""
        for variable in self.variables:
            variable.assign(np.zeros(variable.shape))

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal metric with."""
        return {"name": self.name, "dtype": self.dtype, **serialize_keras_object(self.options)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A metric from `get_config`'s result, or Keras's."""
        return cls(**config)


def assign(variable: Variable, value: Any) -> None:
    """Makes a value the variable's new one, in the program being traced."""
    current().assign(variable, ops.cast(ops.convert_to_tensor(value), variable.dtype))


class Mean(Metric):
    """The mean of all values, weighted if weights are given."""

    def __init__(self, name: str | None = None, dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        values = ops.cast(ops.convert_to_tensor(values), "float32")
        if sample_weight is None:
            count = ops.sum(ops.ones_like(values))
        else:
            weight = losses.align_weight(sample_weight, values)
            values = ops.multiply(values, weight)
            count = ops.sum(ops.broadcast_to(weight, values.shape))
        assign(self.total, ops.add(self.total, ops.sum(values)))
        assign(self.count, ops.add(self.count, count))

    def result(self) -> Tensor:
        # 0 before the first batch, as in Keras.
        some = ops.greater(self.count, 0.0)
        return ops.where(some, ops.divide(self.total, ops.where(some, self.count, 1.0)), 0.0)


class MeanMetricWrapper(Mean):
    """The mean over samples of a function of y_true and y_pred."""

    def __init__(
        self, fn: Callable[..., Tensor], name: str | None = None, dtype: str | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(name or losses.name_of(fn), dtype)
        self.fn = fn
        self.options = options
        if fn in losses.FUNCTIONS.values():
            self._direction = "down"

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        # As in Keras, a mask counts only where there are sample weights.
        mask = getattr(y_pred, "mask", None)
        if sample_weight is not None and mask is not None:
            sample_weight = losses.masked_weight(sample_weight, mask, "sum")
        super().update_state(self.fn(y_true, y_pred, **self.options), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fn": serialize_keras_object(self.fn)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "fn"))


class Sum(Metric):
    """The sum of all values, weighted if weights are given."""

    def __init__(self, name: str | None = "sum", dtype: str | None = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        values = ops.cast(ops.convert_to_tensor(values), "float32")
        if sample_weight is not None:
            values = ops.multiply(values, losses.align_weight(sample_weight, values))
        assign(self.total, ops.add(self.total, ops.sum(values)))

    def result(self) -> Tensor:
        return ops.convert_to_tensor(self.total)


class FunctionMetric(MeanMetricWrapper):
    """The class form of a function: takes name, dtype, and the function's options."""

    function: ClassVar[Callable[..., Tensor]]
    default_name: ClassVar[str | None] = None
    forgotten: ClassVar[tuple[str, ...]] = ()  # options that Keras does not write

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        options = list(inspect.signature(cls.function).parameters.values())[2:]
        shared = [
            inspect.Parameter("name", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None),
            inspect.Parameter("dtype", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None),
        ]
        cls.__signature__ = inspect.Signature([*shared, *options])  # type: ignore[attr-defined]

    def __init__(
        self, *args: Any, name: str | None = None, dtype: str | None = None, **options: Any
    ) -> None:
        parameters = inspect.signature(type(self)).parameters
        given = {key: p.default for key, p in parameters.items()}
        given |= {"name": name, "dtype": dtype, **options}
        given |= dict(zip(parameters, args, strict=False))
        unknown = sorted(set(given) - set(parameters))
        if unknown or len(args) > len(parameters):
            raise TypeError(
                f"{type(self).__name__}: unknown argument {', '.join(map(repr, unknown))}; "
                f"it takes {', '.join(parameters)}"
            )
        given["name"] = given["name"] or self.default_name or snake_case(type(self).__name__)
        super().__init__(type(self).function, **given)

    def get_config(self) -> dict[str, Any]:
        defaults = inspect.signature(type(self)).parameters
        config = Metric.get_config(self)
        for option in self.forgotten:
            if config[option] == defaults[option].default:
                del config[option]
        return config
