"""Recurrent layers: a cell in a loop over the steps of a sequence, as in `keras.layers`."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np

from graphc import ops
from graphc.ir.types import Dim
from graphc.ops.base import node
from graphc.serialization import serialize_keras_object, with_objects
from graphc.trace import Tensor, Trace, Variable, current
from graphc.tree import flatten, map_structure, unflatten

from .base import Layer
from .cells import Cell, GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from .cells import initial_state as first_states


class RNN(Layer):
    """A cell over the steps of sequences (batch, steps, ...).

    Args:
        cell: a cell, or a list of them, which are stacked. A cell of one's own is a Layer with
            `call(inputs, states)` that returns (output, new states), and `state_size`.
        return_sequences: whether the result is the outputs of all steps, or of the last.
        return_state: whether the last states are returned behind the output.
        go_backwards: whether the steps are taken from the last to the first; the outputs are then
            in this order.
        stateful: whether each row of a batch starts with the states that this row of the batch
            before it left; needs `Input(batch_size=)`, until `reset_state()`.
        unroll: accepted and not needed: the loop is compiled either way.
        zero_output_for_mask: outputs of masked steps are 0; else those of the step before.

    Result: (batch, units), or (batch, steps, units).
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(cell, (list, tuple)):
            cell = StackedRNNCells(cell)
        if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
            raise ValueError(f"RNN: the cell must have call() and state_size, got {cell!r}")
        self.cell = cell
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.stateful = stateful
        self.unroll = unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.states: Any = None  # of a stateful layer: variables (batch size, ...)

    def build(self, input_shape: Any) -> None:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        if len(shape) < 3:
            raise ValueError(
                f"expected an input of shape (batch, steps, features), got {shape}; "
                "layers before it may need return_sequences=True"
            )
        step = (shape[0], *shape[2:])
        if isinstance(self.cell, StackedRNNCells):
            self.cell.built = True
        elif isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build(step)
            self.cell.built = True
        if self.stateful:
            self._make_states(shape[0])

    def _make_states(self, batch_size: int | None) -> None:
        if batch_size is None:
            raise ValueError(
                "stateful=True needs to know the batch size: give Input a batch_size, or the first "
                "layer a batch_input_shape"
            )
        with Trace("states"):
            types = map_structure(lambda t: t.type, first_states(self.cell, batch_size))
        self.batch_size = batch_size
        self.states = map_structure(
            lambda t: Variable(np.zeros(t.shape), f"{self.name}/state", False, t.dtype), types
        )

    def _check_rows(self, batch: Dim) -> None:
        """Only as many rows as there are states: symbolic ones when the program runs."""
        current().batch_size = self.batch_size
        if isinstance(batch, int) and batch != self.batch_size:
            raise ValueError(f"the layer keeps the states of {self.batch_size} rows, got {batch}")

    def reset_state(self) -> None:
        """Makes the next batch start with states of zeros.

        Raises:
            ValueError: when the layer is not stateful.
        """
        if not self.stateful:
            raise ValueError(f"layer {self.name!r} is not stateful: it keeps no states")
        for variable in flatten(self.states or []):
            variable.assign(np.zeros(variable.shape))

    reset_states = reset_state

    def compute_mask(self, _: Any, previous_mask: Any) -> Any:
        """The steps' mask for the steps' outputs; none for what the last step leaves."""
        mask = flatten(previous_mask)[0] if self.return_sequences else None
        states = [None] * len(flatten(self.cell.state_size))
        return [mask, *states] if self.return_state else mask

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None) -> Any:
        batch = sequences.shape[0]
        if self.stateful:
            self._check_rows(batch)
        if initial_state is None and self.stateful:
            states = map_structure(lambda v: _rows(current().read(v), batch), self.states)
        elif initial_state is None:
            states = first_states(self.cell, batch)
        else:
            states = initial_state
            states = list(states) if isinstance(states, (list, tuple)) else [states]
        states = map_structure(ops.convert_to_tensor, states)
        self._draw_masks(sequences, states)
        last, outputs, states = self._loop(sequences, states, flatten(mask)[0])
        if self.stateful:
            for variable, state in zip(flatten(self.states), flatten(states), strict=True):
                current().assign(variable, _all_rows(state, self.batch_size))
        output = self._batch_first(outputs) if self.return_sequences else last
        return [output, *states] if self.return_state else output

    def _draw_masks(self, sequences: Tensor, states: list[Any]) -> None:
        if isinstance(self.cell, Cell):
            step = ops.broadcast_to(0.0, (sequences.shape[0], *sequences.shape[2:]))
            self.cell.draw_masks(step, flatten(states)[0])
        elif isinstance(self.cell, StackedRNNCells):
            step = ops.broadcast_to(0.0, (sequences.shape[0], *sequences.shape[2:]))
            self.cell.draw_masks(step, states)

    def _batch_first(self, outputs: Tensor) -> Tensor:
        if self.go_backwards:
            outputs = ops.flip(outputs, 0)
        return ops.transpose(outputs, (1, 0, *range(2, outputs.ndim)))

    def _loop(
        self, sequences: Tensor, states: list[Any], mask: Tensor | None
    ) -> tuple[Tensor, Tensor, list[Any]]:
        """The last output, all outputs (steps first), and the last states."""
        steps = ops.transpose(sequences, (1, 0, *range(2, sequences.ndim)))
        masks = None if mask is None else ops.transpose(ops.cast(mask, "bool"), (1, 0))

        def step(carry: Any, element: Any) -> Any:
            before, _ = carry
            inputs, kept = element
            output, after = self.cell(inputs, before)
            # New states may be a tensor, or a tuple; they keep the states' structure.
            after = unflatten(before, iter(flatten(after)))
            if kept is not None:
                output, after = self._where(kept, output, before, after)
            return (after, output), output

        first = ops.broadcast_to(0.0, (sequences.shape[0], *self._output_shape(steps, states)))
        (states, last), outputs = ops.scan(
            step, (states, first), (steps, masks), reverse=self.go_backwards
        )
        return last, outputs, states

    def _output_shape(self, steps: Tensor, states: list[Any]) -> tuple[Any, ...]:
        size = getattr(self.cell, "output_size", None)
        return flatten(states)[0].shape[1:] if size is None else (size,)

    def _where(self, kept: Tensor, output: Tensor, before: Any, after: Any) -> Any:
        """Masked steps leave the states, and repeat the output before them, or give 0."""

        def chosen(new: Tensor, old: Any) -> Tensor:
            mask = ops.reshape(kept, (*kept.shape, *(1,) * (new.ndim - 1)))
            return ops.where(mask, new, old)

        # As in Keras, the first state (of the last cell) is taken for the output before.
        nested = isinstance(before[0], (list, tuple))
        repeated = before[-1][0] if nested else before[0]
        output = chosen(output, 0.0 if self.zero_output_for_mask else repeated)
        old = iter(flatten(before))
        return output, map_structure(lambda new: chosen(new, next(old)), after)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "cell": serialize_keras_object(self.cell),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(**with_objects(config, "cell"))


