"""Weights in safetensors files, for tools other than Keras; `pip install graphc[safetensors]`."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_tensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays by name.

    Raises:
        ImportError: without the package safetensors.
    """
    from safetensors.numpy import save_file  # noqa: PLC0415 (an extra)

    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def read_tensors(path: Path, source: str) -> dict[str, np.ndarray]:
    """The arrays of a file by name; its header is checked against its size before any is read.

    Args:
        source: the file's name, for messages, which start with it.

    Raises:
        ImportError: without the package safetensors.
        ValueError: when the file is damaged, or has values that NumPy does not.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 (an extra)
    from safetensors.numpy import load_file  # noqa: PLC0415

    try:
        return dict(load_file(path))
    except (SafetensorError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{source} is not a whole safetensors file: {error}") from None
