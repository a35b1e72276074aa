"""What a loss is: one value a sample, weighed, and reduced to a scalar.

A function takes y_true and y_pred of one shape (batch, ..., size) and returns one value for each
sample, (batch, ...): the mean, or sum over classes, along the last axis. A class reduces these to
the scalar that `fit` minimises. A loss of one's own is any function written with `graphc.ops`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, Self

from graphc import ops
from graphc.eager import eagerly
from graphc.errors import unknown_name
from graphc.serialization import serialize_keras_object, with_objects
from graphc.trace import Tensor
from graphc.utils import snake_case

EPSILON = 1e-7  # keras.config.epsilon()

LossFunction = Callable[..., Tensor]


def match_ranks(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Drops or adds a last axis of size 1 where the ranks differ by one, as Keras does."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1) if y_pred.ndim > 1 else y_true
        y_pred = ops.expand_dims(y_pred, -1) if y_pred.ndim == 1 else y_pred
    elif y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_true = ops.expand_dims(y_true, -1)
    return y_true, y_pred


def prepared(y_true: Any, y_pred: Any) -> tuple[Tensor, Tensor]:
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(ops.convert_to_tensor(y_true), y_pred.dtype)
    y_true, y_pred = match_ranks(y_true, y_pred)
    if y_true.shape != y_pred.shape and y_true.ndim:  # Keras broadcasts, which hides mistakes
        raise ValueError(
            f"y_true of shape {list(y_true.shape)} and y_pred of shape {list(y_pred.shape)} must "
            "be of one shape"
        )
    return y_true, y_pred


class Loss:
    """Base of losses; one of one's own defines `call(y_true, y_pred)`.

    Args:
        name: shown in messages.
        reduction: "sum_over_batch_size" (the mean over samples), "mean" (the same; with sample
            weights divided by their sum), "sum", or None or "none".
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: str | None = None,
    ) -> None:
        if dtype not in (None, "float32"):
            raise ValueError(f"{type(self).__name__}: dtype must be 'float32', got {dtype!r}")
        known = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)
        if reduction not in known:
            raise unknown_name("reduction", reduction, [k for k in known if k])
        self.name = name or type(self).__name__
        self.reduction = reduction

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """One value a sample."""
        raise TypeError(f"{type(self).__name__} must define call(self, y_true, y_pred)")

    @eagerly
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Tensor:
        """The reduced loss; of arrays outside of a trace.

        Args:
            y_true, y_pred: as the loss takes them.
            sample_weight: one weight a sample, or one for each of the loss's values. Values that
                y_pred's mask hides do not count.
        """
        values = self.call(y_true, y_pred)
        masks = [m for t in (y_pred, values) if (m := getattr(t, "mask", None)) is not None]
        mask = ops.logical_and(*masks) if len(masks) == 2 else masks[0] if masks else None
        weight = masked_weight(sample_weight, mask, self.reduction)
        if weight is not None:
            weight = align_weight(weight, values)
            values = ops.multiply(values, weight)
        if self.reduction in ("none", None):
            return values
        if self.reduction == "sum":
            return ops.sum(values)
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            # Keras divides by the sum of the weights as they are, before they are repeated.
            return _divided(ops.sum(values), ops.sum(weight))
        return ops.mean(values)

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal loss with."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A loss from `get_config`'s result, or Keras's."""
        return cls(**config)


def masked_weight(sample_weight: Any, mask: Tensor | None, reduction: str | None) -> Tensor | None:
    """Sample weights that are 0 where a mask hides the value; means go over the others only."""
    if mask is None:
        return None if sample_weight is None else ops.convert_to_tensor(sample_weight)
    weight = ops.cast(mask, "float32")
    if reduction in ("mean", "sum_over_batch_size"):
        total = ops.sum(ops.ones_like(weight))
        weight = ops.multiply(weight, _divided(total, ops.sum(weight)))
    if sample_weight is None:
        return weight
    given = ops.cast(ops.convert_to_tensor(sample_weight), "float32")
    longer, shorter = (weight, given) if weight.ndim >= given.ndim else (given, weight)
    return ops.multiply(longer, align_weight(shorter, longer))


def _divided(x: Tensor, y: Tensor) -> Tensor:
    """x / y; 0 where y is 0."""
    some = ops.not_equal(y, 0.0)
    return ops.where(some, ops.divide(x, ops.where(some, y, 1.0)), 0.0)


def align_weight(sample_weight: Any, values: Tensor) -> Tensor:
    """Sample weights in the values' dtype and rank."""
    weight = ops.cast(ops.convert_to_tensor(sample_weight), values.dtype)
    while weight.ndim > values.ndim and weight.shape[-1] == 1:
        weight = ops.squeeze(weight, -1)
    while weight.ndim < values.ndim:
        weight = ops.expand_dims(weight, -1)
    return weight


def name_of(function: object) -> str:
    """What to call a loss or metric that is a function, or an object that is called like one."""
    for attribute in ("name", "__name__"):
        if isinstance(name := getattr(function, attribute, None), str):
            return name
    return snake_case(type(function).__name__)


class LossFunctionWrapper(Loss):
    """A loss that calls a function with fixed options, as `keras.losses.LossFunctionWrapper`."""

    def __init__(
        self,
        fn: LossFunction,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name or name_of(fn), reduction, dtype)
        self.fn = fn
        self.options = options

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return ops.convert_to_tensor(self.fn(y_true, y_pred, **self.options))

    def get_config(self) -> dict[str, Any]:
        options = serialize_keras_object(self.options)
        return {**super().get_config(), "fn": serialize_keras_object(self.fn), **options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "fn"))


class FunctionLoss(LossFunctionWrapper):
    """The class form of a loss function: takes the function's options, reduction, name, dtype."""

    function: LossFunction
    default_name: str | None = None
    forgotten: ClassVar[tuple[str, ...]] = ()  # options that Keras does not write

    def __init_subclass__(cls) -> None:
        own = list(inspect.signature(FunctionLoss.__init__).parameters.values())[1:]
        options = list(inspect.signature(cls.function).parameters.values())[2:]
        positional = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in options]
        shared = [p for p in own if p.kind is p.KEYWORD_ONLY]
        shared = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in shared]
        cls.__signature__ = inspect.Signature([*positional, *shared])  # type: ignore[attr-defined]

    def __init__(
        self,
        *args: Any,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
        **options: Any,
    ) -> None:
        parameters = inspect.signature(type(self)).parameters
        names = list(parameters)
        given = {key: p.default for key, p in parameters.items()}
        given |= {"reduction": reduction, "name": name, "dtype": dtype, **options}
        given |= dict(zip(names, args, strict=False))
        unknown = sorted(set(given) - set(names))
        if unknown or len(args) > len(names):
            raise TypeError(
                f"{type(self).__name__}: unknown argument {', '.join(map(repr, unknown))}; "
                f"it takes {', '.join(names)}"
            )
        function = type(self).function
        given["name"] = given["name"] or self.default_name or name_of(function)
        super().__init__(function, **given)

    def get_config(self) -> dict[str, Any]:
        defaults = inspect.signature(type(self)).parameters
        config = {**Loss.get_config(self), **self.options}
        for option in self.forgotten:
            if config[option] == defaults[option].default:
                del config[option]
        return config
