"""Where a model's DAG starts: `Input`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from graphc.ir.types import Size, TensorType, short_dtype
from graphc.trace import users_line
from graphc.utils import automatic_name

from .base import Layer
from .symbolic import BATCH, LayerCall, SymbolicTensor


class InputLayer(Layer):
    """The source of a model's DAG; made by `Input`.

    Args:
        shape: without the batch dimension.
        batch_shape: with it, in place of shape.
    """

    only_defaults: ClassVar[dict[str, Any]] = {"sparse": False, "ragged": False, "optional": False}

    def __init__(
        self,
        shape: Iterable[int | None] | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        name: str | None = None,
        batch_shape: Sequence[int | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name or automatic_name("InputLayer"), **kwargs)
        if batch_shape is not None and (shape is not None or batch_size is not None):
            raise ValueError("Input: batch_shape takes the place of shape and batch_size")
        if shape is None and (batch_shape or self.batch_shape_given):
            given = batch_shape or self.batch_shape_given
            assert given is not None
            if not isinstance(given, (list, tuple)) or not given:
                raise ValueError(f"Input: batch_shape must be a tuple, got {given!r}")
            batch_size, shape = given[0], given[1:]
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ValueError(f"Input: batch_size must be an int of at least 1, got {batch_size!r}")
        if shape is None or isinstance(shape, int):
            raise ValueError(f"Input: shape must be a tuple such as (784,), got {shape!r}")
        dims: list[int | Size] = [BATCH]
        for axis, dim in enumerate(shape, 1):
            if dim is not None and (not isinstance(dim, (int, np.integer)) or dim < 1):
                raise ValueError(
                    f"Input: shape must have ints of at least 1 or None, got {tuple(shape)}"
                )
            symbol = "time" if axis == 1 else f"dim{axis}"
            dims.append(Size((symbol,)) if dim is None else int(dim))
        self._start(TensorType(short_dtype(dtype or "float32"), tuple(dims)), batch_size)

    def _start(self, type_: TensorType, batch_size: int | None) -> None:
        self.built = True
        call = LayerCall(self, (), {}, users_line())
        call.outputs = SymbolicTensor(type_, call, 0, self.name, batch_size)
        self._calls.append(call)

    @classmethod
    def like(cls, tensor: SymbolicTensor, name: str) -> SymbolicTensor:
        """The tensor of a new input layer, of the given tensor's type."""
        layer = cls.__new__(cls)
        Layer.__init__(layer, name=name)
        layer._start(tensor.type, tensor.batch_size)
        made: SymbolicTensor = layer.output
        return made

    def get_config(self) -> dict[str, Any]:
        tensor = self.output
        config = {"batch_shape": tensor.shape, "dtype": tensor.dtype, "name": self.name}
        return {**config, **self.only_defaults}


def Input(
    shape: Iterable[int | None] | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
    batch_shape: Sequence[int | None] | None = None,
) -> Any:
    """A symbolic tensor to call layers on, as `keras.Input`.

    Args:
        shape: without the batch dimension; None for a dimension known only when the model runs.
        batch_size: rows of a batch; needed by stateful recurrent layers alone, others run on any.
        dtype: float32 by default.
        name: "input_layer" and so on by default.
        batch_shape: batch_size and shape in one.
    """
    return InputLayer(shape, batch_size, dtype, name, batch_shape).output
