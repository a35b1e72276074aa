"""Write Keras's configurations of the objects and models in `configs.py` to `configs.json`.

Run from the repository's root, in an environment with Keras 3, JAX, and TensorFlow, which
Keras's lookups, hashes and texts need:

    KERAS_BACKEND=jax python tests/reference/make_configs.py
"""

import json
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import configs
import keras

if __name__ == "__main__":
    makers = {case.name: case.made for case in configs.CASES} | configs.MODELS
    made = {}
    for name, make in makers.items():
        keras.backend.clear_session()
        made[name] = keras.saving.serialize_keras_object(make(keras))
    output = Path(__file__).parent / "configs.json"
    lines = [f"{json.dumps(name)}: {json.dumps(config)}" for name, config in made.items()]
    output.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(made)} objects by Keras {keras.__version__}: {output}")
