"""Layers, named and behaving as in `keras.layers`."""

from .base import Input, InputLayer, Layer
from .core import Activation, Dense, Dropout, Flatten
