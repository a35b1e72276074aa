"""The graph of a model's layer calls: for the page, and as a picture for notebooks."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

from graphc.dag import calls_in_order
from graphc.ir import picture
from graphc.layers.symbolic import LayerCall, SymbolicTensor
from graphc.tree import flatten


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        shape: of the result, as text.
        inputs: (number of the call that makes an argument, its shape) in order.
    """

    layer: str
    kind: str
    shape: str
    parameters: int
    trainable: bool
    where: str
    inputs: tuple[tuple[int, str], ...]


def ordered_calls(model: Any) -> list[LayerCall]:
    """The calls of layers that a model's outputs follow from, inputs first.

    Raises:
        ValueError: for a model without shapes yet.
    """
    if not model.built:
        raise ValueError(f"model {model.name!r} needs an input_shape or data first")
    return calls_in_order(model.inputs, model.outputs)


def layer_calls(model: Any) -> list[Call]:
    """What there is to show of each of `ordered_calls`."""
    calls = ordered_calls(model)
    number = {call: at for at, call in enumerate(calls)}
    return [
        Call(
            call.layer.name,
            type(call.layer).__name__,
            ", ".join(_shape(tensor) for tensor in flatten(call.outputs)),
            call.layer.count_params(),
            bool(call.layer.trainable_weights),
            call.where,
            tuple((number[t.call], _shape(t)) for t in arguments(call)),
        )
        for call in calls
    ]


def notebook(model: Any) -> str:
    """A model as a notebook shows it: the picture of its layer calls, and its summary."""
    if not model.built:
        return f"<pre>{html.escape(repr(model))}</pre>"
    calls = layer_calls(model)
    boxes = {at: (c.layer, f"{c.kind} {c.shape}") for at, c in enumerate(calls)}
    edges = [(source, at) for at, call in enumerate(calls) for source, _ in call.inputs]
    texts: list[str] = []
    model.summary(print_fn=texts.append)
    return picture.page(model.name, picture.svg(boxes, edges), "\n".join(texts))


def arguments(call: LayerCall) -> list[SymbolicTensor]:
    """The tensors that a call takes, each once."""
    return list(dict.fromkeys(call.inputs))


def _shape(tensor: SymbolicTensor) -> str:
    return "(" + ", ".join("·" if d is None else str(d) for d in tensor.shape) + ")"
