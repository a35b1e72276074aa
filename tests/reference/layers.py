"""Layers other than convolution and recurrence: one line a case, forward values and training."""

import zlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]
ROWS, BATCH, EPOCHS = 7, 3, 3


@dataclass(frozen=True)
class Case:
    """A layer with its arguments, and the shapes of a row of its inputs.

    Args:
        call: arguments of the call.
        masked: whether a Masking layer hides some steps of the inputs.
        separate: whether inputs are arguments of their own, not a list.
    """

    layer: str
    shapes: list[tuple[int, ...]]
    arguments: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)
    masked: bool = False
    separate: bool = False

    @property
    def name(self) -> str:
        given = ",".join(f"{k}={v}" for k, v in (self.arguments | self.call).items())
        masked = "masked " if self.masked else ""
        return f"{masked}{self.layer}({given}) {self.shapes}".replace("/", "_")


TWO = [(5,), (5,)]
HEADS = {"num_heads": 2, "key_dim": 3}
GROUPS = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
CAUSAL = {"use_causal_mask": True}

CASES = [
    Case("Add", [(4, 3), (4, 3), (1, 3)]),
    Case("Add", [(3,), (4, 3)]),
    Case("Subtract", TWO),
    Case("Multiply", [(4, 3), (4, 1)]),
    Case("Average", [*TWO, (5,)]),
    Case("Maximum", TWO),
    Case("Minimum", TWO),
    Case("Concatenate", [(4, 3), (4, 2)]),
    Case("Concatenate", [(4, 3), (2, 3), (1, 3)], {"axis": 1}),
    Case("Dot", TWO, {"axes": 1}),
    Case("Dot", [(4, 3), (5, 3)], {"axes": -1}),
    Case("Dot", [(4, 3), (3, 5)], {"axes": (2, 1), "normalize": True}),
    Case("Add", [(4, 3), (4, 3)], masked=True),
    Case("Concatenate", [(4, 3), (4, 2)], masked=True),
    Case("BatchNormalization", [(5,)]),
    Case("BatchNormalization", [(4, 3, 2)], {"momentum": 0.7, "epsilon": 0.1, "scale": False}),
    Case("BatchNormalization", [(4, 3, 2)], {"axis": 1, "center": False}),
    Case("BatchNormalization", [(4, 3)], masked=True),
    Case("BatchNormalization", [(5,)], {"trainable": False}),
    Case("LayerNormalization", [(4, 5)]),
    Case("LayerNormalization", [(4, 3, 5)], {"axis": [1, 3], "epsilon": 0.01}),
    Case("LayerNormalization", [(17,)], {"center": False, "scale": False}),
    Case("RMSNormalization", [(4, 5)]),
    Case("RMSNormalization", [(4, 3, 5)], {"axis": (2, 3)}),
    Case("GroupNormalization", [(4, 3, 6)], {"groups": 3}),
    Case("GroupNormalization", [(6, 4)], {"groups": -1, "axis": 1, "scale": False}),
    Case("UnitNormalization", [(4, 3)], {"axis": [1, 2]}),
    Case("Rescaling", [(4,)], {"scale": 0.5, "offset": -1.0}),
    Case("Normalization", [(4, 3)], {"mean": 1.0, "variance": 2.0}),
    Case("Normalization", [(4, 3)], {"axis": (1, 2)}),
    Case("ReLU", [(6,)], {"max_value": 0.7, "negative_slope": 0.2, "threshold": 0.1}),
    Case("ReLU", [(6,)], {"max_value": 6}),
    Case("LeakyReLU", [(6,)]),
    Case("PReLU", [(4, 3)], {"shared_axes": [1], "alpha_initializer": "ones"}),
    Case("ELU", [(6,)], {"alpha": 0.5}),
    Case("Softmax", [(4, 3)], {"axis": 1}),
    Case("Softmax", [(4, 3)], {"axis": (1, 2)}),
    Case("Identity", [(4,)]),
    Case("Reshape", [(4, 3)], {"target_shape": (2, -1, 3)}),
    Case("Permute", [(4, 3, 2)], {"dims": (3, 1, 2)}),
    Case("RepeatVector", [(4,)], {"n": 3}),
    Case("Flatten", [(4, 3)]),
    Case("ZeroPadding1D", [(4, 3)], {"padding": (2, 1)}),
    Case("ZeroPadding2D", [(4, 3, 2)], {"padding": ((1, 0), (2, 3))}),
    Case("ZeroPadding3D", [(2, 3, 2, 2)], {"padding": (1, 0, 2)}),
    Case("Cropping1D", [(5, 3)], {"cropping": (2, 1)}),
    Case("Cropping2D", [(2, 5, 4)], {"cropping": (1, 1), "data_format": "channels_first"}),
    Case("Cropping3D", [(4, 3, 4, 2)], {"cropping": ((1, 0), (1, 1), (0, 2))}),
    Case("UpSampling1D", [(4, 3)], {"size": 3}),
    Case("UpSampling2D", [(4, 3, 2)], {"size": (2, 3)}),
    Case("UpSampling2D", [(4, 3, 2)], {"size": (3, 2), "interpolation": "bilinear"}),
    Case("UpSampling3D", [(2, 3, 2, 1)], {"size": 2}),
    Case("SpatialDropout1D", [(4, 3)], {"rate": 0.0}),
    Case("Attention", [(4, 3), (5, 3)]),
    Case("Attention", [(4, 3), (5, 3), (5, 3)], {"use_scale": True}, CAUSAL),
    Case("Attention", [(4, 3), (5, 3)], {"score_mode": "concat", "use_scale": True}),
    Case("Attention", [(4, 3), (5, 3)], masked=True),
    Case("AdditiveAttention", [(4, 3), (5, 3)]),
    Case("AdditiveAttention", [(4, 3), (5, 3), (5, 3)], {"use_scale": False}, masked=True),
    Case("MultiHeadAttention", [(4, 5), (6, 3)], HEADS, separate=True),
    Case("MultiHeadAttention", [(5, 4), (5, 4)], HEADS, CAUSAL, separate=True),
    Case(
        "MultiHeadAttention", [(4, 5), (6, 3), (6, 2)],
        {**HEADS, "output_shape": 7, "use_bias": False}, separate=True,
    ),
    Case("MultiHeadAttention", [(5, 4), (5, 4)], HEADS, CAUSAL, masked=True, separate=True),
    Case("GroupQueryAttention", [(4, 5), (6, 5)], GROUPS, separate=True),
    Case(
        "GroupQueryAttention", [(5, 4), (5, 4)], {**GROUPS, "sliding_window": 2, "use_gate": True},
        CAUSAL, separate=True,
    ),
    Case("GroupQueryAttention", [(5, 4), (5, 4)], {**GROUPS, "use_bias": False}, masked=True,
         separate=True),
    Case("EinsumDense", [(4, 3)], {"equation": "abc,cd->abd", "output_shape": (4, 5),
                                   "bias_axes": "d", "activation": "tanh"}),
    Case("EinsumDense", [(4, 3)], {"equation": "abc,bcd->ad", "output_shape": 5}),
    Case("EinsumDense", [(2, 4, 3)], {"equation": "...bc,cbd->...db", "output_shape": (5, 4),
                                      "bias_axes": "d"}),
    Case("EinsumDense", [(4, 3)], {"equation": "ab...,bc->ac...", "output_shape": 5,
                                   "bias_axes": "c"}),
    Case("ActivityRegularization", [(5,)], {"l1": 0.02, "l2": 0.1}),
    Case("Flatten", [(4, 3, 2)], {"data_format": "channels_first"}),
    Case("AdaptiveAveragePooling1D", [(7, 3)], {"output_size": 3}),
    Case("AdaptiveAveragePooling2D", [(5, 8, 2)], {"output_size": (3, 4)}),
    Case("AdaptiveAveragePooling2D", [(3, 4, 5)], {"output_size": 2,
                                                   "data_format": "channels_first"}),
    Case("AdaptiveAveragePooling3D", [(4, 5, 3, 2)], {"output_size": (2, 3, 3)}),
    Case("AdaptiveMaxPooling1D", [(10, 3)], {"output_size": 4}),
    Case("AdaptiveMaxPooling2D", [(5, 8, 2)], {"output_size": (4, 3)}),
    Case("AdaptiveMaxPooling3D", [(4, 3, 5, 2)], {"output_size": 2}),
    Case("ConvLSTM1D", [(4, 6, 2)], {"filters": 3, "kernel_size": 3}),
    Case("ConvLSTM1D", [(3, 2, 7)], {"filters": 2, "kernel_size": 2, "strides": 2,
                                     "data_format": "channels_first"}),
    Case("ConvLSTM2D", [(3, 4, 5, 2)], {"filters": 3, "kernel_size": (2, 3), "padding": "same"}),
    Case("ConvLSTM2D", [(3, 5, 6, 1)], {"filters": 2, "kernel_size": 2, "dilation_rate": (1, 2),
                                        "return_sequences": True, "go_backwards": True,
                                        "recurrent_activation": "hard_sigmoid"}),
    Case("ConvLSTM2D", [(3, 4, 4, 2)], {"filters": 2, "kernel_size": 3, "use_bias": False,
                                        "activation": "relu", "unit_forget_bias": False}),
    Case("ConvLSTM3D", [(2, 3, 2, 3, 1)], {"filters": 2, "kernel_size": 2}),
    Case("Resizing", [(5, 7, 2)], {"height": 8, "width": 4}),
    Case("Resizing", [(5, 7, 2)], {"height": 3, "width": 9, "interpolation": "nearest"}),
    Case("Resizing", [(2, 9, 5)], {"height": 4, "width": 3, "antialias": True,
                                   "data_format": "channels_first"}),
    Case("Resizing", [(5, 8, 1)], {"height": 6, "width": 6, "interpolation": "bicubic",
                                   "crop_to_aspect_ratio": True}),
    Case("Resizing", [(5, 8, 1)], {"height": 6, "width": 4, "interpolation": "lanczos3",
                                   "pad_to_aspect_ratio": True, "fill_value": 0.5}),
    Case("Resizing", [(8, 9, 1)], {"height": 5, "width": 4, "interpolation": "lanczos5",
                                   "antialias": True}),
    Case("CenterCrop", [(6, 7, 2)], {"height": 3, "width": 4}),
    Case("CenterCrop", [(2, 4, 7)], {"height": 5, "width": 5, "data_format": "channels_first"}),
    # Ranges of one number: nothing random is left.
    Case("RandomRotation", [(5, 6, 2)], {"factor": (0.1, 0.1)}),
    Case("RandomRotation", [(5, 6, 2)], {"factor": (-0.3, -0.3), "fill_mode": "constant",
                                         "fill_value": 0.5, "interpolation": "nearest"}),
    Case("RandomTranslation", [(5, 6, 2)], {"height_factor": (0.33, 0.33),
                                            "width_factor": (-0.9, -0.9)}),
    Case("RandomTranslation", [(2, 5, 6)], {"height_factor": (-0.4, -0.4), "width_factor": (1, 1),
                                            "fill_mode": "wrap", "data_format": "channels_first"}),
    Case("RandomZoom", [(5, 6, 2)], {"height_factor": (0.7, 0.7), "fill_mode": "nearest"}),
    Case("RandomZoom", [(5, 6, 1)], {"height_factor": (-0.4, -0.4), "width_factor": (0.9, 0.9)}),
    Case("RandomContrast", [(5, 6, 2)], {"factor": (-0.4, 0.4), "value_range": (-1.0, 0.7)}),
    Case("RandomBrightness", [(5, 6, 2)], {"factor": (0.2, 0.2), "value_range": (-1.0, 0.7)}),
]  # fmt: skip


