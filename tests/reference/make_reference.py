"""Train every case with Keras and store the results in `dense.npz`.

Run from the repository's root, in an environment with Keras 3 and JAX:

    KERAS_BACKEND=jax python tests/reference/make_reference.py

The file holds one float32 array for each `<case>/<name>` that `cases.record` returns, and two
strings, `keras_version` and `backend`.
"""

import os
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from cases import CASES, Arrays, record

OUTPUT = Path(__file__).with_name("dense.npz")


def main() -> None:
    """Write the file, and say what is in it."""
    arrays: Arrays = {
        "keras_version": np.array(keras.__version__),
        "backend": np.array(keras.backend.backend()),
    }
    for case in CASES:
        results = record(keras, case)
        arrays |= {f"{case.name}/{name}": array for name, array in results.items()}
        keras.backend.clear_session()
    np.savez_compressed(OUTPUT, allow_pickle=False, **arrays)
    size = OUTPUT.stat().st_size / 1e3
    print(f"{len(CASES)} cases by Keras {keras.__version__}, {size:.0f} kB: {OUTPUT}")


if __name__ == "__main__":
    main()
