"""Initializers: distributions, fans, seeds, names and configs."""

import json
import math
from typing import Any

import numpy as np
import pytest

from graphc import initializers
from graphc.random import set_random_seed

SHAPE = (400, 100)  # 40,000 values: standard errors below 1 % of the standard deviation
NAMED = {  # variance times fan, and which fan
    "GlorotUniform": (1.0, "fan_avg"),
    "GlorotNormal": (1.0, "fan_avg"),
    "HeUniform": (2.0, "fan_in"),
    "HeNormal": (2.0, "fan_in"),
    "LecunUniform": (1.0, "fan_in"),
    "LecunNormal": (1.0, "fan_in"),
}


def make(name: str, **arguments: Any) -> Any:
    return getattr(initializers, name)(**arguments)


def test_constants() -> None:
    assert initializers.Zeros()((2, 3)).tolist() == [[0.0] * 3] * 2
    assert initializers.Ones()((2,), "int32").tolist() == [1, 1]
    assert initializers.Constant(2.5)((2,)).tolist() == [2.5, 2.5]
    assert initializers.Constant([1.0, 2.0])((2, 2)).tolist() == [[1.0, 2.0]] * 2
    assert initializers.Identity(3.0)((2, 3)).tolist() == [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]]


@pytest.mark.parametrize("cls", initializers._CLASSES, ids=lambda cls: cls.__name__)
def test_dtype_and_shape(cls: type[initializers.Initializer]) -> None:
    for shape in ((4, 3), (3, 4), [5, 5]):
        values = cls()(shape)
        assert values.shape == tuple(shape)
        assert values.dtype == np.float32
    assert cls()((4, 3), "float64").dtype == np.float64
    assert cls()((4, 3), None).dtype == np.float32
    with pytest.raises(ValueError, match="`shape`: expected sizes"):
        cls()((None, 3))  # type: ignore[arg-type]


def test_random_normal() -> None:
    values = initializers.RandomNormal(mean=2.0, stddev=0.5, seed=1)(SHAPE)
    assert values.mean() == pytest.approx(2.0, abs=0.01)
    assert values.std() == pytest.approx(0.5, rel=0.02)
    assert np.abs(values - 2.0).max() > 3 * 0.5


def test_truncated_normal() -> None:
    values = initializers.TruncatedNormal(mean=2.0, stddev=0.5, seed=1)(SHAPE)
    assert values.mean() == pytest.approx(2.0, abs=0.01)
    assert values.std() == pytest.approx(0.5 * 0.8796, rel=0.02)
    distance = np.abs(values - 2.0)
    assert 0.98 < distance.max() <= 2 * 0.5
    # Redrawn, not clipped: 3.1 % lie beyond 1.7787 standard deviations, clipped it were 7.5 %.
    assert np.mean(distance > 1.7787 * 0.5) == pytest.approx(0.031, abs=0.004)


def test_random_uniform() -> None:
    values = initializers.RandomUniform(-1.0, 3.0, seed=1)(SHAPE)
    assert -1.0 <= values.min() < -0.99
    assert 2.99 < values.max() <= 3.0
    assert values.mean() == pytest.approx(1.0, abs=0.03)
    assert values.std() == pytest.approx(4 / math.sqrt(12), rel=0.02)


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("shape", [(400, 100), (3, 5, 20, 160)], ids=["dense", "convolution"])
def test_named_scalings_have_their_variance(name: str, shape: tuple[int, ...]) -> None:
    scale, mode = NAMED[name]
    fan_in, fan_out = {2: (400, 100), 4: (300, 2400)}[len(shape)]
    fan = fan_in if mode == "fan_in" else (fan_in + fan_out) / 2
    values = make(name, seed=1)(shape)
    stddev = math.sqrt(scale / fan)
    assert values.mean() == pytest.approx(0.0, abs=0.02 * stddev)
    assert values.std() == pytest.approx(stddev, rel=0.02)
    bound = math.sqrt(3.0) if "Uniform" in name else 2 / 0.87962566
    assert np.abs(values).max() / stddev == pytest.approx(bound, rel=0.01)


def test_variance_scaling_modes_and_distributions() -> None:
    for mode, fan in {"fan_in": 400, "fan_out": 100, "fan_avg": 250}.items():
        values = make("VarianceScaling", scale=3.0, mode=mode, seed=1)(SHAPE)
        assert values.std() == pytest.approx(math.sqrt(3.0 / fan), rel=0.02)
    untruncated = make("VarianceScaling", distribution="untruncated_normal", seed=1)(SHAPE)
    assert untruncated.std() == pytest.approx(1 / 20, rel=0.02)
    assert np.abs(untruncated).max() > 3 / 20
    assert make("VarianceScaling", distribution="normal").distribution == "truncated_normal"
    swapped = make("VarianceScaling", input_axes=[1], output_axes=[0], seed=1)(SHAPE)
    assert swapped.std() == pytest.approx(1 / 10, rel=0.02)


