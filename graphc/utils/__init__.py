"""Helpers: those of `keras.utils`, and what naming objects takes."""

from graphc.random import set_random_seed
from graphc.registration import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from graphc.serialization import deserialize_keras_object, serialize_keras_object

from .arrays import (
    normalize,
    pad_sequences,
    split_dataset,
    standardize_dtype,
    to_categorical,
)
from .batches import (
    PyDataset,
    Sequence,
    pack_x_y_sample_weight,
    timeseries_dataset_from_array,
    unpack_x_y_sample_weight,
)
from .files import get_file
from .image_folders import image_dataset_from_directory
from .images import array_to_img, img_to_array, load_img, save_img
from .naming import automatic_name, clear_session, resolve, snake_case
from .plotting import plot_model
from .progbar import Progbar
from .symbolic import get_source_inputs, is_keras_tensor

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "automatic_name",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_keras_tensor",
    "load_img",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "resolve",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "snake_case",
    "split_dataset",
    "standardize_dtype",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]
