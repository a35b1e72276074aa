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
