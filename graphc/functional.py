"""Functional models to and from Keras's configurations: layers, and their calls as nodes.

A layer's "inbound_nodes" are its calls in the model, in order; a tensor in their arguments is
named by [layer, call, place in the call's results].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import networkx as nx

from .dag import calls_in_order
from .keras_2 import modern_calls
from .layers.base import Layer
from .layers.inputs import InputLayer
from .layers.symbolic import LayerCall, SymbolicTensor
from .serialization import (
    deserialize_each,
    deserialize_keras_object,
    is_object,
    serialize_keras_object,
)
from .tree import flatten, map_structure

Nodes = dict[LayerCall, int]  # calls of a model, each with its number among its layer's


def graph_config(layers: Sequence[Layer], inputs: Any, outputs: Any) -> dict[str, Any]:
    """What a functional model's configuration says beside its name.

    Args:
        layers: in the order to write.
        inputs, outputs: its tensors, in the user's structures.
    """
    inside = calls_in_order(flatten(inputs), flatten(outputs))
    nodes: Nodes = {}
    for layer in layers:
        own = [call for call in inside if call.layer is layer]
        if all(call in layer._calls for call in own):  # a model from inner tensors has its own
            own.sort(key=layer._calls.index)
        nodes |= {call: number for number, call in enumerate(own)}
    configs = []
    for layer in layers:
        own = [call for call in nodes if call.layer is layer and not isinstance(layer, InputLayer)]
        inbound = [call_config(call, nodes) for call in own]
        configs.append(
            {**serialize_keras_object(layer), "name": layer.name, "inbound_nodes": inbound}
        )

    def place(tensor: SymbolicTensor) -> list[Any]:
        layer = tensor.call.layer
        # In Keras a functional model has a call of its own, which comes first.
        number = nodes[tensor.call] + getattr(layer, "functional", False)
        return [layer.name, number, tensor.index]

    return {
        "layers": configs,
        "input_layers": map_structure(place, inputs),
        "output_layers": map_structure(place, outputs),
    }


def call_config(call: LayerCall, nodes: Nodes) -> dict[str, Any]:
    """A call's arguments."""

    def part(leaf: Any) -> Any:
        if not isinstance(leaf, SymbolicTensor):
            return serialize_keras_object(leaf)
        history = [leaf.call.layer.name, nodes[leaf.call], leaf.index]
        config = {"shape": list(leaf.shape), "dtype": leaf.dtype, "keras_history": history}
        return {"class_name": "__keras_tensor__", "config": config}

    args, kwargs = call.layer.written_call(call.args, call.kwargs)
    return {
        "args": [map_structure(part, argument) for argument in args],
        "kwargs": {name: map_structure(part, value) for name, value in kwargs.items()},
    }


class _Graph:
    """Layers made of their configurations, and their calls, made again in the order they can be."""

    def __init__(self, configs: Sequence[dict[str, Any]]) -> None:
        names = [config["name"] for config in configs]
        layers = deserialize_each(configs)
        wrong = [name for name, layer in zip(names, layers, strict=True)
                 if not isinstance(layer, Layer)]  # fmt: skip
        if wrong:
            raise ValueError(f"{wrong} are no layers")
        self.layers: dict[str, Layer] = dict(zip(names, layers, strict=True))
        self.inbound = {
            (config["name"], number): node
            for config in configs
            for number, node in enumerate(config.get("inbound_nodes", ()))
        }
        self.calls: dict[tuple[str, int], LayerCall] = {
            (name, 0): layer._calls[0]
            for name, layer in self.layers.items()
            if isinstance(layer, InputLayer)
        }
        for key in self._in_order():
            self._call(key)

    def _in_order(self) -> list[tuple[str, int]]:
        graph = nx.DiGraph()
        for (name, number), node in self.inbound.items():
            graph.add_node((name, number))
            before = [(str(place[0]), place[1]) for place in _places(node)]
            before += [(name, number - 1)] if number else []
            unknown = [key for key in before if key not in self.inbound and key not in self.calls]
            if unknown:
                raise ValueError(f"layer {name!r}: there is no call {unknown[0]}")
            graph.add_edges_from((key, (name, number)) for key in before if key in self.inbound)
        try:
            return list(nx.topological_sort(graph))
        except nx.NetworkXUnfeasible:
            raise ValueError("some layers' calls wait for each other's results") from None

    def _call(self, key: tuple[str, int]) -> None:
        layer, node = self.layers[key[0]], self.inbound[key]
        args, kwargs = layer.read_call(self._filled(node["args"]), self._filled(node["kwargs"]))
        layer(*args, **kwargs)
        self.calls[key] = layer._calls[-1]

    def _filled(self, part: Any) -> Any:
        """Arguments with tensors in the places of their configurations."""
        if is_object(part):
            if part["class_name"] == "__keras_tensor__":
                return self.tensor(part["config"]["keras_history"])
            return deserialize_keras_object(part)
        if isinstance(part, dict):
            return {name: self._filled(value) for name, value in part.items()}
        return [self._filled(value) for value in part] if isinstance(part, list) else part

    def tensor(self, place: Sequence[Any]) -> SymbolicTensor:
        """The result of a call."""
        name, number, index = place[:3]
        results = flatten(self.calls[name, number].outputs) if (name, number) in self.calls else []
        if not isinstance(index, int) or not 0 <= index < len(results):
            raise ValueError(f"there is no tensor {list(place)}")
        tensor: SymbolicTensor = results[index]
        return tensor

    def of_model(self, places: Any) -> Any:
        """A model's tensors, in the user's structure."""
        if isinstance(places, dict):
            return {name: self.of_model(part) for name, part in places.items()}
        if not isinstance(places, (list, tuple)):
            raise ValueError(f"expected [layer, call, place in its results], got {places!r}")
        if len(places) == 3 and isinstance(places[0], str):
            name, number, index = places
            own_call = getattr(self.layers.get(name), "functional", False)
            return self.tensor([name, number - own_call, index])
        return [self.of_model(part) for part in places]


def _places(part: Any) -> list[Sequence[Any]]:
    """The tensors in the arguments of a call: [layer, call, place in its results] of each."""
    if is_object(part):
        return [part["config"]["keras_history"]] if part["class_name"] == "__keras_tensor__" else []
    if isinstance(part, dict):
        return [place for value in part.values() for place in _places(value)]
    return [place for value in part for place in _places(value)] if isinstance(part, list) else []


def graph_from_config(
    config: Mapping[str, Any], model: Callable[..., Any], options: dict[str, Any]
) -> Any:
    """The model that `graph_config` described.

    Args:
        config: or Keras 2's.
        model: called with inputs, outputs and the options.
    """
    config = modern_calls(config)
    graph = _Graph(config["layers"])
    inputs, outputs = (
        graph.of_model(config["input_layers"]),
        graph.of_model(config["output_layers"]),
    )
    return model(inputs, outputs, **options)
