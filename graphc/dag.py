"""The DAG of layer calls between a model's inputs and its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from .layers.base import Layer
from .layers.inputs import InputLayer
from .layers.symbolic import LayerCall, SymbolicTensor
from .trace import Tensor
from .tree import flatten, map_structure
from .utils import automatic_name


def run_layers(
    inputs: Sequence[SymbolicTensor], values: Sequence[Tensor], outputs: Any
) -> list[Tensor]:
    """Traces the DAG of layer calls from values of the inputs to the outputs."""
    known: dict[SymbolicTensor, Any] = dict(zip(inputs, values, strict=True))
    wanted = flatten(outputs)
    stack = list(wanted)
    while stack:
        tensor = stack[-1]
        if tensor in known:
            stack.pop()
            continue
        call = tensor.call
        missing = [t for t in call.inputs if t not in known]
        if missing:
            stack.extend(missing)
            continue
        args, kwargs = _replaced((call.args, call.kwargs), known)
        results = call.layer.trace_call(args, kwargs, call.where)
        known.update(zip(flatten(call.outputs), flatten(results), strict=True))
    return [known[t] for t in wanted]


def _replaced(structure: Any, known: dict[SymbolicTensor, Any]) -> Any:
    """The structure with the values that are known for its symbolic tensors."""
    return map_structure(
        lambda leaf: known[leaf] if isinstance(leaf, SymbolicTensor) else leaf, structure
    )


def from_inputs(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """The same DAG with an input layer wherever `inputs` has the output of another layer.

    As in Keras, the calls in between are made anew, and the old ones stay as they were.
    """
    given = flatten(inputs)
    if all(isinstance(tensor.call.layer, InputLayer) for tensor in given):
        return inputs, outputs
    known: dict[SymbolicTensor, Any] = {}
    for tensor in given:
        inner = not isinstance(tensor.call.layer, InputLayer)
        known[tensor] = InputLayer.like(tensor, automatic_name("KerasTensor")) if inner else tensor
    for call in calls_in_order(given, flatten(outputs)):
        if isinstance(call.layer, InputLayer):
            continue
        args, kwargs = _replaced((call.args, call.kwargs), known)
        again = LayerCall(call.layer, args, kwargs, call.where)
        for old in flatten(call.outputs):
            known.setdefault(
                old, SymbolicTensor(old.type, again, old.index, old.name, old.batch_size)
            )
        again.outputs = map_structure(known.__getitem__, call.outputs)
    return _replaced(inputs, known), _replaced(outputs, known)


def layers_by_depth(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]
) -> list[Layer]:
    """Layers from the inputs to the outputs, deepest first, then in order of traversal, as Keras.

    Raises:
        ValueError: when an output needs a tensor that the inputs do not lead to.
    """
    calls = calls_in_order(inputs, outputs)
    depth = dict.fromkeys(calls, 0)
    for call in reversed(calls):
        for tensor in call.inputs:
            depth[tensor.call] = max(depth[tensor.call], depth[call] + 1)
    layer_depth: dict[Layer, int] = {}
    for call in calls:
        layer_depth[call.layer] = max(layer_depth.get(call.layer, 0), depth[call])
    order = {layer: at for at, layer in enumerate(layer_depth)}
    layers = sorted(layer_depth, key=lambda layer: (-layer_depth[layer], order[layer]))
    counts = Counter(layer.name for layer in layers)
    double = sorted(name for name, count in counts.items() if count > 1)
    if double:
        raise ValueError(f"Model: layers must have different names; {double} repeat")
    return layers


def calls_in_order(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]
) -> list[LayerCall]:
    """All calls that the outputs need, arguments before users; unused inputs come first."""
    given = set(inputs)
    order: dict[LayerCall, None] = {}
    stack = [(t, False) for t in reversed(outputs)]
    while stack:
        tensor, ready = stack.pop()
        call = tensor.call
        if call in order:
            continue
        if tensor in given:
            if isinstance(call.layer, InputLayer):
                order[call] = None
            continue
        if ready:
            order[call] = None
            continue
        arguments = call.inputs
        if not arguments:
            raise ValueError(
                f"Model: the outputs need the tensor of {call.layer.name!r} ({call.where}), which "
                f"is not among the inputs {[t.name for t in inputs]}"
            )
        stack.append((tensor, True))
        stack.extend((t, False) for t in reversed(arguments))
    starts = [t.call for t in inputs if isinstance(t.call.layer, InputLayer)]
    return [*(call for call in starts if call not in order), *order]
