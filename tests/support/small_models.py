"""Models of a few layers that weights are tried on."""

from typing import Any

from graphc import layers, models


def small() -> Any:
    return models.Sequential(
        [layers.Input((3,)), layers.Dense(4), layers.Dropout(0.5), layers.Dense(2, use_bias=False)]
    )


def branches() -> Any:
    x = layers.Input((3,))
    first = layers.Dense(2, name="first")(x)
    second = layers.Dense(5, name="second")(x)
    return models.Model(x, [layers.Dense(7, name="third")(second), first])


def nested() -> Any:
    inner = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    x, y = layers.Input((3,)), layers.Input((2,))
    other = models.Model(y, layers.Dense(6)(y))
    return models.Model(x, layers.Dense(1)(other(inner(x))))
