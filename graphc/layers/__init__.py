"""Layers, named and behaving as in `keras.layers`."""

from .base import Input, InputLayer, Layer
from .core import Activation, Dense, Dropout, Flatten

__all__ = ["Activation", "Dense", "Dropout", "Flatten", "Input", "InputLayer", "Layer"]
