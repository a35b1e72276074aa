"""Seeing what the compiler makes of a model: text, explanations, and the page of all stages."""

from .methods import Inspected

__all__ = ["Inspected"]
