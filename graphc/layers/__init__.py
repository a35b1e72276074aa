"""Layers, named and behaving as in `keras.layers`."""

from collections.abc import Mapping as _Mapping
from typing import Any as _Any

from graphc.registration import export as _export
from graphc.serialization import deserialize_keras_object, serialize_keras_object

from . import operations as _operations  # makes functions on symbolic tensors layers
from .activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from .attention import AdditiveAttention, Attention, MultiHeadAttention
from .base import Layer
from .cells import GRUCell, LSTMCell, SimpleRNNCell, StackedRNNCells
from .conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from .convolution import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from .core import Activation, ActivityRegularization, Dense, Dropout, Embedding, Flatten, Masking
from .einsum_dense import EinsumDense
from .grouped_attention import GroupedQueryAttention as GroupQueryAttention
from .inputs import Input, InputLayer
from .merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .noise import (
    AlphaDropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from .normalization import (
    BatchNormalization,
    GroupNormalization,
    LayerNormalization,
    Normalization,
    Rescaling,
    RMSNormalization,
    UnitNormalization,
)
from .pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from .preprocessing.augmentation import (
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
from .preprocessing.color import RandomBrightness, RandomContrast
from .preprocessing.encoding import CategoryEncoding, Discretization
from .preprocessing.hashing import Hashing
from .preprocessing.images import CenterCrop, Resizing
from .preprocessing.lookup import IntegerLookup, StringLookup
from .preprocessing.text import TextVectorization
from .recurrent import GRU, LSTM, RNN, SimpleRNN
from .shaping import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    Identity,
    Lambda,
    Permute,
    RepeatVector,
    Reshape,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from .wrappers import Bidirectional, SpectralNormalization, TimeDistributed, Wrapper

# Keras's second names.
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D
MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D


def serialize(layer: Layer) -> dict[str, _Any]:
    """The configuration of a layer, as Keras writes it."""
    config: dict[str, _Any] = serialize_keras_object(layer)
    return config


def deserialize(
    config: _Mapping[str, _Any], custom_objects: _Mapping[str, _Any] | None = None
) -> Layer:
    """The layer of a configuration; `custom_objects` are a user's own, by name.

    Raises:
        ValueError: when it is of something else, or of what is not there.
    """
    found = deserialize_keras_object(config, custom_objects)
    if not isinstance(found, Layer):
        raise ValueError(f"expected the config of a layer, got {config!r}")
    return found


_export("keras", [Layer])
_export(
    "keras.layers",
    {
        name: value
        for name, value in globals().items()
        if isinstance(value, type) and issubclass(value, Layer)
    },
)
