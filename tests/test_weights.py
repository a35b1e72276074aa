"""Weights: their order, setting, counting and showing."""

from typing import Any

import numpy as np
import pytest
from small_models import branches, nested, small

from graphc import layers, models, utils

Array = np.ndarray


def shapes(model: Any) -> list[tuple[int, ...]]:
    return [w.shape for w in model.get_weights()]


def test_order_is_by_depth() -> None:
    assert shapes(small()) == [(3, 4), (4,), (4, 2)]
    # Observed with Keras 3.15: layers further from the outputs come first.
    assert shapes(branches()) == [(3, 5), (5,), (5, 7), (7,), (3, 2), (2,)]
    assert shapes(nested()) == [(3, 4), (4,), (4, 2), (2,), (2, 6), (6,), (6, 1), (1,)]


class Scale(layers.Layer):
    """A layer with weights of both kinds and another layer inside."""

    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight((), "zeros", trainable=False, name="count")
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")
        self.inner = layers.Dense(input_shape[-1], use_bias=False)

    def call(self, inputs: Any) -> Any:
        return self.inner(inputs * self.factor) + self.count


def test_kinds_of_weights() -> None:
    layer = Scale()
    model = models.Sequential([layers.Input((3,)), layer])
    names = {
        kind: [w.name.rpartition("/")[2] for w in getattr(model, kind)]
        for kind in ("weights", "trainable_weights", "non_trainable_weights")
    }
    assert names == {
        "weights": ["factor", "count", "kernel"],
        "trainable_weights": ["factor", "kernel"],
        "non_trainable_weights": ["count"],
    }
    layer.trainable = False
    assert model.trainable_weights == [] and len(model.non_trainable_weights) == 3
    assert model.count_params() == layer.count_params() == 13


def test_set_weights_copies() -> None:
    model = small()
    weights = [np.full(s, at, np.float64) for at, s in enumerate(shapes(model))]
    model.set_weights(weights)
    weights[0][...] = 9
    for at, weight in enumerate(model.get_weights()):
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, at)
    model.get_weights()[0][...] = 7
    assert not (model.get_weights()[0] == 7).any()
    model.layers[0].set_weights([np.ones((3, 4)), [1, 2, 3, 4]])
    np.testing.assert_array_equal(model.get_weights()[1], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([np.ones((3, 4))], "expected 3 arrays, got 1"),
        (
            [np.ones((3, 4)), np.ones(4), np.ones((2, 4))],
            r"kernel' has shape \(4, 2\), got \(2, 4\)",
        ),
        (
            [np.ones((3, 4)), np.ones((4, 1)), np.ones((4, 2))],
            r"bias' has shape \(4,\), got \(4, 1\)",
        ),
    ],
)
def test_set_weights_errors_change_nothing(wrong: list[Array], message: str) -> None:
    model = small()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.set_weights(wrong)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_add_weight_errors() -> None:
    layer = layers.Layer()
    with pytest.raises(ValueError, match=r"weight 'w' cannot have shape \(None, 3\)"):
        layer.add_weight((None, 3), name="w")  # type: ignore[arg-type]
    assert layer.add_weight((2, 3), initializer=None).shape == (2, 3)


# Names.


@pytest.mark.parametrize(
    ("class_name", "wanted"),
    [("Dense", "dense"), ("ReLU", "re_lu"), ("UpSampling2D", "up_sampling2d"), ("Conv2D", "conv2d"),
     ("LSTM", "lstm"), ("InputLayer", "input_layer")],
)  # fmt: skip
def test_names_are_keras(class_name: str, wanted: str) -> None:
    assert utils.snake_case(class_name) == wanted
    kind = type(class_name, (layers.Layer,), {})
    assert kind().name.startswith(wanted)


def test_automatic_names_count() -> None:
    first, second = layers.Dense(1).name, layers.Dense(1).name
    number = int(first.partition("_")[2] or 0)
    assert second == f"dense_{number + 1}"


# Summary.


def summary_of(model: Any, **options: Any) -> str:
    lines: list[str] = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines)


def test_summary() -> None:
    model = models.Sequential(
        [layers.Input((3,)), layers.Dense(400, name="big"), layers.Dense(2, name="top")], name="net"
    )
    model.layers[0].trainable = False
    text = summary_of(model)
    rows = [line.split() for line in text.splitlines() if "(Dense)" in line]
    assert rows == [
        ["│", "big", "(Dense)", "│", "(None,", "400)", "│", "1,600", "│"],
        ["│", "top", "(Dense)", "│", "(None,", "2)", "│", "802", "│"],
    ]
    for part in (
        'Model: "net"', "Total params: 2,402 (9.38 KB)", "Trainable params: 802 (3.13 KB)",
        "Non-trainable params: 1,600 (6.25 KB)",
    ):  # fmt: skip
        assert part in text
    assert max(map(len, summary_of(model, line_length=50).splitlines())) <= 50


def test_summary_counts_the_optimizers_state_after_fit(capsys: Any) -> None:
    model = models.Sequential([layers.Input((3,)), layers.Dense(2)])
    model.compile("adam", "mse")
    model.fit(np.ones((4, 3)), np.ones((4, 2)), verbose=0)
    model.summary()
    text = capsys.readouterr().out
    assert "Total params: 26 (104.00 B)" in text
    assert "Trainable params: 8 (32.00 B)" in text
    assert "Optimizer params: 18 (72.00 B)" in text


def test_summary_before_shapes_are_known() -> None:
    text = summary_of(models.Sequential([layers.Dense(2, name="d")]))
    assert "d (Dense)" in text and "?" in text
    with pytest.raises(ValueError, match="has no layers"):
        models.Sequential().summary()
