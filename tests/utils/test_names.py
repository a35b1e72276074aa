"""What `keras.utils` has of other modules is theirs."""

import pytest

from graphc import saving, utils


@pytest.mark.parametrize(
    "name",
    [
        "CustomObjectScope",
        "custom_object_scope",
        "deserialize_keras_object",
        "get_custom_objects",
        "get_registered_name",
        "get_registered_object",
        "register_keras_serializable",
        "serialize_keras_object",
    ],
)
def test_saving_names(name: str) -> None:
    assert getattr(utils, name) is getattr(saving, name)