def _rows(kept: Tensor, batch: Dim) -> Tensor:
    """A variable with rows for a batch as a tensor of the program's batch, which has as many."""
    if kept.shape[0] == batch:
        return kept
    return node("gather", kept, node("iota", shape=(batch,), axis=0))


def _all_rows(state: Tensor, batch_size: int) -> Tensor:
    """The other way around."""
    batch = state.shape[0]
    if batch == batch_size:
        return state
    return node("scatter_add", node("iota", shape=(batch,), axis=0), state, rows=batch_size)


_OF_RNN = frozenset(inspect.signature(RNN.__init__).parameters) - {"self", "cell", "kwargs"}
_OF_LAYER = frozenset(inspect.signature(Layer.__init__).parameters) | {
    "input_shape", "input_dim", "batch_input_shape", "activity_regularizer", "autocast"
}  # fmt: skip


class _CellLayer(RNN):
    """An RNN over a built-in cell: takes the arguments of both."""

    cell_class: type[Cell]
    writes_activity_regularizer = True

    def __init__(self, units: int, *args: Any, **kwargs: Any) -> None:
        # How the work is arranged is the compiler's matter.
        for name in ("implementation", "use_cudnn", "time_major"):
            if kwargs.pop(name, False) is True and name == "time_major":
                raise ValueError(f"{type(self).__name__}: time_major=True is not supported")
        outer = {k: kwargs.pop(k) for k in list(kwargs) if k in _OF_RNN | _OF_LAYER}
        cell = self.cell_class(units, *args, **kwargs)
        super().__init__(cell, **outer)
        self.units = units

    def __getattr__(self, name: str) -> Any:
        """The cell's arguments, such as `kernel_regularizer`, are the layer's too."""
        arguments = vars(vars(self).get("cell", self))
        if name.startswith("_") or name not in arguments:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return arguments[name]

    def get_config(self) -> dict[str, Any]:
        config = {**self.cell.get_config(), **super().get_config()}
        del config["cell"]
        return config


class SimpleRNN(_CellLayer):
    """`RNN` over a `SimpleRNNCell`; takes the arguments of both."""

    cell_class = SimpleRNNCell

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if config["seed"] is None:  # which Keras never writes
            del config["seed"]
        return config


class LSTM(_CellLayer):
    """`RNN` over an `LSTMCell`; takes the arguments of both."""

    cell_class = LSTMCell


class GRU(_CellLayer):
    """`RNN` over a `GRUCell`; takes the arguments of both."""

    cell_class = GRUCell
