"""Models in files, and their parts to and from configurations, as `keras.saving`."""

from graphc.registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from graphc.serialization import deserialize_keras_object, serialize_keras_object

from .model_file import load_model, save_model
from .weights import load_weights, save_weights
