"""Models like other ones, with new layers and weights: `clone_model`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .dag import calls_in_order
from .layers.base import Layer
from .layers.inputs import InputLayer
from .layers.operations import OpLayer
from .layers.symbolic import LayerCall, SymbolicTensor
from .tree import flatten, map_structure


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Any:
    """A model with new layers of the same arguments, whose weights start anew.

    Args:
        model: a Sequential or functional model; another is made again of its configuration.
        input_tensors: of the new model, in the structure of the model's; new ones by default.
        clone_function: makes the new layer of a layer (but not of inputs); by default one of the
            same configuration.
        call_function: called as `fn(new layer, *args, **kwargs)` in place of the layer; functional
            models only.
        recursive: whether inner models are cloned with these functions too.

    Raises:
        ValueError: for arguments that the kind of model does not take.
    """
    sequential = hasattr(model, "add")
    if not sequential and not model.functional:
        if input_tensors is not None or clone_function is not None or call_function is not None:
            raise ValueError(
                f"clone_model: a {type(model).__name__} is made again of its configuration, with "
                "no other argument; only Sequential and functional models take them"
            )
        return type(model).from_config(model.get_config())
    if call_function is not None and sequential:
        raise ValueError("clone_model: call_function is for functional models")
    function = clone_function or (lambda layer: type(layer).from_config(layer.get_config()))
    made: dict[Layer, Layer] = {}

    def cloned(layer: Layer) -> Layer:
        if layer in made:
            return made[layer]
        if isinstance(layer, OpLayer):  # which has no arguments but those of its call
            made[layer] = OpLayer(layer.function, layer.name)
        elif recursive and hasattr(layer, "get_layer"):
            call = None if hasattr(layer, "add") else call_function
            made[layer] = clone_model(layer, None, clone_function, call, recursive)
        else:
            made[layer] = function(layer)
        return made[layer]

    if sequential:
        clone = _clone_sequential(model, input_tensors, cloned)
    else:
        clone = _clone_functional(model, input_tensors, cloned, call_function)
    if config := model.get_compile_config():
        clone.compile_from_config(config)
    return clone


def _new_input(tensor: SymbolicTensor) -> Any:
    return InputLayer.like(tensor, tensor.name)


def _clone_sequential(model: Any, input_tensors: Any, cloned: Callable[[Layer], Layer]) -> Any:
    start = flatten(input_tensors) if input_tensors is not None else []
    if len(start) > 1 or not all(isinstance(t, SymbolicTensor) for t in start):
        raise ValueError("clone_model: input_tensors of a Sequential must be one tensor of Input")
    if not start and model.built:
        start = [_new_input(model.inputs[0])]
    layers = [cloned(layer) for layer in model.layers]
    return type(model)([*start, *layers], name=model.name, trainable=model.trainable)


def _clone_functional(
    model: Any, input_tensors: Any, cloned: Callable[[Layer], Layer],
    call_function: Callable[..., Any] | None,
) -> Any:  # fmt: skip
    inputs, outputs = model.structures
    if input_tensors is None:
        input_tensors = map_structure(_new_input, inputs)
    given = flatten(input_tensors)
    if len(given) != len(model.inputs) or not all(isinstance(t, SymbolicTensor) for t in given):
        raise ValueError(
            f"clone_model: input_tensors must be {len(model.inputs)} tensors of Input, got "
            f"{input_tensors!r}"
        )
    tensors = dict(zip(model.inputs, given, strict=True))
    for call in calls_in_order(model.inputs, model.outputs):
        if not isinstance(call.layer, InputLayer):
            _call_again(call, cloned(call.layer), tensors, call_function)
    result = map_structure(lambda tensor: tensors[tensor], outputs)
    return type(model)(input_tensors, result, name=model.name, trainable=model.trainable)


def _call_again(
    call: LayerCall, layer: Layer, tensors: dict[SymbolicTensor, SymbolicTensor],
    call_function: Callable[..., Any] | None,
) -> None:  # fmt: skip
    """Calls a layer as another was called, on new tensors; its results are new ones too."""

    def new(leaf: Any) -> Any:
        return tensors[leaf] if isinstance(leaf, SymbolicTensor) else leaf

    args, kwargs = map_structure(new, call.args), map_structure(new, call.kwargs)
    results = layer(*args, **kwargs) if call_function is None else (
        call_function(layer, *args, **kwargs)
    )  # fmt: skip
    tensors.update(zip(flatten(call.outputs), flatten(results), strict=True))
