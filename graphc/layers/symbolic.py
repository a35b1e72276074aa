"""What a model is put together from before it runs: symbolic tensors and layer calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from graphc.ir.types import DTYPES, Size, TensorType
from graphc.trace import Tensor
from graphc.tree import flatten

if TYPE_CHECKING:
    from .base import Layer

BATCH = Size(("batch",))


def known_shape(type_: TensorType, batch_size: int | None) -> tuple[int | None, ...]:
    """The shape, None or the batch size where the type has a symbol."""
    return tuple(
        (batch_size if d == BATCH else None) if isinstance(d, Size) else d for d in type_.shape
    )


class SymbolicTensor:
    """What a layer call returns while a model is put together: a shape, a dtype, and the call.

    `shape` has None where a dimension is known only when the model runs; the first is the batch,
    or `batch_size` where `Input` was given one.
    """

    __array_ufunc__ = None  # NumPy arrays leave mixed arithmetic to this class

    def __init__(
        self,
        type_: TensorType,
        call: LayerCall,
        index: int,
        name: str | None = None,
        batch_size: int | None = None,
    ) -> None:
        self.type = type_
        self.call = call
        self.index = index
        self.name = name or call.layer.name
        self.batch_size = batch_size

    @property
    def shape(self) -> tuple[int | None, ...]:
        return known_shape(self.type, self.batch_size)

    @property
    def ndim(self) -> int:
        return self.type.rank

    @property
    def dtype(self) -> str:
        return DTYPES[self.type.dtype].name

    # Records a call of a `graphc.ops` function as a layer of the model; `inputs` defines it.
    record_op: ClassVar[Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]]

    def __repr__(self) -> str:
        return f"<SymbolicTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def __bool__(self) -> bool:
        raise TypeError("a symbolic tensor has no truth value; use ops.where")

    if TYPE_CHECKING:

        def _binary(self, other: object) -> SymbolicTensor: ...

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _binary
        __truediv__ = __rtruediv__ = __pow__ = __matmul__ = __rmatmul__ = _binary

        def __neg__(self) -> SymbolicTensor: ...

        __abs__ = __neg__

        def __getitem__(self, key: object) -> SymbolicTensor: ...


for _name in [
    "add",
    "radd",
    "sub",
    "rsub",
    "mul",
    "rmul",
    "truediv",
    "rtruediv",
    "pow",
    "rpow",
    "matmul",
    "rmatmul",
    "neg",
    "abs",
    "lt",
    "le",
    "gt",
    "ge",
    "getitem",
]:
    setattr(SymbolicTensor, f"__{_name}__", getattr(Tensor, f"__{_name}__"))


@dataclass(eq=False)
class LayerCall:
    """One call of a layer: a node of the model's DAG. A layer called twice has two."""

    layer: Layer
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    where: str
    outputs: Any = None

    @property
    def inputs(self) -> list[SymbolicTensor]:
        """The tensors among the arguments."""
        leaves = flatten((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, SymbolicTensor)]