def random(case: Case, what: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = zlib.crc32(f"{case.name} {what}".encode())
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def record(lib: ModuleType, case: Case) -> Arrays:
    """Predictions, and the losses and weights of training: Dense or Masking, the layer, Dense."""
    layers = lib.layers
    inputs = [layers.Input(shape) for shape in case.shapes]
    before = [
        (layers.Masking(0.5) if case.masked else layers.Dense(shape[-1]))(x)
        for x, shape in zip(inputs, case.shapes, strict=True)
    ]
    made = getattr(layers, case.layer)(**case.arguments)
    if case.layer == "Normalization" and "mean" not in case.arguments:
        made.adapt(2 * random(case, "data", (9, *case.shapes[0])) + 1)
    if case.separate:
        result = made(*before, **case.call)
    else:
        result = made(before if len(before) > 1 else before[0], **case.call)
    y = layers.Dense(2)(result if case.masked else layers.Flatten()(result))
    model = lib.models.Model(inputs, y)
    weights = model.get_weights()
    fixed = case.layer == "Normalization" and "mean" not in case.arguments
    values = [
        0.5 * random(case, f"weight {at}", w.shape) / max(np.prod(w.shape[:-1]), 1) ** 0.5
        for at, w in enumerate(weights)
    ]
    kept = len(weights) - 5 if fixed else -1  # mean, variance and count stay
    values = [
        w if fixed and kept <= at < kept + 3 else np.abs(v) if v.ndim == 1 else v
        for at, (w, v) in enumerate(zip(weights, values, strict=True))
    ]
    model.set_weights(values)
    x = [random(case, f"x{at}", (ROWS, *shape)) for at, shape in enumerate(case.shapes)]
    if case.masked:
        for at, array in enumerate(x):
            array[random(case, f"mask{at}", array.shape[:2]) > 0.3] = 0.5
    part = lib.models.Model(inputs, result)
    results = {"output": part.predict(x if len(x) > 1 else x[0], verbose=0)}
    y = random(case, "y", (ROWS, *model.output_shape[1:]))
    model.compile(lib.optimizers.SGD(0.02), "mse")
    history = model.fit(
        x if len(x) > 1 else x[0], y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0
    )
    results["loss"] = np.array(history.history["loss"])
    results["after"] = model.predict(x if len(x) > 1 else x[0], verbose=0)
    return results | {f"weight/{at}": w for at, w in enumerate(model.get_weights())}
