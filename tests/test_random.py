"""Seeds, the helpers of `graphc.utils`, and the error for unknown names."""

import random as python_random
import runpy

import numpy as np
import pytest

import graphc.random
from graphc.errors import unknown_name
from graphc.random import draw_truncated_normal, draw_uniform, next_seed, set_random_seed
from graphc.utils import normalize, resolve, serialized, snake_case, to_categorical


def test_the_sequence_is_a_function_of_the_seed() -> None:
    set_random_seed(7)
    first = [next_seed() for _ in range(5)]
    set_random_seed(7)
    python_random.random()  # other generators do not shift it
    np.random.rand()
    assert [next_seed() for _ in range(5)] == first
    assert len(set(first)) == 5
    assert all(0 <= seed < 2**31 for seed in first)
    set_random_seed(8)
    assert next_seed() != first[0]


def test_python_and_numpy_are_seeded_too() -> None:
    set_random_seed(7)
    first = python_random.random(), np.random.rand()
    set_random_seed(7)
    assert (python_random.random(), np.random.rand()) == first


def test_unseeded_processes_differ() -> None:
    assert graphc.random.__file__ is not None
    first, second = (runpy.run_path(graphc.random.__file__)["next_seed"]() for _ in range(2))
    assert first != second


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, None, "1"])
def test_bad_seeds_are_rejected(seed: object) -> None:
    with pytest.raises(ValueError, match="`seed`: expected an int"):
        set_random_seed(seed)  # type: ignore[arg-type]


def test_draws_have_the_dtype_asked_for() -> None:
    for dtype in ("float16", "float32", "float64"):
        assert draw_uniform(1, (3,), dtype, 2.0, 3.0).dtype == dtype
        assert draw_truncated_normal(1, (), dtype, 0.0, 1.0).shape == ()
    with pytest.raises(ValueError, match="`dtype`: expected a floating-point dtype"):
        draw_uniform(1, (3,), "int32", 0.0, 1.0)


def test_to_categorical() -> None:
    expected = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    np.testing.assert_array_equal(to_categorical([1, 2]), expected)
    np.testing.assert_array_equal(to_categorical([[1], [2]]), expected)
    np.testing.assert_array_equal(to_categorical([1.0, 2.9]), expected)  # Keras truncates as well
    assert to_categorical([[0, 1], [1, 0]], 4).shape == (2, 2, 4)
    assert to_categorical(1).tolist() == [0.0, 1.0]
    assert to_categorical([], 3).shape == (0, 3)


def test_to_categorical_names_the_wrong_class() -> None:
    with pytest.raises(ValueError, match="from 0 to 2, received 3"):
        to_categorical([0, 3], 3)
    with pytest.raises(ValueError, match="received -1"):
        to_categorical([0, -1])
    with pytest.raises(ValueError, match="`num_classes` is needed"):
        to_categorical([])


def test_normalize() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(normalize(x), [[0.6, 0.8], [0.0, 0.0]])
    np.testing.assert_allclose(normalize(x, order=1), [[3 / 7, 4 / 7], [0.0, 0.0]])
    # Keras 3.15 takes axis 0 for -1.
    np.testing.assert_allclose(normalize([[3, 1], [4, 0]], axis=0), [[0.6, 1.0], [0.8, 0.0]])


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
    assert resolve("thing", None, known) is None
    assert resolve("thing", instance, known) is instance
    assert resolve("thing", "double", known) is double
    assert resolve("thing", double, {}) is double
    assert isinstance(resolve("thing", "named", known), Named)
    assert isinstance(resolve("thing", Named, {}), Named)
    assert resolve("thing", {"class_name": "Named", "config": {"size": 5}}, known).size == 5
    with pytest.raises(ValueError, match=r"Unknown thing 'nmed'. Did you mean 'named'?"):
        resolve("thing", "nmed", known)
    for wrong in (3, {"size": 5}):
        with pytest.raises(ValueError, match="Could not interpret the thing"):
            resolve("thing", wrong, known)


def test_what_is_serialized_resolves_again() -> None:
    known = {"Named": Named, "double": double}
    assert serialized(None) is None
    assert resolve("thing", serialized(Named(4)), known).size == 4
    assert resolve("thing", serialized(double), known) is double
