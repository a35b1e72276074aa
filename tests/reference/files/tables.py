"""Models for files that go from one library to the other: every layer, one line a model.

Most come from the tables in `tests/reference`; those layers that are tested otherwise there are in
OTHERS. `tests/saving/test_tables.py` says if a layer is in none of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import convolution
import layers
import numpy as np
import preprocessing
import recurrent

ROWS = 4


@dataclass(frozen=True)
class Model:
    """A model that predicts the same in both libraries.

    Args:
        build: makes it with `keras`, or with `graphc`.
        used: names of the layers that it is there for.
        integers: whether its inputs are ints below 5.
        given_weights: whether its weights may be replaced by random ones.
    """

    name: str
    build: Callable[[ModuleType], Any]
    used: tuple[str, ...] = field(default=())
    integers: bool = False
    given_weights: bool = True

    def inputs(self, model: Any) -> Any:
        """What to call it on."""
        random = np.random.default_rng(1)
        shapes = [(ROWS, *t.shape[1:]) for t in model.inputs]
        x: list[Any] = [
            random.integers(0, 5, shape) if self.integers
            else random.normal(size=shape).astype(np.float32)
            for shape in shapes
        ]  # fmt: skip
        return x if len(x) > 1 else x[0]


def doubled(x: Any) -> Any:
    """For a Lambda."""
    return x * 2


def _convolutional(case: Any) -> Model:
    def build(lib: ModuleType) -> Any:
        made = getattr(lib.layers, case.layer)(**case.arguments)
        last = [lib.layers.Flatten(), lib.layers.Dense(2)]
        return lib.models.Sequential([lib.layers.Input(case.shape), made, *last])

    return Model(case.name, build, (case.layer,))


def _recurrent(case: Any) -> Model:
    def build(lib: ModuleType) -> Any:
        first = [lib.layers.Masking(0.5)] if case.masked else []
        parts = [*first, recurrent.layer(lib, case), lib.layers.Dense(2)]
        return lib.models.Sequential([lib.layers.Input((case.steps, 3)), *parts])

    kind, options = case.inside or ("", {})
    return Model(case.name, build, (case.layer, kind, *(c[0] for c in options.get("cells", ()))))


def _merging(case: Any) -> Model:
    def build(lib: ModuleType) -> Any:
        inputs = [lib.layers.Input(shape) for shape in case.shapes]
        first = [lib.layers.Masking(0.5)(x) for x in inputs] if case.masked else inputs
        made = getattr(lib.layers, case.layer)(**case.arguments)
        if case.layer == "Normalization" and "mean" not in case.arguments:
            made.adapt(2 * layers.random(case, "data", (9, *case.shapes[0])) + 1)
        whole = first if len(first) > 1 else first[0]
        result = made(*first, **case.call) if case.separate else made(whole, **case.call)
        return lib.models.Model(inputs, lib.layers.Dense(2)(result))

    # Keras's Normalization does not notice new weights.
    return Model(case.name, build, (case.layer,), given_weights=case.layer != "Normalization")


def _chain(shape: tuple[int, ...], kind: str, *args: Any, **options: Any) -> Model:
    """An input, a layer, and Dense."""

    def build(lib: ModuleType) -> Any:
        made = getattr(lib.layers, kind)(*args, **options)
        last = [lib.layers.Flatten(), lib.layers.Dense(2)]
        return lib.models.Sequential([lib.layers.Input(shape), made, *last])

    return Model(f"{kind} {args} {options} {shape}", build, (kind,))


def _cell(kind: str, **options: Any) -> Model:
    def build(lib: ModuleType) -> Any:
        cell = getattr(lib.layers, kind)(3, **options)
        return lib.models.Sequential([lib.layers.Input((4, 3)), lib.layers.RNN(cell)])

    return Model(f"{kind} {options}", build, (kind,))


def _embedded(lib: ModuleType) -> Any:
    parts = [lib.layers.Embedding(5, 3, mask_zero=True), lib.layers.GlobalAveragePooling1D()]
    return lib.models.Sequential([lib.layers.Input((6,), dtype="int32"), *parts])


def _lambda(lib: ModuleType) -> Any:
    parts = [lib.layers.Lambda(doubled), lib.layers.Dense(2)]
    return lib.models.Sequential([lib.layers.Input((3,)), *parts])


IMAGE = (6, 6, 2)
OTHERS = [
    _chain((4, 3), "Activation", "tanh"),
    _chain((4, 3), "Activation", "hard_sigmoid"),
    _chain((5,), "Dense", 3, "gelu", bias_initializer="ones", kernel_regularizer="l2"),
    _chain((4, 3), "Masking", 0.5),
    _chain((5,), "Dropout", 0.5, seed=3),
    _chain((4, 3), "Dropout", 0.5, noise_shape=(None, 1, 3)),
    _chain((5,), "AlphaDropout", 0.3),
    _chain((5,), "GaussianDropout", 0.3),
    _chain((5,), "GaussianNoise", 0.3, seed=1),
    _chain(IMAGE, "SpatialDropout2D", 0.3),
    _chain((3, 3, 3, 2), "SpatialDropout3D", 0.3),
    _chain((3, 3, 3, 2), "GlobalMaxPooling3D", keepdims=True),
    _chain((4, 3), "GlobalAveragePooling1D"),
    _chain(IMAGE, "RandomFlip", "vertical", seed=7),
    _chain(IMAGE, "RandomCrop", 6, 6),
    _cell("SimpleRNNCell", activation="relu"),
    _cell("GRUCell", reset_after=False),
    _cell("LSTMCell", unit_forget_bias=False),
    Model("Embedding", _embedded, ("Embedding",), integers=True),
    Model("Lambda", _lambda, ("Lambda",)),
]
MODELS = [
    *map(_convolutional, convolution.CASES),
    *map(_recurrent, recurrent.CASES),
    *map(_merging, layers.CASES),
    *OTHERS,
]


def holder(lib: ModuleType) -> Any:
    """A layer of one's own with one that is called on data, not in a model."""

    class Holder(lib.layers.Layer):  # type: ignore[name-defined, misc]
        def __init__(self, held: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.held = held

        def build(self, input_shape: Any) -> None:
            self.built = True

        def call(self, inputs: Any) -> Any:
            return inputs

        def get_config(self) -> dict[str, Any]:
            held = lib.saving.serialize_keras_object(self.held)
            return {**super().get_config(), "held": held}

        @classmethod
        def from_config(cls, config: dict[str, Any]) -> Any:
            return cls(lib.saving.deserialize_keras_object(config.pop("held")), **config)

    return Holder


def holding(lib: ModuleType, case: Any) -> Any:
    """A model with a layer of a case of `preprocessing`, adapted."""
    x = lib.layers.Input((2,))
    return lib.models.Model(x, holder(lib)(preprocessing.made(lib, case))(x))


PREPARING = preprocessing.CASES


def used() -> Iterator[str]:
    """Names of all layers in the tables."""
    for model in MODELS:
        yield from model.used
    for case in PREPARING:
        yield case.layer