def test_variance_scaling_rejects() -> None:
    with pytest.raises(ValueError, match="`scale`: expected a positive number, received 0"):
        make("VarianceScaling", scale=0)
    with pytest.raises(ValueError, match=r"Unknown mode 'fanin'. Did you mean 'fan_in'"):
        make("VarianceScaling", mode="fanin")
    with pytest.raises(ValueError, match=r"Unknown distribution 'unifrom'. Did you mean 'uniform'"):
        make("VarianceScaling", distribution="unifrom")


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((5,), (5, 5)),
        ((5, 7), (5, 7)),
        ((3, 5, 7), (15, 21)),
        ((3, 4, 5, 7), (60, 84)),
    ],
)
def test_fans(shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    assert initializers.compute_fans(shape) == fans


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (5, 5), (2, 3, 4)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = make("Orthogonal", gain=2.0, seed=1)(shape, "float64").reshape(-1, shape[-1])
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, 4 * np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_signs_are_random() -> None:
    corners = [make("Orthogonal", seed=seed)((2, 2))[0, 0] for seed in range(200)]
    assert 70 < sum(corner > 0 for corner in corners) < 130


def test_shapes_of_matrices() -> None:
    with pytest.raises(ValueError, match=r"expected two dimensions or more, received \(3,\)"):
        initializers.Orthogonal()((3,))
    with pytest.raises(ValueError, match="expected a two-dimensional shape"):
        initializers.Identity()((3, 3, 3))


def test_an_instance_repeats_itself() -> None:
    seeded, unseeded = initializers.GlorotUniform(seed=3), initializers.GlorotUniform()
    for initializer in (seeded, unseeded):
        np.testing.assert_array_equal(initializer((4, 4)), initializer((4, 4)))
    np.testing.assert_array_equal(seeded((4, 4)), initializers.GlorotUniform(seed=3)((4, 4)))
    assert not np.array_equal(seeded((4, 4)), initializers.GlorotUniform(seed=4)((4, 4)))


def test_unseeded_instances_follow_the_process_seed() -> None:
    def two() -> list[np.ndarray]:
        return [initializers.get("glorot_uniform")((3, 3)) for _ in range(2)]

    set_random_seed(1)
    first = two()
    set_random_seed(1)
    np.testing.assert_array_equal(first, two())
    assert not np.array_equal(first[0], first[1])


def test_seeds() -> None:
    assert initializers.RandomNormal(seed=-5)((2,)).shape == (2,)  # Keras takes these too
    with pytest.raises(ValueError, match="`seed`: expected an int or None, received '1'"):
        initializers.RandomNormal(seed="1")  # type: ignore[arg-type]


@pytest.mark.parametrize("cls", initializers._CLASSES, ids=lambda cls: cls.__name__)
def test_every_class_is_found_by_its_names(cls: type[initializers.Initializer]) -> None:
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in cls.__name__).lstrip("_")
    assert getattr(initializers, snake) is cls
    for identifier in (snake, cls.__name__, cls, cls()):
        assert type(initializers.get(identifier)) is cls


@pytest.mark.parametrize("cls", initializers._CLASSES, ids=lambda cls: cls.__name__)
def test_configs_survive_json(cls: type[initializers.Initializer]) -> None:
    arguments: dict[str, Any] = (
        {"seed": 3} if issubclass(cls, initializers.RandomInitializer) else {}
    )
    initializer = cls(**arguments)
    config = json.loads(json.dumps(initializers.serialize(initializer)))
    assert config["module"] == "keras.initializers"
    assert config["class_name"] == cls.__name__
    for again in (initializers.get(config), initializers.deserialize(config), initializer.clone()):
        assert type(again) is cls
        assert again.get_config() == initializer.get_config()
        np.testing.assert_array_equal(again((4, 4)), initializer((4, 4)))


def test_configs_hold_what_was_given() -> None:
    assert initializers.GlorotUniform().get_config() == {
        "seed": None, "input_axes": None, "output_axes": None,
    }  # fmt: skip
    scaling = make("VarianceScaling", scale=2.0, mode="fan_out", distribution="Uniform", seed=4)
    assert scaling.get_config() == {
        "seed": 4, "scale": 2.0, "mode": "fan_out", "distribution": "uniform",
        "input_axes": None, "output_axes": None,
    }  # fmt: skip
    assert initializers.Constant(np.float32(0.5)).get_config() == {"value": 0.5}


def test_aliases() -> None:
    for alias, cls in {
        "zero": initializers.Zeros, "one": initializers.Ones,
        "normal": initializers.RandomNormal, "uniform": initializers.RandomUniform,
    }.items():  # fmt: skip
        assert type(initializers.get(alias)) is cls


def test_get_other_things() -> None:
    def sevens(shape: tuple[int, ...], dtype: object = None) -> np.ndarray:
        return np.full(shape, 7.0)

    assert initializers.get(None) is None
    assert initializers.get(sevens) is sevens
    given = np.array([1.0, 2.0])
    values = initializers.get(given)((2,), "float32")
    assert values.tolist() == [1.0, 2.0]
    assert values.dtype == np.float32
    with pytest.raises(ValueError, match=r"expected shape \(3,\), received \(2,\)"):
        initializers.get(given)((3,))
    with pytest.raises(
        ValueError, match=r"Unknown initializer 'glorot_unifrm'. Did you mean 'glor"
    ):
        initializers.get("glorot_unifrm")
    with pytest.raises(ValueError, match="Could not interpret the initializer 3"):
        initializers.get(3)


def test_custom_objects() -> None:
    class Sevens(initializers.Initializer):
        def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
            return np.full(shape, 7.0)

    config = initializers.serialize(Sevens())
    assert config is not None
    assert config["registered_name"] == "Sevens"
    assert type(initializers.deserialize(config, {"Sevens": Sevens})) is Sevens
    with pytest.raises(ValueError, match="not there: class Sevens; classes"):
        initializers.deserialize(config)


def test_constant_reads_keras_configuration_of_an_array() -> None:
    array = {"value": [[1.0, 0.0], [0.0, 1.0]], "dtype": "float32"}
    config = {"value": {"class_name": "__numpy__", "config": array}}
    read = initializers.Constant.from_config(config)
    np.testing.assert_array_equal(read((2, 2)), np.eye(2))
    with pytest.raises(ValueError, match="must hold numbers, got dtype"):
        initializers.Constant.from_config(
            {"value": {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "U9"}}}
        )
