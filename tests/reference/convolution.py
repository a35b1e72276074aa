"""Convolution and pooling layers: one line a case, forward values and training."""

import zlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
ROWS, BATCH, EPOCHS = 7, 3, 3


@dataclass(frozen=True)
class Case:
    """A layer with its arguments, and the shape of a row of its input."""

    layer: str
    shape: tuple[int, ...]
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        given = ",".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.layer}({given}) {self.shape}".replace("/", "_")


def same(**arguments: Any) -> dict[str, Any]:
    return {"padding": "same", **arguments}


def first(**arguments: Any) -> dict[str, Any]:
    return {"data_format": "channels_first", **arguments}


def conv(filters: int, kernel_size: Any, **arguments: Any) -> dict[str, Any]:
    return {"filters": filters, "kernel_size": kernel_size, **arguments}


def window(kernel_size: Any, **arguments: Any) -> dict[str, Any]:
    return {"kernel_size": kernel_size, **arguments}


CASES = [
    Case("Conv1D", (11, 3), conv(5, 3)),
    Case("Conv1D", (11, 3), conv(5, 4, padding="causal", dilation_rate=2, activation="tanh")),
    Case("Conv1D", (12, 6), conv(4, 3, **same(strides=2, groups=2))),
    Case("Conv2D", (9, 7, 1), conv(4, 3, activation="relu")),
    Case("Conv2D", (9, 7, 3), conv(17, (3, 2), **same(strides=(2, 3)))),
    Case("Conv2D", (8, 9, 4), conv(6, (2, 3), **same(dilation_rate=(2, 1)), use_bias=False)),
    Case("Conv2D", (5, 6, 6), conv(9, 1, groups=3, activation="sigmoid")),
    Case("Conv2D", (3, 6, 5), conv(4, 3, **first(activation="relu"))),
    Case("Conv2D", (7, 7, 2), conv(1, 7)),
    Case("Conv2D", (7, 8, 2), conv(3, 2, strides=3)),
    Case("Conv3D", (4, 5, 6, 2), conv(3, (2, 3, 2), **same(strides=(1, 2, 1)))),
    Case("Conv1DTranspose", (5, 3), conv(4, 3, strides=2)),
    Case("Conv1DTranspose", (5, 3), conv(4, 2, **same(strides=3))),
    Case("Conv2DTranspose", (4, 5, 3), conv(2, (3, 4), **same(strides=(2, 1), activation="relu"))),
    Case("Conv2DTranspose", (4, 5, 3), conv(2, 3, strides=2, output_padding=1)),
    Case("Conv2DTranspose", (4, 3, 2), conv(5, 2, dilation_rate=2)),
    Case("Conv2DTranspose", (3, 4, 5), conv(2, 3, **first(**same(strides=2)))),
    Case("Conv3DTranspose", (2, 3, 4, 2), conv(3, 2, strides=2)),
    Case("DepthwiseConv1D", (9, 5), window(3, **same(depth_multiplier=2))),
    Case("DepthwiseConv2D", (7, 8, 3), window(3, strides=2, activation="relu")),
    Case("DepthwiseConv2D", (7, 8, 5), window((2, 3), **same(depth_multiplier=3))),
    Case("DepthwiseConv2D", (6, 7, 17), window(5, **same())),
    Case("SeparableConv1D", (9, 4), conv(3, 3, **same(depth_multiplier=2))),
    Case("SeparableConv2D", (7, 6, 3), conv(5, 3, strides=2, activation="tanh")),
    Case("MaxPooling1D", (9, 3), {"pool_size": 2}),
    Case("MaxPooling2D", (9, 7, 3), {"pool_size": (2, 3)}),
    Case("MaxPooling2D", (8, 7, 1), same(pool_size=3, strides=2)),
    Case("MaxPooling2D", (2, 6, 7), first(pool_size=2)),
    Case("MaxPooling3D", (4, 5, 6, 2), same(pool_size=2)),
    Case("AveragePooling1D", (9, 3), same(pool_size=4, strides=2)),
    Case("AveragePooling2D", (9, 7, 3), {"pool_size": 2}),
    Case("AveragePooling2D", (8, 7, 2), same(pool_size=(3, 2), strides=(1, 2))),
    Case("AveragePooling2D", (2, 6, 7), first(**same(pool_size=3))),
    Case("AveragePooling3D", (4, 5, 6, 2), {"pool_size": (1, 2, 3)}),
    Case("GlobalMaxPooling1D", (5, 3)),
    Case("GlobalMaxPooling2D", (5, 4, 3), {"keepdims": True}),
    Case("GlobalAveragePooling2D", (3, 4, 5), first()),
    Case("GlobalAveragePooling3D", (2, 3, 4, 5)),
]


def random(case: Case, what: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32(f"{case.name} {what}".encode())
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def record(lib: ModuleType, case: Case) -> Arrays:
    """Predictions, and the losses and weights of training a model of Dense, the layer, and Dense.

    The first Dense layer's weights show the gradient with respect to the layer's inputs.
    """
    layers = lib.layers
    made = getattr(layers, case.layer)(**case.arguments)
    inner = [layers.Dense(case.shape[-1]), made, layers.Flatten(), layers.Dense(2)]
    model = lib.models.Sequential([layers.Input(case.shape), *inner])
    shapes = [w.shape for w in model.get_weights()]
    scale = [0.5 if len(shape) > 1 else 0.1 for shape in shapes]
    model.set_weights(
        [s * random(case, f"weight {at}", shape) / max(np.prod(shape[:-1]), 1) ** 0.5
         for at, (s, shape) in enumerate(zip(scale, shapes, strict=True))]
    )  # fmt: skip
    x, y = random(case, "x", (ROWS, *case.shape)), random(case, "y", (ROWS, 2))
    part = lib.models.Model(model.inputs, made.output)
    results = {"output": part.predict(x, verbose=0)}
    model.compile(lib.optimizers.SGD(0.02), "mse")
    history = model.fit(x, y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    results["loss"] = np.array(history.history["loss"])
    return results | {f"weight/{at}": w for at, w in enumerate(model.get_weights())}
