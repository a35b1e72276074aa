"""What weights start from: `keras.initializers`.

An initializer is called with a shape and a dtype and returns a NumPy array. The distributions are
Keras's; the bits are not, as NumPy draws them (PCG64, `numpy.random.default_rng`). A random
initializer gives the same values at every call, as in Keras: two weights of one shape that share
an instance start equal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike

from graphc.errors import unknown_name
from graphc.random import draw_normal, draw_truncated_normal, draw_uniform, given_seed, next_seed
from graphc.registration import CustomObjectScope, export
from graphc.serialization import deserialize_keras_object, serialize_keras_object
from graphc.utils import resolve, snake_case

Shape = Sequence[int]
DType = DTypeLike | None
InitializerFunction = Callable[..., np.ndarray]  # (shape, dtype) -> array

# The standard deviation of a standard normal cut off at -2 and 2:
# sqrt(1 - 2 * 2 * pdf(2) / (cdf(2) - cdf(-2))).
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base class. A user's own overrides `__call__`, and `get_config` if it has arguments."""

    _arguments: ClassVar[tuple[str, ...]] = ()  # those of the constructor, kept as attributes

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        """The initial values.

        Args:
            shape: sizes of the array.
            dtype: NumPy dtype; float32 by default, and for None.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `__call__(shape, dtype)`.")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, JSON-serializable."""
        return {name: getattr(self, name) for name in self._arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The initializer that `get_config` described."""
        return cls(**config)

    def clone(self) -> Self:
        """Another with the same arguments; unseeded ones draw a new seed."""
        return self.from_config(self.get_config())


class Constant(Initializer):
    """The same value everywhere: a number, by default 0, or an array that broadcasts."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        sizes, dtype = _checked(shape, dtype)
        return np.full(sizes, self.value, dtype)

    def get_config(self) -> dict[str, Any]:
        return {"value": np.asarray(self.value).tolist()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """As `get_config` described it, or Keras, which has an object for an array."""
        made = {k: deserialize_keras_object(v) for k, v in config.items() if isinstance(v, Mapping)}
        return cls(**{**config, **made})


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        return np.zeros(*_checked(shape, dtype))


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        return np.ones(*_checked(shape, dtype))


class Identity(Initializer):
    """A matrix with `gain`, by default 1, on its main diagonal and 0 elsewhere."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        sizes, dtype = _checked(shape, dtype)
        if len(sizes) != 2:
            raise ValueError(f"Identity: expected a two-dimensional shape, received {sizes}.")
        return np.asarray(self.gain * np.eye(*sizes), dtype)

    def get_config(self) -> dict[str, Any]:
        return {} if self.gain == 1 else {"gain": self.gain}  # Keras writes none


class RandomInitializer(Initializer):
    """Base of those that draw random numbers.

    Args:
        seed: an int, or None (default) to draw one when the initializer is made, from the
            sequence that `set_random_seed` starts.

    Raises:
        ValueError: for a seed that is neither.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._given_seed = given_seed(seed)
        self.seed = next_seed() if self._given_seed is None else self._given_seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": self._given_seed, **super().get_config()}


class RandomNormal(RandomInitializer):
    """Normally distributed values.

    Args:
        mean: of the distribution; 0 by default.
        stddev: standard deviation; 0.05 by default.
        seed: see `RandomInitializer`.
    """

    _arguments = ("mean", "stddev")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        return draw_normal(self.seed, *_checked(shape, dtype), self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normally distributed values, drawn again while further than 2 `stddev` from the mean.

    Arguments as `RandomNormal`. The values' standard deviation is therefore 0.8796 * `stddev`.
    """

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        return draw_truncated_normal(self.seed, *_checked(shape, dtype), self.mean, self.stddev)


class RandomUniform(RandomInitializer):
    """Uniformly distributed values.

    Args:
        minval: lower bound, inclusive; -0.05 by default.
        maxval: upper bound, exclusive up to rounding; 0.05 by default.
        seed: see `RandomInitializer`.
    """

    _arguments = ("minval", "maxval")

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        return draw_uniform(self.seed, *_checked(shape, dtype), self.minval, self.maxval)


class VarianceScaling(RandomInitializer):
    """Random values of mean 0 and variance scale / n, where n counts a unit's connections.

    Args:
        scale: positive; 1 by default.
        mode: n is the number of inputs for "fan_in" (default), of outputs for "fan_out", and
            their average for "fan_avg"; see `compute_fans`.
        distribution: "truncated_normal" (default; "normal" means it too), cut off at two
            standard deviations and scaled so that the variance is right after the cut,
            "untruncated_normal", or "uniform" within plus and minus sqrt(3 * scale / n).
        seed: see `RandomInitializer`.
        input_axes, output_axes: axes of the weight that count as inputs and as outputs, when
            the default of `compute_fans` is not what they are; both or neither.

    Raises:
        ValueError: for a scale that is not positive, an unknown mode or distribution.
    """

    _arguments: ClassVar[tuple[str, ...]] = (
        "scale", "mode", "distribution", "input_axes", "output_axes",
    )  # fmt: skip
    _MODES = ("fan_in", "fan_out", "fan_avg")
    _DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        if scale <= 0:
            raise ValueError(f"Argument `scale`: expected a positive number, received {scale!r}.")
        if mode not in self._MODES:
            raise unknown_name("mode", mode, self._MODES)
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in self._DISTRIBUTIONS:
            raise unknown_name("distribution", distribution, self._DISTRIBUTIONS)
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        sizes, dtype = _checked(shape, dtype)
        fan_in, fan_out = compute_fans(sizes, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, n))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev  # the variance of U(-limit, limit) is limit^2 / 3
            return draw_uniform(self.seed, sizes, dtype, -limit, limit)
        if self.distribution == "untruncated_normal":
            return draw_normal(self.seed, sizes, dtype, 0.0, stddev)
        return draw_truncated_normal(self.seed, sizes, dtype, 0.0, stddev / _TRUNCATED_STDDEV)


class _NamedScaling(VarianceScaling):
    """A `VarianceScaling` whose scale, mode and distribution have a name."""

    _arguments = ("input_axes", "output_axes")
    _settings: ClassVar[tuple[float, str, str]]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self._settings, seed, input_axes, output_axes)


class GlorotUniform(_NamedScaling):
    """Uniform within +-sqrt(6 / (fan_in + fan_out)): Glorot and Bengio, 2010. Keras's default."""

    _settings = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal of variance 2 / (fan_in + fan_out): Glorot and Bengio, 2010."""

    _settings = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform within +-sqrt(6 / fan_in): He et al., 2015 (arXiv 1502.01852)."""

    _settings = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal of variance 2 / fan_in: He et al., 2015 (arXiv 1502.01852)."""

    _settings = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform within +-sqrt(3 / fan_in): Klambauer et al., 2017 (arXiv 1706.02515)."""

    _settings = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal of variance 1 / fan_in: Klambauer et al., 2017 (arXiv 1706.02515)."""

    _settings = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """A random matrix with orthonormal rows or columns, whichever are fewer, times `gain`.

    All sizes but the last count as rows. Saxe et al., 2014 (arXiv 1312.6120); the signs as in
    Mezzadri, 2007 (arXiv math-ph/0609050), so that the distribution is uniform.

    Args:
        gain: factor; 1 by default.
        seed: see `RandomInitializer`.

    Raises:
        ValueError: when called with a shape of fewer than two dimensions.
    """

    _arguments = ("gain",)

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: Shape, dtype: DType = "float32") -> np.ndarray:
        sizes, dtype = _checked(shape, dtype)
        if len(sizes) < 2:
            raise ValueError(f"Orthogonal: expected two dimensions or more, received {sizes}.")
        rows, columns = math.prod(sizes[:-1]), sizes[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(draw_normal(self.seed, tall, "float64", 0.0, 1.0))
        q *= np.where(np.diag(r) < 0, -1.0, 1.0)  # QR's own signs are not random
        matrix = q if rows >= columns else q.T
        return np.asarray(self.gain * matrix, dtype).reshape(sizes)


def compute_fans(
    shape: Shape,
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """How many inputs feed a unit of a weight, and how many outputs one input feeds.

    Args:
        shape: (inputs, outputs) for a dense kernel; for a convolution, (*kernel size, inputs,
            outputs), where the kernel's positions multiply both. One size counts as both.
        input_axes, output_axes: where both are given, the axes to multiply instead.
    """
    sizes = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(sizes[a] for a in input_axes), math.prod(sizes[a] for a in output_axes)
    if len(sizes) < 2:
        return math.prod(sizes), math.prod(sizes)
    positions = math.prod(sizes[:-2])
    return sizes[-2] * positions, sizes[-1] * positions


def _checked(shape: object, dtype: DType) -> tuple[tuple[int, ...], np.dtype]:
    """A shape as a tuple of ints, and a dtype with Keras's default for None."""
    sizes = tuple(shape) if isinstance(shape, Sequence) else (shape,)
    if not all(isinstance(size, (int, np.integer)) and size >= 0 for size in sizes):
        raise ValueError(f"Argument `shape`: expected sizes of 0 or more, received {shape!r}.")
    return tuple(int(size) for size in sizes), np.dtype(dtype or "float32")


_CLASSES: tuple[type[Initializer], ...] = (
    Constant, Zeros, Ones, Identity, RandomNormal, TruncatedNormal, RandomUniform, Orthogonal,
    VarianceScaling, GlorotUniform, GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal,
)  # fmt: skip
_NAMES: dict[str, type[Initializer]] = {
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
    **{cls.__name__: cls for cls in _CLASSES},
    **{"zero": Zeros, "one": Ones, "normal": RandomNormal, "uniform": RandomUniform},
    **{"IdentityInitializer": Identity, "OrthogonalInitializer": Orthogonal},
}

# Keras exports the classes under these names too: `initializers.he_normal()`.
constant, zeros, ones, identity = Constant, Zeros, Ones, Identity
random_normal, truncated_normal, random_uniform = RandomNormal, TruncatedNormal, RandomUniform
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal


def get(identifier: object) -> Any:
    """The initializer, or function of shape and dtype, that a layer's argument means.

    Args:
        identifier: a name ("glorot_uniform" or "GlorotUniform"), a class, an instance, another
            callable with the arguments `shape` and `dtype`, a dict as `serialize` returns,
            an array (the values themselves), or None, which is returned as it is.

    Raises:
        ValueError: for an unknown name, and for anything else.
    """
    if isinstance(identifier, (np.ndarray, np.generic)):
        return _given_values(identifier)
    return resolve("initializer", identifier, _NAMES, "keras.initializers")


def _given_values(values: np.ndarray | np.generic) -> InitializerFunction:
    def initialize(shape: Shape, dtype: DType = "float32") -> np.ndarray:
        sizes, dtype = _checked(shape, dtype)
        if sizes != values.shape:
            raise ValueError(f"Initial values: expected shape {sizes}, received {values.shape}.")
        return np.array(values, dtype)

    return initialize


def serialize(initializer: InitializerFunction | None) -> dict[str, Any] | None:
    """The dict that Keras 3 stores for an initializer, as `deserialize` takes."""
    config: dict[str, Any] | None = serialize_keras_object(initializer)
    return config


def deserialize(config: object, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The initializer that `serialize` described; `custom_objects` maps names to a user's own."""
    with CustomObjectScope(custom_objects):
        return get(config)


export("keras.initializers", _CLASSES)
export("keras.initializers", _NAMES)
export("keras", [Initializer])
