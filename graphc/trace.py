"""Tracing: variables, tensors, and the trace that turns calls of `graphc.ops` into a graph."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from graphc.ir.graph import Graph, Node, Scope
from graphc.ir.types import DTYPES, Shape, TensorType, short_dtype
from graphc.passes.shapes import Builder

_PACKAGE = str(Path(__file__).parent) + os.sep


class Operand:
    """What arithmetic works on: `graphc.ops` installs its functions as the operators."""

    __slots__ = ()
    __array_ufunc__ = None  # NumPy arrays leave mixed arithmetic to this class

    if TYPE_CHECKING:

        def _binary(self, other: object) -> Tensor: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _binary
        __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _binary
        __lt__ = __le__ = __gt__ = __ge__ = _binary

        def __neg__(self) -> Tensor: ...

        __abs__ = __neg__

        def __getitem__(self, key: object) -> Tensor: ...


class Stored(ABC):
    """An array in a file, which is read into the place where it is needed: without a second one.

    Attributes:
        shape: its sizes.
    """

    shape: tuple[int, ...]

    @abstractmethod
    def read_into(self, array: np.ndarray) -> None:
        """Reads it into an array of its shape."""


class Variable(Operand):
    """State that programs read and update in place: weights, optimizer slots, accumulators.

    Args:
        value: initial value; copied.
        name: as graphs show it; made unique there.
        trainable: whether `fit` differentiates the loss with respect to it.
        dtype: NumPy dtype; float32 by default.
    """

    def __init__(
        self, value: object, name: str, trainable: bool = True, dtype: object = "float32"
    ) -> None:
        self._value = np.array(value, DTYPES[short_dtype(dtype)], order="C")
        self.name = name
        self.trainable = trainable
        # Functions of the tensor: a penalty in the loss, and what each step of training ends with.
        self.regularizer: Callable[[Tensor], Tensor] | None = None
        self.constraint: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def blank(cls, shape: Sequence[int], name: str, trainable: bool, dtype: object) -> Self:
        """A variable of zeros, without an array of them to copy."""
        variable = cls(0, name, trainable, dtype)
        variable._value = np.full(shape, 0, variable._value.dtype)  # in large pages, unlike `zeros`
        return variable

    @property
    def value(self) -> np.ndarray:
        """The array that programs work on; `assign` changes it, its address never does."""
        return self._value

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def dtype(self) -> str:
        return self._value.dtype.name

    @property
    def type(self) -> TensorType:
        return TensorType(short_dtype(self._value.dtype), self._value.shape)

    def assign(self, value: object) -> None:
        """Copies a value in, or has a `Stored` one read in.

        Raises:
            ValueError: when its shape differs.
        """
        array = value if isinstance(value, Stored) else np.asarray(value)
        if array.shape != self.shape:
            raise ValueError(
                f"variable {self.name!r}: expected shape {self.shape}, got {array.shape}"
            )
        if isinstance(array, Stored):
            array.read_into(self._value)
        else:
            self._value[...] = array

    def numpy(self) -> np.ndarray:
        """A copy of the value."""
        return self._value.copy()

    def __repr__(self) -> str:
        return f"<Variable {self.name} {self.type}>"


def assign_all(owner: str, variables: Sequence[Variable], values: Sequence[object]) -> None:
    """Copies values into variables, into all of them or none.

    Args:
        owner: whose they are, which messages start with.
        values: arrays, or `Stored` ones.

    Raises:
        ValueError: when their number or their shapes differ.
    """
    if len(values) != len(variables):
        raise ValueError(f"{owner}: expected {len(variables)} arrays, got {len(values)}")
    arrays = [v if isinstance(v, Stored) else np.asarray(v) for v in values]
    for variable, array in zip(variables, arrays, strict=True):
        if variable.shape != array.shape:
            raise ValueError(
                f"{owner}: weight {variable.name!r} has shape {variable.shape}, got {array.shape}"
            )
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


class Tensor(Operand):
    """A node under construction; what `graphc.ops` takes and returns. Supports arithmetic.

    `shape` has an int for each fixed dimension and a symbol (as `batch`) for each that is known
    only when the program runs. `mask` is None, or a bool tensor (batch, steps) of the steps that
    count; layers hand it on as `compute_mask` says.
    """

    __slots__ = ("mask", "node")

    def __init__(self, node: Node, mask: Tensor | None = None) -> None:
        self.node = node
        self.mask = mask

    @property
    def type(self) -> TensorType:
        return self.node.tensor

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def ndim(self) -> int:
        return self.type.rank

    @property
    def dtype(self) -> str:
        return DTYPES[self.type.dtype].name

    def __repr__(self) -> str:
        return f"<Tensor {self.type}>"

    def __bool__(self) -> bool:
        raise TypeError(
            "a symbolic tensor has no truth value while the graph is built; use ops.where"
        )

    def __iter__(self) -> Iterator[object]:
        raise TypeError("a symbolic tensor cannot be iterated over")


class Trace:
    """One program being traced into a graph.

    Args:
        name: the program's name.
        training: what layers that behave differently in training are told.
        random_state: the variables (seed, step) that random numbers are a function of; without
            them the program draws none.
    """

    def __init__(
        self,
        name: str,
        training: bool = False,
        random_state: tuple[Variable, Variable] | None = None,
    ) -> None:
        self.graph = Graph(name)
        self.builder = Builder(self.graph)
        self.training = training
        self.names: dict[Variable, str] = {}
        self._now: dict[Variable, Tensor] = {}
        self._readers: dict[Variable, str] = {}  # the layer that read a variable first
        self._streams = 0
        self.losses: list[Tensor] = []  # scalars that layers add to the loss
        self.random_state = random_state
        self.batch_size: int | None = None  # where stateful layers fix it
        self.shapes_only = False  # whether nothing but the results' types is wanted
        # The graphs around a loop's body that is being traced, outermost first, each with the
        # inputs that stand for outer nodes in the next inner graph.
        self._around: list[tuple[Graph, dict[Node, Node]]] = []

    def input(self, name: str, type_: TensorType, role: str = "data") -> Tensor:
        """A new input of the program."""
        return Tensor(self.graph.add("input", (), {"role": role}, type=type_, name=name))

    def read(self, variable: Variable) -> Tensor:
        """The variable's value at this point of the program."""
        if variable not in self._now:
            graph = self._around[0][0] if self._around else self.graph
            name, count = variable.name, 0
            while name in graph:
                count += 1
                name = f"{variable.name}_{count}"
            self.names[variable] = name
            self._readers[variable] = self.builder.scope.layer
            self._now[variable] = Tensor(
                graph.add("input", (), {"role": "state"}, type=variable.type, name=name)
            )
        return self._now[variable]

    def layer_of(self, variable: Variable) -> str:
        """The layer whose weight a variable is: the one that reads it, with those around it."""
        return self._readers.get(variable) or variable.name.rpartition("/")[0]

    def local(self, tensor: Tensor) -> Node:
        """The tensor's node, or in a loop's body the input that stands for an outer one."""
        node = tensor.node
        if node in self.graph.nx:
            return node
        inside = [graph for graph, _ in self._around[1:]] + [self.graph]
        owner = next(at for at, (graph, _) in enumerate(self._around) if node in graph.nx)
        for (_, captured), graph in zip(self._around[owner:], inside[owner:], strict=True):
            if node not in captured:
                captured[node] = graph.add("input", (), {"role": "data"}, type=node.tensor)
            node = captured[node]
        return node

    @contextmanager
    def body(self, name: str) -> Iterator[dict[Node, Node]]:
        """Traces into a graph of its own, a loop's body.

        Yields the inputs that stand for values from outside, by these; filled as they are read.
        """
        captured: dict[Node, Node] = {}
        outer = self.graph, self.builder
        self._around.append((self.graph, captured))
        self.graph = Graph(name)
        self.builder = Builder(self.graph, self.builder.scope)
        try:
            yield captured
        finally:
            self.graph, self.builder = outer
            self._around.pop()

    def assign(self, variable: Variable, value: Tensor) -> None:
        """Makes `value` the variable's new value when the program has run.

        Raises:
            ValueError: when the type differs from the variable's, or in a loop's body.
        """
        if self._around:
            raise ValueError(
                f"variable {variable.name!r}: assigned in a loop's body; make it a carry, and "
                "assign the last value behind the loop"
            )
        if value.type != variable.type:
            raise ValueError(
                f"variable {variable.name!r}: expected {variable.type}, got {value.type}"
            )
        self.read(variable)
        self._now[variable] = value
        self.graph.outputs[self.names[variable]] = value.node

    def resume(self, graph: Graph) -> None:
        """Goes on tracing into a graph that passes made of this trace's."""
        self.graph = graph
        self.builder = Builder(graph, self.builder.scope)
        self._now = {
            variable: Tensor(graph.outputs.get(name) or graph[name])
            for variable, name in self.names.items()
        }

    def output(self, name: str, value: Tensor) -> None:
        """Makes a value a result of the program: one a step, or a row for each of the batch."""
        self.graph.outputs[name] = value.node

    def uniform(self, shape: Shape, seed: int | None = None) -> Tensor:
        """Random f32 in [0, 1), other at every step and for every call in the program."""
        if self.random_state is None:
            raise ValueError("random numbers are drawn only in programs that keep a random state")
        if self._around:
            raise ValueError(
                "random numbers drawn in a loop's body would be the same in every step; draw them "
                "before the loop, for all steps or for one"
            )
        seed_variable, step = self.random_state
        key = self.read(seed_variable).node if seed is None else self.builder.const(seed, "i32")
        stream, self._streams = self._streams, self._streams + 1
        return Tensor(
            self.builder.node(
                "random_uniform", key, self.read(step).node, shape=shape, stream=stream
            )
        )

    def count_random_step(self) -> None:
        """Makes the next run of the program draw other numbers, if it draws any."""
        if self.random_state is not None and self._streams:
            step = self.random_state[1]
            one = self.builder.const(1, "i32")
            self.assign(step, Tensor(self.builder.node("add", self.read(step).node, one)))

    @contextmanager
    def scope(self, layer: str, phase: str = "forward", where: str = "") -> Iterator[None]:
        """Nodes made inside come from this layer and phase, called at the user's line `where`."""
        outer = self.builder.scope
        path = f"{outer.layer}/{layer}" if outer.layer and layer else outer.layer or layer
        self.builder.scope = Scope(path, phase, where or outer.where)
        try:
            yield
        finally:
            self.builder.scope = outer

    @contextmanager
    def mode(self, training: bool | None) -> Iterator[None]:
        """Layers called inside are told this; None leaves it as it is outside."""
        outer = self.training
        self.training = outer if training is None else bool(training)
        try:
            yield
        finally:
            self.training = outer

    def __enter__(self) -> Trace:
        _active.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _active.pop()


_active: list[Trace] = []


def is_tracing() -> bool:
    """Whether a trace is being built."""
    return bool(_active)


def current() -> Trace:
    """The trace being built.

    Raises:
        RuntimeError: outside of one.
    """
    if not _active:
        raise RuntimeError(
            "graphc.ops builds graphs: call it in a layer's call(), in a loss or metric function, "
            "or on the tensors of layers.Input"
        )
    return _active[-1]


def users_line() -> str:
    """file:line of the nearest caller outside graphc, for scopes and error messages."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    name = Path(frame.f_code.co_filename).name
    return f"{name}:{frame.f_lineno}"
