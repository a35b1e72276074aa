"""What configurations say of layers: their arguments, what they were built for, and their calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from graphc import regularizers
from graphc.dtype_policy import DTypePolicy
from graphc.serialization import serialize_keras_object
from graphc.trace import current
from graphc.tree import flatten

from .symbolic import known_shape

# Arguments that all layers have, and whose values they keep.
SHARED = ("name", "trainable", "dtype", "activity_regularizer")


class Configured:
    """The part of `Layer` that writes and reads configurations."""

    # Weights with a regularizer and a constraint among the arguments: what these begin with, by
    # the weight's name.
    weight_options: ClassVar[Mapping[str, str]] = {}
    # Keras's options that have only their default here: those that configurations have, and others.
    only_defaults: ClassVar[Mapping[str, Any]] = {}
    # Whether configurations say it when there is no activity_regularizer.
    writes_activity_regularizer: ClassVar[bool] = False
    # What Keras's `call` has as the default of `training`. Where it is not None, its files have it
    # with every call, so that it says nothing there.
    default_training: ClassVar[bool | None] = False
    unwritten_defaults: ClassVar[Mapping[str, Any]] = {
        "autocast": True, "quantization_config": None, "lora_rank": None, "lora_alpha": None,
        "flash_attention": None,
    }  # fmt: skip

    name: str
    trainable: bool
    built: bool
    dtype_policy: DTypePolicy
    activity_regularizer: Any
    _build_shape: Any
    _constructor_call: functools.partial[Any]  # what made it; layers in there are not attached

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        layer = super().__new__(cls)
        if cls._leaves_config():
            layer._constructor_call = functools.partial(cls, *args, **kwargs)
        return layer

    @classmethod
    def _leaves_config(cls) -> bool:
        """Whether a user's class leaves its configuration to its constructor's arguments."""
        return cls.get_config is Configured.get_config

    def build(self, input_shape: Any) -> None:
        """Makes the weights, once the input's shape (or shapes) is known."""

    def get_config(self) -> dict[str, Any]:
        """The arguments to make an equal layer with, as JSON can hold them.

        A user's class that does not define it gets the arguments of its constructor.

        Raises:
            ValueError: when JSON cannot hold these.
        """
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self.dtype_policy),
        }
        if self.activity_regularizer is not None or self.writes_activity_regularizer:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if self._leaves_config():
            config |= self._constructor_config()
        return {**config, **self.weight_config(), **self.only_defaults}

    def _constructor_config(self) -> dict[str, Any]:
        call = self._constructor_call
        signature = inspect.signature(type(self).__init__)
        given = dict(signature.bind(self, *call.args, **call.keywords).arguments)
        given.pop(next(iter(signature.parameters)))  # self
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                given |= given.pop(parameter.name, {})
        own = {name: value for name, value in given.items() if name not in SHARED}
        wrong = [name for name, value in own.items() if not _is_plain(value)]
        if wrong:
            raise ValueError(
                f"{type(self).__name__} {self.name!r}: argument {wrong[0]!r} is an object; define "
                "get_config and from_config, which write and read it"
            )
        return own

    def weight_config(self) -> dict[str, Any]:
        """The part of the configuration that says how weights are held back."""
        return {
            f"{option}_{kind}": serialize_keras_object(getattr(self, f"{option}_{kind}"))
            for option in self.weight_options.values()
            for kind in ("regularizer", "constraint")
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A layer from `get_config`'s result, or Keras's."""
        return cls(**config)

    def get_build_config(self) -> dict[str, Any] | None:
        """The input's shape that the layer was built for; None when it has nothing to build."""
        return None if self._build_shape is None else {"input_shape": self._build_shape}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shape that `get_build_config` gave."""
        shapes = [config.get("input_shape"), *config.get("shapes_dict", {}).values()]
        first = next((shape for shape in shapes if shape is not None), None)
        if first is not None:
            self.build(as_shapes(first))
            self.built = True

    def written_call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """A call's arguments as a model's configuration has them.

        What a user said of training is written so that it differs from the default, which Keras
        writes with every call: as a number, which Keras takes for the same.
        """
        given = kwargs.get("training")
        if isinstance(given, bool) and given is self.default_training:
            return args, {**kwargs, "training": int(given)}
        return args, kwargs

    def read_call(
        self, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        """A call's arguments, from a model's configuration.

        Keras writes None for each mask that is not there, which says nothing, and neither does
        `default_training`.
        """
        silent = {"training": self.default_training, "mask": None}
        return args, {k: v for k, v in kwargs.items() if k not in silent or v is not silent[k]}


def as_shapes(config: Any) -> Any:
    """Shapes of a configuration: lists of sizes are tuples, lists and dicts of shapes stay."""
    if isinstance(config, dict):
        return {name: as_shapes(part) for name, part in config.items()}
    if any(isinstance(part, (list, tuple, dict)) for part in config):
        return [as_shapes(part) for part in config]
    return tuple(config)


def shape_of(tensor: Any) -> tuple[int | None, ...]:
    """A traced tensor's shape, None for sizes known only when the model runs."""
    return known_shape(tensor.type, current().batch_size)


def _is_plain(value: Any) -> bool:
    return all(v is None or isinstance(v, (str, bool, int, float)) for v in flatten(value))
