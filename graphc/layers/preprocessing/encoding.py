"""Numbers of categories as vectors, and numbers as categories, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from graphc import ops
from graphc.layers.base import Layer
from graphc.layers.symbolic import SymbolicTensor
from graphc.trace import Tensor
from graphc.tree import flatten

VECTOR_MODES = ("one_hot", "multi_hot", "count")


def checked_mode(owner: str, mode: str, known: Sequence[str]) -> str:
    """An output_mode, by its present name.

    Raises:
        ValueError: for one that is not known.
    """
    mode = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(mode, mode)
    if mode not in known:
        raise ValueError(f"{owner}: output_mode must be one of {tuple(known)}, got {mode!r}")
    return mode


def encode(indices: Any, mode: str, depth: int, weights: Any = None) -> Tensor:
    """Numbers of categories as vectors of float32.

    Args:
        indices: ints; those that are not in [0, depth) count nowhere.
        mode: "one_hot", (..., depth), without the last axis of `indices` if that is of size 1;
            "multi_hot", 1 for each category that is among those along the second axis; or "count",
            how often it is. Of one axis, these are of all its elements.
        depth: the number of categories.
        weights: of the indices' shape, what "count" adds up instead of ones.
    """
    indices = ops.cast(ops.convert_to_tensor(indices), "int32")
    if indices.ndim == 0:
        indices = ops.expand_dims(indices, 0)
    if mode == "one_hot":
        last_one = indices.ndim > 1 and indices.shape[-1] == 1
        return ops.one_hot(ops.squeeze(indices, -1) if last_one else indices, depth)
    vectors = ops.one_hot(indices, depth)
    axis = 1 if indices.ndim > 1 else 0
    if mode == "multi_hot":
        return ops.max(vectors, axis)
    if weights is not None:
        vectors = ops.multiply(vectors, ops.expand_dims(ops.cast(weights, "float32"), -1))
    return ops.sum(vectors, axis)


class OnArrays(Layer):
    """A layer that takes numbers and lists for arrays when it is called on data."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not is_symbolic((args, kwargs)):
            args = tuple(np.asarray(a) for a in args)
            kwargs = {k: np.asarray(v) if isinstance(v, list) else v for k, v in kwargs.items()}
        return super().__call__(*args, **kwargs)


def is_symbolic(structure: Any) -> bool:
    """Whether there are tensors of a model or of a trace in it."""
    return any(isinstance(leaf, (SymbolicTensor, Tensor)) for leaf in flatten(structure))


