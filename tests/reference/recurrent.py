"""Recurrent layers: one line a case, forward values and training, with masks and without."""

import zlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
ROWS, BATCH, EPOCHS = 7, 3, 3


@dataclass(frozen=True)
class Case:
    """A layer with its arguments; `inside` is what a wrapper is made of.

    Args:
        steps: of the sequences, of 3 features.
        masked: whether a Masking layer hides some steps.
    """

    layer: str
    arguments: dict[str, Any] = field(default_factory=dict)
    steps: int = 5
    masked: bool = False
    inside: tuple[str, dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        inner = f"{self.inside[0]} {self.inside[1]} in " if self.inside else ""
        mask = "masked " if self.masked else ""
        return f"{mask}{inner}{self.layer} {self.arguments} {self.steps}".replace("/", "_")


def made(**arguments: Any) -> dict[str, Any]:
    return {"units": 4, **arguments}


EVERY = {"return_sequences": True}
BACK = {"go_backwards": True}
STACK = {"cells": [("LSTMCell", 3), ("SimpleRNNCell", 5)]}

CASES = [
    Case("SimpleRNN", made()),
    Case("SimpleRNN", made(**EVERY, **BACK, activation="relu", use_bias=False), steps=1),
    Case("SimpleRNN", made(units=1), masked=True),
    Case("LSTM", made()),
    Case("LSTM", made(**EVERY), steps=9),
    Case("LSTM", made(**EVERY, **BACK, unit_forget_bias=False, use_bias=False)),
    Case("LSTM", made(units=17, activation="relu", recurrent_activation="hard_sigmoid")),
    Case("LSTM", made(), masked=True),
    Case("LSTM", made(**EVERY), masked=True),
    Case("LSTM", made(**BACK), masked=True),
    Case("LSTM", made(unroll=True)),
    Case("GRU", made()),
    Case("GRU", made(reset_after=False, **EVERY)),
    Case("GRU", made(reset_after=False, use_bias=False)),
    Case("GRU", made(use_bias=False, **BACK)),
    Case("GRU", made(units=9), masked=True),
    Case("Bidirectional", {}, inside=("LSTM", made())),
    Case("Bidirectional", {"merge_mode": "sum"}, inside=("GRU", made(**EVERY))),
    Case("Bidirectional", {"merge_mode": "ave"}, inside=("SimpleRNN", made(**EVERY))),
    Case("Bidirectional", {"merge_mode": "mul"}, inside=("LSTM", made(units=3))),
    Case("Bidirectional", {}, inside=("LSTM", made(**EVERY)), masked=True),
    Case("Bidirectional", {}, inside=("GRU", made()), masked=True),
    Case("TimeDistributed", {}, inside=("Dense", made(activation="tanh"))),
    Case("TimeDistributed", {}, inside=("Dense", made()), masked=True),
    Case("SpectralNormalization", {}, inside=("Dense", made(activation="tanh"))),
    Case("SpectralNormalization", {"power_iterations": 3},
         inside=("Conv1D", {"filters": 4, "kernel_size": 2})),
    Case("RNN", {**EVERY}, inside=("LSTMCell", made())),
    Case("RNN", {}, inside=("StackedRNNCells", {"cells": [("GRUCell", 3), ("LSTMCell", 2)]})),
    Case("RNN", EVERY, inside=("StackedRNNCells", STACK), masked=True),
]  # fmt: skip


def random(case: Case, what: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32(f"{case.name} {what}".encode())
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def layer(lib: ModuleType, case: Case) -> Any:
    layers = lib.layers
    if case.inside is None:
        return getattr(layers, case.layer)(**case.arguments)
    kind, arguments = case.inside
    if "cells" in arguments:
        cells = [getattr(layers, name)(units) for name, units in arguments["cells"]]
        arguments = {"cells": cells}
    return getattr(layers, case.layer)(getattr(layers, kind)(**arguments), **case.arguments)


def record(lib: ModuleType, case: Case) -> Arrays:
    """Predictions, and the losses and weights of training: Masking, the layer, and Dense."""
    layers = lib.layers
    made = layer(lib, case)
    inner = [layers.Masking(mask_value=0.5)] if case.masked else [layers.Dense(3)]
    inner += [made, layers.Dense(2)]
    model = lib.models.Sequential([layers.Input((case.steps, 3)), *inner])
    shapes = [w.shape for w in model.get_weights()]
    model.set_weights(
        [0.4 * random(case, f"weight {at}", shape) for at, shape in enumerate(shapes)]
    )
    x = random(case, "x", (ROWS, case.steps, 3))
    y = random(case, "y", (ROWS, *model.output_shape[1:]))
    if case.masked:
        x[random(case, "mask", (ROWS, case.steps)) > 0.3] = 0.5
        x[0] = 0.5
    part = lib.models.Model(model.inputs, made.output)
    results = {"output": part.predict(x, verbose=0)}
    model.compile(lib.optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    results["loss"] = np.array(history.history["loss"])
    return results | {f"weight/{at}": w for at, w in enumerate(model.get_weights())}
