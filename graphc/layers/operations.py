"""Calls of `graphc.ops` functions as layers of a model, and how Keras's configurations name them.

Keras has a class for each function: tensors are the arguments of its call, what else a function
takes are those of its constructor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.ops.shaping import getitem
from graphc.registration import export
from graphc.serialization import serialize_keras_object
from graphc.trace import Tensor
from graphc.utils import automatic_name

from .base import Layer
from .symbolic import SymbolicTensor

# Parameters that are arguments of the call in Keras; all others are the constructor's.
CALLED_WITH = frozenset([
    "x", "x1", "x2", "xs", "inputs", "kernel", "depthwise_kernel", "pointwise_kernel", "condition",
    "indices", "weights", "fill_value", "constant_values", "operands", "key", "start_indices",
    "target", "output", "target_length", "output_length", "sequence_lengths",
])  # fmt: skip
# Functions by the module of Keras that their class is in; a class that is not named as the function
# stands behind a colon.
WRITTEN = {
    "keras.src.ops.numpy": """
        absolute abs add all any arccos arccosh arcsin arcsinh arctan arctanh argmax argmin
        average broadcast_to ceil clip concatenate cos cosh count_nonzero cumsum divide
        divide:TrueDivide dot einsum equal exp exp2 expand_dims expm1 flip floor
        floor_divide full_like greater greater_equal isfinite isinf isnan less less_equal
        log log10 log1p log2 logaddexp logical_and logical_not logical_or matmul max maximum
        mean min minimum mod moveaxis multiply nan_to_num negative not_equal ones_like outer
        pad power prod ravel reciprocal repeat reshape roll round sign sin sinh split sqrt
        square squeeze stack std subtract sum swapaxes take take_along_axis tan tanh
        tensordot tile transpose tril triu trunc var where zeros_like""",
    "keras.src.ops.nn": """
        average_pool celu conv conv_transpose ctc_loss:CTCLoss ctc_decode:CTCDecode
        depthwise_conv elu gelu glu hard_shrink hard_sigmoid hard_silu hard_tanh leaky_relu
        log_sigmoid log_softmax max_pool moments normalize one_hot relu relu6 selu
        separable_conv sigmoid silu soft_shrink softmax softplus softsign sparse_plus
        sparse_sigmoid sparsemax squareplus tanh_shrink threshold""",
    "keras.src.ops.math": "erf logsumexp rsqrt",
    "keras.src.ops.core": "cast convert_to_tensor slice stop_gradient",
}
# Options of Keras's classes that the functions here do not have, and the values they may have then.
ONLY: Mapping[str, tuple[Any, ...]] = {
    "keepdims": (False,), "dtype": (None,), "initial": (None,), "sparse": (None, False),
    "ragged": (None,), "synchronized": (False,), "order": (2,), "axis": (-1,),
}  # fmt: skip


class Operation:
    """A class of Keras's, for a function of `graphc.ops`.

    Args:
        function: of `graphc.ops`.
        keras_name: the class's full name.
    """

    def __init__(self, function: Callable[..., Any], keras_name: str) -> None:
        self.function = function
        self.keras_name = keras_name
        self.signature = inspect.signature(function)
        self.called_with = [name for name in self.signature.parameters if name in CALLED_WITH]

    def from_config(self, config: Mapping[str, Any]) -> OpLayer:
        """A layer that calls the function with these options.

        Raises:
            ValueError: for an option that the function does not have, unless it has its default.
        """
        options: dict[str, Any] = {}
        for name, value in config.items():
            parameter = self.signature.parameters.get(name)
            if parameter is not None and not (value is None and parameter.default is not None):
                options[name] = _as_tuples(value)
            elif parameter is None and name != "name" and value not in ONLY.get(name, ()):
                short = self.keras_name.rpartition(".")[2]
                raise ValueError(f"{short}: {name}={value!r} is not supported")
        return OpLayer(self.function, config.get("name"), options)


class OpLayer(Layer):
    """A call of a `graphc.ops` function in a functional model.

    Args:
        function: called with the call's arguments.
        name: after Keras's class by default.
        options: more arguments of the function, where a configuration had them.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.operation = OPERATIONS.get(function)
        known = self.operation and self.operation.keras_name.rpartition(".")[2]
        super().__init__(name=name or automatic_name(known or function.__name__))
        self.function = function
        self.options = dict(options or {})

    def ensure_built(self, args: tuple[Any, ...]) -> None:
        """There is nothing to build."""

    def call(self, *args: Any, **kwargs: Any) -> Tensor:
        result: Tensor = self.function(*args, **kwargs)
        return result

    @property
    def keras_name(self) -> str:
        """Keras's class for the function.

        Raises:
            ValueError: when there is none.
        """
        if self.operation is None:
            raise ValueError(
                f"layer {self.name!r}: Keras has no class for a call of ops."
                f"{self.function.__name__}, so it cannot be written; put it into a layer of its own"
            )
        return self.operation.keras_name

    def _given(self) -> dict[str, Any]:
        """The arguments of the one call, by name; Keras's defaults may be others."""
        (call,) = self._calls
        bound = inspect.signature(self.function).bind(*call.args, **call.kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)

    def get_config(self) -> dict[str, Any]:
        options = {k: v for k, v in self._given().items() if k not in CALLED_WITH}
        tensors = [k for k, v in options.items() if isinstance(v, SymbolicTensor)]
        if tensors:
            raise ValueError(
                f"layer {self.name!r}: a tensor as {tensors[0]} of ops.{self.function.__name__} "
                "cannot be written"
            )
        named = {k: np.dtype(v).name if k == "dtype" and v else v for k, v in options.items()}
        config: dict[str, Any] = serialize_keras_object({"name": self.name, **named})
        return config

    def written_call(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        given = {name: value for name, value in self._given().items() if name in CALLED_WITH}
        operands = given.pop("operands", ())
        optional = [n for n, p in inspect.signature(self.function).parameters.items()
                    if p.default is None]  # fmt: skip
        named = [v for name, v in given.items() if v is not None or name not in optional]
        return [*named, *operands], {}

    def read_call(
        self, args: Sequence[Any], kwargs: dict[str, Any]
    ) -> tuple[Sequence[Any], dict[str, Any]]:
        assert self.operation is not None
        names = self.operation.called_with
        given = {"operands": tuple(args)} if "operands" in names else dict(zip(names, args))  # noqa: B905
        given |= {name: value for name, value in kwargs.items() if value is not None}
        if "key" in given:
            given["key"] = _as_tuples(given["key"])
        signature = self.operation.signature
        whole = given | self.options
        missing = [
            name for name, p in signature.parameters.items()
            if p.default is p.empty and name not in whole
        ]  # fmt: skip
        unknown = [name for name in whole if name not in signature.parameters]
        if missing or unknown or len(args) > max(len(names), len(given.get("operands", ()))):
            raise ValueError(
                f"layer {self.name!r}: ops.{self.function.__name__} takes "
                f"{', '.join(signature.parameters)}; missing {missing}, unknown {unknown}"
            )
        ordered = {name: whole[name] for name in signature.parameters if name in whole}
        bound = inspect.BoundArguments(signature, ordered)
        return bound.args, bound.kwargs


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, (list, tuple)) else value


def _record_op(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return OpLayer(function)._record(args, kwargs)


SymbolicTensor.record_op = staticmethod(_record_op)


def _operations() -> dict[Callable[..., Any], Operation]:
    """Keras's classes by function; where several are one function here, the first is written."""
    found = {getitem: Operation(getitem, "keras.src.ops.numpy.GetItem")}
    export("keras.src.ops.numpy", {"GetItem": found[getitem]})
    for module, names in WRITTEN.items():
        for entry in names.split():
            name, _, given = entry.partition(":")
            class_name = given or "".join(word.capitalize() for word in name.split("_"))
            operation = Operation(getattr(ops, name), f"{module}.{class_name}")
            export(module, {class_name: operation})
            found.setdefault(operation.function, operation)
    return found


OPERATIONS = _operations()
