"""Objects by name, names of objects, and the error for unknown names."""

import pytest

from graphc import layers, utils
from graphc.errors import unknown_name
from graphc.saving import custom_object_scope
from graphc.utils import resolve, snake_case


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dense", "dense"),
        ("ReLU", "re_lu"),
        ("PReLU", "p_re_lu"),
        ("LSTM", "lstm"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("UpSampling2D", "up_sampling2d"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
        ("GRUCell", "gru_cell"),
    ],
)
def test_snake_case_is_that_of_keras(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_unknown_name_suggests_the_nearest() -> None:
    message = str(unknown_name("optimizer", "Adm", ["SGD", "Adam", "Nadam"]))
    expected = "Unknown optimizer 'Adm'. Did you mean 'Adam'? Known: Adam, Nadam, SGD."
    assert message == expected
    assert str(unknown_name("loss", 3, ["mse"])) == "Unknown loss 3. Known: mse."


class Named:
    def __init__(self, size: int = 1) -> None:
        self.size = size

    def get_config(self) -> dict[str, int]:
        return {"size": self.size}

    @classmethod
    def from_config(cls, config: dict[str, int]) -> "Named":
        return cls(**config)


def double(x: float) -> float:
    return 2 * x


def test_resolve_takes_what_keras_takes() -> None:
    known = {"named": Named, "Named": Named, "double": double}
    instance = Named(3)
    assert resolve("thing", None, known, "keras.things") is None
    assert resolve("thing", instance, known, "keras.things") is instance
    assert resolve("thing", "double", known, "keras.things") is double
    assert resolve("thing", double, {}, "keras.things") is double
    assert isinstance(resolve("thing", "named", known, "keras.things"), Named)
    assert isinstance(resolve("thing", Named, {}, "keras.things"), Named)
    config = {"class_name": "Named", "config": {"size": 5}}
    with custom_object_scope({"Named": Named}):
        assert resolve("thing", config, {}, "keras.things").size == 5
    with pytest.raises(ValueError, match=r"Unknown thing 'nmed'. Did you mean 'named'?"):
        resolve("thing", "nmed", known, "keras.things")
    for wrong in (3, {"size": 5}):
        with pytest.raises(ValueError, match="Could not interpret the thing"):
            resolve("thing", wrong, known, "keras.things")


def test_names_begin_again() -> None:
    utils.clear_session()
    assert [layers.Dense(1).name for _ in range(2)] == ["dense", "dense_1"]
    utils.clear_session(free_memory=False)
    assert layers.Dense(1).name == "dense"
