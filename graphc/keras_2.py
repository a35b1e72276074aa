"""Calls of layers in functional models' configurations of Keras 2, in Keras 3's spelling.

A call was a list of [layer, call, place in its results, options], one for each tensor of the first
argument; tensors among the options are [layer, call, place in its results].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Layers whose first states came behind their input.
_RECURRENT = ("RNN", "LSTM", "GRU", "SimpleRNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D")


def modern_calls(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A functional model's configuration with calls as Keras 3 writes them."""
    layers = config["layers"]
    if not any(isinstance(node, list) for part in layers for node in part.get("inbound_nodes", ())):
        return config
    own_calls = {part["name"]: _own_calls(part) for part in layers}
    changed = [
        {**part, "inbound_nodes": [
            _call(node, str(part["class_name"]), own_calls) for node in part["inbound_nodes"]
        ]}
        for part in layers
    ]  # fmt: skip
    chains = {part["name"] for part in layers if part["class_name"] == "Sequential"}

    def result(place: Any) -> Any:
        """A model's result: Keras 3 counts own calls still, but not those of a Sequential."""
        if isinstance(place, list) and place and isinstance(place[0], str):
            own = own_calls[place[0]] if place[0] in chains else 0
            return [place[0], place[1] - own, place[2]]
        return [result(part) for part in place] if isinstance(place, list) else place

    return {**config, "layers": changed, "output_layers": result(config["output_layers"])}


def _own_calls(layer: Mapping[str, Any]) -> int:
    """How many calls a layer had when it was made: a model of known inputs has one."""
    if layer["class_name"] in ("Functional", "Model"):
        return 1
    if layer["class_name"] != "Sequential":
        return 0
    first = next(iter(layer["config"]["layers"]), None)
    return int(
        first is not None
        and (first["class_name"] == "InputLayer" or "batch_input_shape" in first["config"])
    )


def _call(node: Any, kind: str, own_calls: Mapping[str, int]) -> dict[str, Any]:
    def tensor(place: Any) -> dict[str, Any]:
        name, number, index = place[:3]
        history = [name, number - own_calls.get(name, 0), index]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}

    def option(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: option(part) for name, part in value.items()}
        if not isinstance(value, list):
            return value
        is_place = len(value) == 3 and isinstance(value[0], str) and value[0] in own_calls
        return tensor(value) if is_place else [option(part) for part in value]

    tensors = [tensor(place) for place in node]
    options = option(node[0][3]) if node and len(node[0]) > 3 else {}
    if options.get("training") is False:  # which was written only where the user had said it
        options["training"] = 0
    if len(tensors) > 1 and kind in _RECURRENT:
        options["initial_state"] = tensors[1:]
        tensors = tensors[:1]
    return {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": options}
