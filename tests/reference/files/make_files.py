"""Write the files of models that real Keras makes, one a family, and what it computes with them.

Run from the repository's root, in an environment with Keras 3, JAX and TensorFlow, with each:

    KERAS_BACKEND=jax python tests/reference/files/make_files.py
    KERAS_BACKEND=tensorflow python tests/reference/files/make_files.py

Lookups train with TensorFlow alone, the others are made with JAX. `<family>.keras` (or .h5) is a
model after two epochs; `results.npz` holds its predictions then ("<family>/prediction/0" ...) and
the losses of two more epochs ("<family>/losses").
"""

import os
from pathlib import Path

import numpy as np

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
from families import ASKED, FAMILIES, LETTERS, TEXTS, texts

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.npz"


def main() -> None:
    """Write the files of a backend, and say how large all are."""
    with np.load(RESULTS) as kept:
        arrays = dict(kept)
    if keras.backend.backend() == "tensorflow":
        arrays |= make_texts()
    for family in FAMILIES:
        if family.backend != keras.backend.backend():
            continue
        keras.backend.clear_session()
        model = family.compiled(keras)
        model.set_weights(family.weights(model))
        family.losses(model)
        model.save(str(FOLDER / f"{family.name}{family.suffix}"))
        for at, array in enumerate(family.predictions(model)):
            arrays[f"{family.name}/prediction/{at}"] = array
        arrays[f"{family.name}/losses"] = family.losses(model)
    np.savez_compressed(RESULTS, allow_pickle=False, **arrays)
    sizes = {path.name: path.stat().st_size for path in sorted(FOLDER.glob("*.[hkn]*"))}
    print(f"Keras {keras.__version__}: {sum(sizes.values()) / 1e3:.0f} kB, {sizes}")


def make_texts() -> dict[str, np.ndarray]:
    """Write `texts.keras`; what its words and letters are."""
    keras.backend.clear_session()
    layer = texts(keras)()
    layer.words.adapt(TEXTS)
    layer.letters.adapt(np.array(LETTERS))
    x = keras.layers.Input((3,))
    keras.models.Model(x, layer(x)).save(str(FOLDER / "texts.keras"))
    pairs = zip(("words", "letters"), ASKED, strict=True)
    return {f"texts/{name}": np.asarray(getattr(layer, name)(asked)) for name, asked in pairs}


if __name__ == "__main__":
    main()
