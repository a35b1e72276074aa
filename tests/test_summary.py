"""Options of summary: nested models, what is trained, a range of layers, connections."""

from __future__ import annotations

from typing import Any

import pytest

from graphc import layers, models


def rows(model: Any, **options: Any) -> list[list[str]]:
    """The cells of each row but the first."""
    texts: list[str] = []
    model.summary(print_fn=texts.append, line_length=110, **options)
    lines = [line for line in texts[0].splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


@pytest.fixture(scope="module")
def chain() -> models.Sequential:
    inner = models.Sequential([layers.Input((3,)), layers.Dense(2, name="deep")], name="inner")
    model = models.Sequential(
        [layers.Input((3,)), inner, layers.Dropout(0.5, name="drop"), layers.Dense(1, name="last")],
        name="chain",
    )
    model.get_layer("last").trainable = False
    return model


def test_nested_models_are_shown_on_request(chain: models.Sequential) -> None:
    assert [row[0] for row in rows(chain)] == [
        "inner (Sequential)", "drop (Dropout)", "last (Dense)"
    ]  # fmt: skip
    assert ["└ deep (Dense)", "(None, 2)", "8"] in rows(chain, expand_nested=True)


def test_what_is_trained_is_shown_on_request(chain: models.Sequential) -> None:
    assert [row[-1] for row in rows(chain, show_trainable=True)] == ["Y", "-", "N"]


def test_a_range_of_layers(chain: models.Sequential) -> None:
    assert [row[0] for row in rows(chain, layer_range=("drop", "last"))] == [
        "drop (Dropout)", "last (Dense)"
    ]  # fmt: skip
    assert [row[0] for row in rows(chain, layer_range=("d.*", "d.*"))] == ["drop (Dropout)"]


def test_memory_is_shown_on_request(chain: models.Sequential) -> None:
    """Bytes of the weights, and of what a layer returns for a row."""
    assert [row[-2:] for row in rows(chain, show_memory=True, expand_nested=True)] == [
        ["32.00 B", "8.00 B"], ["32.00 B", "8.00 B"], ["0.00 B", "8.00 B"], ["12.00 B", "4.00 B"]
    ]  # fmt: skip


class Twice(models.Model):
    """A layer that is called on its own result."""

    def __init__(self) -> None:
        super().__init__()
        self.square = layers.Dense(10, name="square")

    def call(self, inputs: Any) -> Any:
        return self.square(self.square(inputs))


def twice() -> models.Model:
    model = Twice()
    model.build((None, 10))
    return model


def recurrent() -> models.Sequential:
    """A product with the input for all steps, and one with the state in each of them."""
    return models.Sequential([layers.Input((5, 3)), layers.SimpleRNN(2, name="rnn")])


def stateful() -> models.Sequential:
    rnn = layers.SimpleRNN(2, stateful=True)
    return models.Sequential([layers.Input(batch_shape=(4, 5, 3)), rnn])


def convolution() -> models.Sequential:
    return models.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(1000, 3)])


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (twice, ["400"]),
        (recurrent, ["100"]),
        (stateful, ["100"]),
        (convolution, ["1.94 M"]),
    ],
)
def test_operations_are_shown_on_request(make: Any, wanted: list[str]) -> None:
    model = make()
    assert [row[-1] for row in rows(model, show_flops=True)] == wanted
    texts: list[str] = []
    model.summary(show_flops=True, print_fn=texts.append)
    assert texts[0].splitlines()[-1] == f" FLOP / row: {wanted[0]}"


def test_operations_of_nested_models(chain: models.Sequential) -> None:
    found = rows(chain, show_flops=True, expand_nested=True)
    assert [row[-1] for row in found] == ["12", "12", "0", "4"]


def test_operations_need_a_model_with_shapes() -> None:
    with pytest.raises(ValueError, match="needs an input_shape or data first"):
        rows(models.Sequential([layers.Dense(3)]), show_flops=True)


def test_branches_are_shown_with_what_they_read() -> None:
    inputs = layers.Input((3,), name="in")
    hidden = layers.Dense(3, name="hidden")(inputs)
    model = models.Model(inputs, layers.Add(name="sum")([inputs, hidden]))
    assert [row[-1] for row in rows(model)] == ["-", "in", "in, hidden"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_range": ("drp", "last")}, "Unknown layer 'drp'. Did you mean 'drop'"),
        ({"layer_range": ("drop",)}, "layer_range: expected two names"),
        ({"positions": [0.5, 1.0]}, "positions: expected 3, one for each column, got 2"),
        ({"positions": [0.5, 0.501, 1.0]}, "leave a column no room"),
    ],
)
def test_errors_name_the_argument(
    chain: models.Sequential, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as error:
        chain.summary(**options)
    assert message in str(error.value)


def test_positions_are_ends_of_columns(chain: models.Sequential) -> None:
    texts: list[str] = []
    chain.summary(60, [0.5, 0.75, 1.0], texts.append)
    top = texts[0].splitlines()[1]
    assert [at for at, mark in enumerate(top) if mark == "┳"] == [30, 45]