class CategoryEncoding(OnArrays):
    """Numbers of categories as vectors (`keras.layers.CategoryEncoding`).

    Args:
        num_tokens: the number of categories, which are 0, 1, ... As in Keras on JAX, other numbers
            count nowhere.
        output_mode: "multi_hot" (default): 1 for each category that is among a sample's; "one_hot":
            a vector for each number; "count": how often each category is among a sample's.
        sparse: only False.

    Called on ints (batch, n), and with "count" on `count_weights` of that shape. Results are
    float32 (batch, num_tokens), with "one_hot" (batch, n, num_tokens), where an n of 1 disappears.
    """

    unwritten_defaults: ClassVar[dict[str, Any]] = {**Layer.unwritten_defaults, "sparse": False}

    def __init__(
        self, num_tokens: int | None = None, output_mode: str = "multi_hot", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(num_tokens, int) or num_tokens < 1:
            raise ValueError(
                f"CategoryEncoding: num_tokens must be an int of at least 1, got {num_tokens!r}; "
                "where the number is not known, IntegerLookup finds it in data"
            )
        self.num_tokens = num_tokens
        self.output_mode = checked_mode("CategoryEncoding", output_mode, VECTOR_MODES)

    def call(self, inputs: Any, count_weights: Any = None) -> Tensor:
        if count_weights is not None and self.output_mode != "count":
            raise ValueError(f"count_weights are for output_mode='count', not {self.output_mode!r}")
        return encode(inputs, self.output_mode, self.num_tokens, count_weights)

    def get_config(self) -> dict[str, Any]:
        config = {"num_tokens": self.num_tokens, "output_mode": self.output_mode}
        return {**super().get_config(), **config}


class Discretization(OnArrays):
    """The number of the bin that each number is in (`keras.layers.Discretization`).

    Args:
        bin_boundaries: where a bin ends and the next one begins, ascending; the first bin has all
            below.
        num_bins: in place of them: how many bins `adapt` is to make, with as much data in each.
        epsilon: how exactly `adapt` knows the data's distribution.
        output_mode: "int" (default), int32 of the input's shape; or "one_hot", "multi_hot" or
            "count", as in `CategoryEncoding`.
        sparse: only False.
    """

    only_defaults: ClassVar[dict[str, Any]] = {"sparse": False}

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (bin_boundaries is None) == (num_bins is None):
            raise ValueError("Discretization: pass either bin_boundaries or num_bins")
        if num_bins is not None and (not isinstance(num_bins, int) or num_bins < 1):
            raise ValueError(
                f"Discretization: num_bins must be an int of at least 1, got {num_bins!r}"
            )
        self.bin_boundaries = None if bin_boundaries is None else list(bin_boundaries)
        self.num_bins = num_bins
        self.epsilon = epsilon
        self.output_mode = checked_mode("Discretization", output_mode, ("int", *VECTOR_MODES))
        self._summary = np.empty((2, 0), np.float32)

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Takes the boundaries from data.

        Args:
            data: an array, or batches of them; models that the layer is in already keep theirs.
            steps: how many of the batches to take; all by default.

        Raises:
            ValueError: when boundaries were given.
        """
        if self.num_bins is None:
            raise ValueError(f"layer {self.name!r}: bin_boundaries were given; nothing to adapt")
        self.reset_state()
        for batch in batches_of(data, steps, (np.ndarray,)):
            self.update_state(batch)
        self.finalize_state()

    def reset_state(self) -> None:
        """Forgets the data."""
        self._summary = np.empty((2, 0), np.float32)

    def update_state(self, data: Any) -> None:
        """Takes a batch into account."""
        both = np.concatenate([_summary(np.asarray(data), self.epsilon), self._summary], 1)
        self._summary = _compressed(both[:, np.argsort(both[0])], self.epsilon)

    def finalize_state(self) -> None:
        """Makes the boundaries of the batches."""
        if self.num_bins is not None:
            found = _compressed(self._summary, 1 / self.num_bins)[0, :-1]
            self.bin_boundaries = found.tolist()
            vars(self).pop("_eager_programs", None)  # which have the ones before

    def call(self, inputs: Any) -> Tensor:
        if self.bin_boundaries is None:
            raise ValueError("pass bin_boundaries, or call adapt(data) first")
        bounds = np.asarray(self.bin_boundaries, np.float32)
        if not bounds.size:
            indices = ops.zeros_like(ops.cast(inputs, "int32"))
        else:  # NaN is behind all boundaries, as in numpy.digitize
            below = ops.less(ops.expand_dims(ops.cast(inputs, "float32"), -1), bounds)
            indices = ops.sum(ops.cast(ops.logical_not(below), "int32"), -1)
        if self.output_mode == "int":
            return indices
        return encode(indices, self.output_mode, bounds.size + 1)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "bin_boundaries": self.bin_boundaries,
            "num_bins": self.num_bins,
            "epsilon": self.epsilon,
            "output_mode": self.output_mode,
            **self.only_defaults,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        found = config.get("bin_boundaries")
        if found is None or config.get("num_bins") is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})  # an adapted layer has both
        layer.bin_boundaries = list(found)
        return layer


def batches_of(data: Any, steps: int | None, whole: tuple[type, ...]) -> Iterable[Any]:
    """The batches that `adapt` is given: one, if the data is of these types or has no elements."""
    if isinstance(data, whole) or hasattr(data, "__array__") or not hasattr(data, "__iter__"):
        return [data]
    return (batch for at, batch in enumerate(data) if steps is None or at < steps)


def _summary(values: np.ndarray, epsilon: float) -> np.ndarray:
    """Every so many-th of the sorted values, and how many each stands for: float32 (2, n)."""
    values = np.sort(values.astype(np.float32).reshape(-1))
    step = max(values.size * epsilon, 1.0)
    chosen = values[int(step - 1) :: int(step)]
    return np.stack([chosen, np.full_like(chosen, step)])


def _compressed(summary: np.ndarray, epsilon: float) -> np.ndarray:
    """A summary of 1 / epsilon values, with as many data each, by interpolation."""
    if summary.shape[1] * epsilon < 1:
        return summary
    parts = epsilon + np.arange(0.0, 1.0, epsilon)
    counts = summary[1].cumsum()
    values, below = (np.interp(parts, counts / counts[-1], row) for row in (summary[0], counts))
    return np.stack([values, np.diff(below, prepend=0)]).astype(np.float32)
