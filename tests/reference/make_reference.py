"""Run groups of cases with Keras and store the results, each in `<group>.npz`.

Run from the repository's root, in an environment with Keras 3, JAX, and TensorFlow, which
Keras's lookups, hashes and texts need:

    KERAS_BACKEND=jax python tests/reference/make_reference.py dense ...

A group is a module in this folder with CASES, each with a `name`, and record(library, case), which
returns arrays by name. A group's file holds them as `<case>/<name>`, floats of 32 bits at most, and
the string `made by/keras`.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras

FOLDER = Path(__file__).parent


def make(group: str) -> None:
    """Write a group's file, and say what is in it."""
    module = import_module(group)
    version = f"{keras.__version__} {keras.backend.backend()}"
    arrays: dict[str, np.ndarray] = {"made by/keras": np.array(version)}
    for case in module.CASES:
        for name, array in module.record(keras, case).items():
            value = np.asarray(array)
            arrays[f"{case.name}/{name}"] = (
                value.astype(np.float32) if value.dtype == np.float64 else value
            )
        keras.backend.clear_session()
    output = FOLDER / f"{group}.npz"
    np.savez_compressed(output, allow_pickle=False, **arrays)
    size = output.stat().st_size / 1e3
    print(f"{len(module.CASES)} cases by Keras {version}, {size:.0f} kB: {output}")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        make(name)
