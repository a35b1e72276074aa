"""Recurrent cells: what one step of `RNN` computes, as in `keras.layers`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from graphc import activations, initializers, ops
from graphc.random import given_seed
from graphc.serialization import serialize_keras_object, with_objects
from graphc.trace import Tensor, current
from graphc.tree import flatten

from .base import Layer

States = Any  # a tensor, or nested lists of them


class Cell(Layer):
    """What the built-in cells share: arguments, weights, and dropout.

    A cell takes (inputs, states) of one step and returns (output, new states). The masks of
    dropout are the same in all steps; `RNN` has them drawn before the loop.

    Args:
        units: size of the result.
        activation: of the candidate; tanh by default.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer: Glorot uniform, orthogonal
            and zeros by default.
        dropout, recurrent_dropout: fractions of the inputs' and the states' features left out in
            training.
        seed: of the dropout's numbers; by default they follow `utils.set_random_seed`.

    Weights: kernel (features, gates * units), recurrent_kernel (units, gates * units), bias.
    """

    gates: int
    weight_options: ClassVar[dict[str, str]] = {
        "kernel": "kernel", "recurrent_kernel": "recurrent", "bias": "bias",
    }  # fmt: skip

    def __init__(
        self,
        units: int,
        activation: object = "tanh",
        use_bias: bool = True,
        kernel_initializer: object = "glorot_uniform",
        recurrent_initializer: object = "orthogonal",
        bias_initializer: object = "zeros",
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(units, int) or units < 1:
            raise ValueError(
                f"{type(self).__name__}: units must be an int of at least 1, got {units!r}"
            )
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.dropout = min(1.0, max(0.0, dropout))
        self.recurrent_dropout = min(1.0, max(0.0, recurrent_dropout))
        self.seed = given_seed(seed)
        self.output_size = units
        # One for each gate where the recurrent one is dropped out, else one for all, as in Keras.
        self._masks: dict[str, list[Tensor]] = {}

    @property
    def state_size(self) -> Any:
        """Features of the states."""
        return self.units

    def build(self, input_shape: Any) -> None:
        width = self.gates * self.units
        self.kernel = self.add_weight(
            (input_shape[-1], width), self.kernel_initializer, name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            (self.units, width), self.recurrent_initializer, name="recurrent_kernel"
        )
        self.bias = (
            self.add_weight(self.bias_shape(), self.first_bias, name="bias")
            if self.use_bias
            else None
        )

    def bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def first_bias(self, shape: Sequence[int], dtype: object = None) -> Any:
        """The bias's first value."""
        return self.bias_initializer(shape, dtype=dtype)

    def draw_masks(self, inputs: Tensor, state: Tensor) -> None:
        """Draws the masks of dropout for all steps of a run of the program, in training."""
        count = self.gates if self.recurrent_dropout else 1
        self._masks = {}
        if not current().training:
            return
        for kind, rate, like in (
            ("inputs", self.dropout, inputs),
            ("states", self.recurrent_dropout, state),
        ):
            if rate > 0:
                self._masks[kind] = [self._mask(like, rate) for _ in range(count)]

    def _mask(self, like: Tensor, rate: float) -> Tensor:
        if rate == 1:
            return ops.zeros_like(like)
        kept = ops.less(current().uniform(like.shape, self.seed), 1 - rate)
        return ops.where(kept, 1 / (1 - rate), 0.0)

    def masked(self, kind: str, value: Tensor, gate: int = 0) -> Tensor:
        """The inputs or states with dropout, for a gate."""
        masks = self._masks.get(kind)
        return ops.multiply(value, masks[gate % len(masks)]) if masks else value

    def products(self, kind: str, value: Tensor, kernel: Any) -> Tensor:
        """value @ kernel; gate by gate when each has a mask of its own."""
        if len(self._masks.get(kind, ())) <= 1:
            return ops.matmul(self.masked(kind, value), kernel)
        parts = ops.split(kernel, kernel.shape[-1] // self.units, axis=-1)
        return ops.concatenate(
            [ops.matmul(self.masked(kind, value, at), part) for at, part in enumerate(parts)],
            axis=-1,
        )

    def get_initial_state(self, batch_size: Any) -> list[Tensor]:
        """Zeros."""
        sizes = flatten(self.state_size)
        return [ops.broadcast_to(0.0, (batch_size, size)) for size in sizes]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "recurrent_initializer": initializers.serialize(self.recurrent_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "seed": self.seed,
        }


class SimpleRNNCell(Cell):
    """activation(inputs @ kernel + state @ recurrent_kernel + bias) (Elman 1990)."""

    gates = 1

    def call(self, inputs: Tensor, states: States = ()) -> tuple[Tensor, list[Tensor]]:
        (state,) = flatten(states)
        total = self.products("inputs", inputs, self.kernel)
        total = ops.add(self.products("states", state, self.recurrent_kernel), total)
        if self.bias is not None:
            total = ops.add(total, self.bias)
        output = self.activation(total)
        return output, [output]


class LSTMCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    Args:
        recurrent_activation: of the gates; sigmoid by default.
        unit_forget_bias: the forget gate's bias starts at 1 (Jozefowicz et al. 2015).

    The gates stand in the order input, forget, candidate, output. States: output and memory.
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: object = "tanh",
        recurrent_activation: object = "sigmoid",
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self) -> list[int]:
        return [self.units, self.units]

    def first_bias(self, shape: Sequence[int], dtype: object = None) -> Any:
        if not self.unit_forget_bias:
            return super().first_bias(shape, dtype)
        first = super().first_bias((self.units,), dtype)
        last = super().first_bias((2 * self.units,), dtype)
        return np.concatenate([first, np.ones_like(first), last])

    def call(self, inputs: Tensor, states: States = ()) -> tuple[Tensor, list[Tensor]]:
        before, memory = states
        z = ops.add(
            self.products("states", before, self.recurrent_kernel),
            self.products("inputs", inputs, self.kernel),
        )
        if self.bias is not None:
            z = ops.add(z, self.bias)
        return self.stepped(ops.split(z, 4, axis=-1), memory)

    def stepped(self, gates: Sequence[Tensor], memory: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Output and states of what goes into the gates and the candidate."""
        i, f, g, o = gates
        kept = ops.multiply(self.recurrent_activation(f), memory)
        new = ops.multiply(self.recurrent_activation(i), self.activation(g))
        memory = ops.add(kept, new)
        output = ops.multiply(self.recurrent_activation(o), self.activation(memory))
        return output, [output, memory]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
        }


class GRUCell(Cell):
    """Gated recurrent unit (Cho et al. 2014).

    Args:
        recurrent_activation: of the gates; sigmoid by default.
        reset_after: whether the reset gate works on the product with the state (as cuDNN does;
            the default), or on the state.

    The gates stand in the order update, reset, candidate. With `reset_after` the bias has two
    rows: of the inputs' and of the state's product.
    """

    gates = 3

    def __init__(
        self,
        units: int,
        activation: object = "tanh",
        recurrent_activation: object = "sigmoid",
        reset_after: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = reset_after

    def bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Tensor, states: States = ()) -> tuple[Tensor, list[Tensor]]:
        (before,) = flatten(states)
        bias: list[Any] = [self.bias, None]
        if self.bias is not None and self.reset_after:
            bias = [self.bias[0], self.bias[1]]
        x = self.products("inputs", inputs, self.kernel)
        x_z, x_r, x_h = ops.split(x if bias[0] is None else ops.add(x, bias[0]), 3, axis=-1)
        if self.reset_after:
            inner = self.products("states", before, self.recurrent_kernel)
            inner = inner if bias[1] is None else ops.add(inner, bias[1])
            h_z, h_r, h_h = ops.split(inner, 3, axis=-1)
        else:
            gates, candidate = ops.split(self.recurrent_kernel, [2 * self.units], axis=-1)
            h_z, h_r = ops.split(self.products("states", before, gates), 2, axis=-1)
        z = self.recurrent_activation(ops.add(x_z, h_z))
        r = self.recurrent_activation(ops.add(x_r, h_r))
        if self.reset_after:
            h_h = ops.multiply(r, h_h)
        else:
            # Keras masks the state for each gate, before the reset gate.
            h_h = ops.matmul(ops.multiply(r, self.masked("states", before, 2)), candidate)
        new = self.activation(ops.add(x_h, h_h))
        output = ops.add(ops.multiply(z, before), ops.multiply(ops.subtract(1.0, z), new))
        return output, [output]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "recurrent_activation": activations.serialize(self.recurrent_activation),
            "reset_after": self.reset_after,
        }


class StackedRNNCells(Layer):
    """Cells one on the other as one cell; its states are the list of theirs.

    Args:
        cells: instances.
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
                raise ValueError(
                    f"StackedRNNCells: every cell must have call() and state_size, got {cell!r}"
                )
        self.cells = list(cells)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cells": serialize_keras_object(self.cells)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "cells"))

    @property
    def state_size(self) -> list[Any]:
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        return int(output_size(self.cells[-1]))

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """The cells' own."""
        return [initial_state(cell, batch_size) for cell in self.cells]

    def draw_masks(self, inputs: Tensor, states: Sequence[States]) -> None:
        """Draws the masks of the cells' dropout."""
        for cell, state in zip(self.cells, states, strict=True):
            first = flatten(state)[0]
            if isinstance(cell, Cell):
                cell.draw_masks(inputs, first)
            inputs = ops.broadcast_to(0.0, (inputs.shape[0], output_size(cell)))

    def call(self, inputs: Tensor, states: States = ()) -> tuple[Tensor, list[Any]]:
        new = []
        for cell, state in zip(self.cells, states, strict=True):
            inputs, after = cell(inputs, state)
            new.append(after if isinstance(state, (list, tuple)) else flatten(after)[0])
        return inputs, new


def initial_state(cell: Any, batch_size: Any) -> list[Any]:
    """A cell's first states: what it says, or zeros of its `state_size`."""
    if hasattr(cell, "get_initial_state"):
        states = cell.get_initial_state(batch_size=batch_size)
        return list(states) if isinstance(states, (list, tuple)) else [states]
    return [ops.broadcast_to(0.0, (batch_size, size)) for size in flatten(cell.state_size)]


def output_size(cell: Any) -> int:
    """Features of a cell's output: what it says, or those of its first state."""
    size = getattr(cell, "output_size", None)
    return int(flatten(cell.state_size)[0] if size is None else size)
