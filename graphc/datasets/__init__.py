"""Small data sets that come with graphc: nothing is downloaded."""

from . import digits

__all__ = ["digits"]
