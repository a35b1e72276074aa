"""Configurations of all objects: equal to Keras's, both ways."""

import json
import operator
from collections.abc import Iterator
from typing import Any

import pytest
from agreed_configs import KERAS, plain
from configs import CASES, Case

import graphc
from graphc import activations
from graphc.registration import public_name
from graphc.saving import deserialize_keras_object, serialize_keras_object

# What Keras forgets to write, and graphc writes where it is not the default.
FORGOTTEN = {"Huber": "delta", "CosineSimilarity": "axis", "Identity": "gain"}

# Keras writes what they took from data into files of its own.
VOCABULARIES = {"StringLookup", "IntegerLookup", "TextVectorization"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_config_is_that_of_keras_both_ways(case: Case) -> None:
    made, keras = case.made(graphc), KERAS[case.name]  # type: ignore[arg-type]
    config = serialize_keras_object(made)
    assert serialize_keras_object(deserialize_keras_object(config)) == config
    read = deserialize_keras_object(keras)
    assert type(read) is type(made)
    assert plain(serialize_keras_object(read)) == plain(keras)
    config["config"].pop(FORGOTTEN.get(case.cls), None)
    if case.cls in VOCABULARIES and "adapted" in case.arguments:
        config["config"] |= {"vocabulary": None, "idf_weights": None}
    assert plain(json.loads(json.dumps(config))) == plain(keras)


MODULES = [
    "layers", "losses", "metrics", "optimizers", "optimizers.schedules", "initializers",
    "regularizers", "constraints",
]  # fmt: skip
BASES = {
    "Layer", "Loss", "LossFunctionWrapper", "Metric", "MeanMetricWrapper", "Optimizer",
    "LearningRateSchedule", "Initializer", "RandomInitializer", "Regularizer", "Constraint",
    "Wrapper",
}  # fmt: skip
ELSEWHERE = {"Lambda"}  # its config depends on the function: test_serialization.py


@pytest.mark.parametrize("kind", MODULES)
def test_no_class_is_left_out(kind: str) -> None:
    module = operator.attrgetter(kind)(graphc)
    there = {name for value in vars(module).values() if (name := class_name(value))}
    written = {c["class_name"] for n, c in KERAS.items() if n.startswith(f"{kind}.")}
    parts = {part["class_name"] for c in KERAS.values() for part in objects_in(c["config"])}
    assert there - BASES - ELSEWHERE - written - parts == set()


def class_name(value: Any) -> str | None:
    """The name of a class in configurations; None for what is no class of Keras's."""
    name = public_name(value) if isinstance(value, type) else None
    return name and name.rpartition(".")[2]


def objects_in(config: Any) -> Iterator[dict[str, Any]]:
    """The objects in a config."""
    if isinstance(config, dict):
        if "class_name" in config:
            yield config
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from objects_in(part)


@pytest.mark.parametrize("name", activations._ALL)
def test_activations_are_written_as_their_names(name: str) -> None:
    function = activations.get(name)
    assert activations.serialize(function) == function.__name__
    assert activations.deserialize(function.__name__) is function
