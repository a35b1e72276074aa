"""Write the files of models that real Keras makes, one a family, and what it computes with them.

Run from the repository's root, in an environment with Keras 3 and JAX:

    KERAS_BACKEND=jax python tests/reference/files/make_files.py

`<family>.keras` (or .h5) is a model after two epochs; `results.npz` holds its predictions then
("<family>/prediction/0" ...) and the losses of two more epochs ("<family>/losses").
"""

import os
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from families import FAMILIES

FOLDER = Path(__file__).parent


def main() -> None:
    """Write all files, and say how large they are."""
    arrays: dict[str, np.ndarray] = {}
    for family in FAMILIES:
        keras.backend.clear_session()
        model = family.compiled(keras)
        model.set_weights(family.weights(model))
        family.losses(model)
        model.save(str(FOLDER / f"{family.name}{family.suffix}"))
        for at, array in enumerate(family.predictions(model)):
            arrays[f"{family.name}/prediction/{at}"] = array
        arrays[f"{family.name}/losses"] = family.losses(model)
    np.savez_compressed(FOLDER / "results.npz", allow_pickle=False, **arrays)
    sizes = {path.name: path.stat().st_size for path in sorted(FOLDER.glob("*.[hkn]*"))}
    print(f"Keras {keras.__version__}: {sum(sizes.values()) / 1e3:.0f} kB, {sizes}")


if __name__ == "__main__":
    main()
