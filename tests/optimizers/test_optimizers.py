"""Optimizers against Keras's formulas restated in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphc import compiled as compiling
from graphc import layers, losses, models, ops, optimizers

Array = np.ndarray
Step = Callable[[Array], Array]  # gradient -> what is added to the weights
STEPS = 7


def sgd(rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False) -> Step:
    state = np.zeros(())

    def step(g: Array) -> Array:
        nonlocal state
        if not momentum:
            return -rate * g
        state = momentum * state - rate * g
        return momentum * state - rate * g if nesterov else state

    return step


def rmsprop(
    rate: float = 0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
    centered: bool = False,
) -> Step:  # fmt: skip
    square, mean, velocity = np.zeros(()), np.zeros(()), np.zeros(())

    def step(g: Array) -> Array:
        nonlocal square, mean, velocity
        square = rho * square + (1 - rho) * g**2
        mean = rho * mean + (1 - rho) * g
        root = np.sqrt(square - (mean**2 if centered else 0) + epsilon)
        velocity = momentum * velocity + rate * g / root
        return -velocity

    return step


def adam(
    rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
    amsgrad: bool = False,
) -> Step:  # fmt: skip
    m, v, largest, t = np.zeros(()), np.zeros(()), np.zeros(()), 0

    def step(g: Array) -> Array:
        nonlocal m, v, largest, t
        t += 1
        m = m + (g - m) * (1 - beta_1)
        v = v + (g**2 - v) * (1 - beta_2)
        largest = np.maximum(largest, v)
        corrected = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return -corrected * m / (np.sqrt(largest if amsgrad else v) + epsilon)

    return step


CASES: dict[str, tuple[Any, Step]] = {
    "sgd": (optimizers.SGD(), sgd()),
    "sgd by name": ("sgd", sgd()),
    "sgd rate": (optimizers.SGD(0.5), sgd(0.5)),
    "sgd of ints": (optimizers.SGD(1, momentum=0), sgd(1)),
    "sgd momentum": (optimizers.SGD(0.1, momentum=0.9), sgd(0.1, 0.9)),
    "sgd nesterov": (optimizers.SGD(0.1, 0.8, nesterov=True), sgd(0.1, 0.8, True)),
    "sgd nesterov alone": (optimizers.SGD(0.1, nesterov=True), sgd(0.1)),
    "rmsprop": (optimizers.RMSprop(), rmsprop()),
    "rmsprop by class": (optimizers.RMSprop, rmsprop()),
    "rmsprop options": (
        optimizers.RMSprop(0.01, rho=0.7, epsilon=1e-3), rmsprop(0.01, 0.7, epsilon=1e-3)
    ),
    "rmsprop momentum": (optimizers.RMSprop(momentum=0.6), rmsprop(momentum=0.6)),
    "rmsprop centered": (optimizers.RMSprop(centered=True), rmsprop(centered=True)),
    "rmsprop both": (
        optimizers.RMSprop(momentum=0.6, centered=True), rmsprop(momentum=0.6, centered=True)
    ),
    "adam": (optimizers.Adam(), adam()),
    "adam by name": ("Adam", adam()),
    "adam options": (
        optimizers.Adam(0.01, beta_1=0.7, beta_2=0.95, epsilon=1e-2),
        adam(0.01, 0.7, 0.95, 1e-2),
    ),
    "adam amsgrad": (
        optimizers.Adam(0.01, beta_2=0.5, amsgrad=True), adam(0.01, beta_2=0.5, amsgrad=True)
    ),
}  # fmt: skip


def linear(y_true: Any, y_pred: Any) -> Any:
    """A loss whose gradient does not depend on the weights: that of W is x.T @ y / rows."""
    return ops.sum(y_true * y_pred, axis=-1)


def compiled(optimizer: Any) -> Any:
    model = models.Sequential([layers.Input((3,)), layers.Dense(2, use_bias=False)])
    model.compile(optimizer, linear)
    return model


def batches(count: int = STEPS) -> list[tuple[Array, Array]]:
    random = np.random.default_rng(4)
    draws = [random.normal(size=(2, 4, 3)) * 0.3 ** (at % 3) for at in range(count)]
    return [(np.float32(d[0]), np.float32(d[1, :, :2])) for d in draws]


@pytest.mark.parametrize("name", CASES)
def test_steps(name: str) -> None:
    given, step = CASES[name]
    model = compiled(given)
    start = model.get_weights()[0]
    moved = np.zeros_like(start, np.float64)
    for x, y in batches():
        model.train_on_batch(x, y)
        moved += step(x.astype(np.float64).T @ y / len(x))
        actual = model.get_weights()[0].astype(np.float64) - start
        scale = np.abs(moved).max()
        np.testing.assert_allclose(actual, moved, rtol=0, atol=2e-5 * scale + 5e-7)
    assert model.optimizer.iterations.value == STEPS


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the programs compiled."""
    names: list[str] = []
    original = compiling.compile_trace

    def counting(trace: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(trace.graph.name)
        return original(trace, *args, **kwargs)

    monkeypatch.setattr(compiling, "compile_trace", counting)
    return names


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_a_new_learning_rate_holds_from_the_next_step(
    optimizer: str, compilations: list[str]
) -> None:
    model = compiled(optimizer)
    (x, y), *_ = batches(1)

    def change() -> float:
        before = model.get_weights()[0]
        model.train_on_batch(x, y)
        return float(np.abs(model.get_weights()[0] - before).max())

    first = change()
    model.optimizer.learning_rate = 0.0
    assert model.optimizer.lr == 0.0
    assert change() == 0.0
    model.optimizer.lr = 1.0
    assert model.optimizer.learning_rate == 1.0
    assert change() > 10 * first
    assert compilations == ["train"]


def test_state_goes_on_from_fit_to_fit_and_over_a_new_compile() -> None:
    optimizer = optimizers.SGD(0.1, momentum=0.9)
    model = compiled(optimizer)
    (x, y), *_ = batches(1)
    gradient = x.astype(np.float64).T @ y / len(x)
    start = model.get_weights()[0]
    model.fit(x, y, epochs=2, verbose=0)
    model.compile(optimizer, linear)
    model.fit(x, y, verbose=0)
    step = sgd(0.1, 0.9)
    moved = sum(step(gradient) for _ in range(3))
    np.testing.assert_allclose(model.get_weights()[0] - start, moved, rtol=1e-4)
    assert optimizer.iterations.value == 3


def test_variables() -> None:
    wanted = {
        "sgd": [], "rmsprop": ["velocity"], "adam": ["momentum", "velocity"],
    }  # fmt: skip
    for name, slots in wanted.items():
        model = compiled(name)
        model.train_on_batch(*batches(1)[0])
        iteration, rate, *others = model.optimizer.variables
        assert (iteration.dtype, iteration.shape, rate.dtype) == ("int32", (), "float32")
        assert [v.name.rpartition("/")[2] for v in others] == slots
        assert all(v.shape == (3, 2) for v in others)


# Arguments.

CLASSES = [optimizers.SGD, optimizers.RMSprop, optimizers.Adam]


@pytest.mark.parametrize("cls", CLASSES)
def test_arguments(cls: Any) -> None:
    assert cls(lr=0.25).learning_rate == 0.25
    assert cls(0.25).lr == 0.25
    with pytest.raises(TypeError, match=f"{cls.__name__}: unknown argument 'momentun'"):
        cls(momentun=0.9)
    with pytest.warns(UserWarning, match="decay"):
        cls(decay=0.1)
    for wrong in ("fast", None, True, [0.1]):
        with pytest.raises(ValueError, match="learning_rate must be a number"):
            cls(wrong)


@pytest.mark.parametrize(
    ("cls", "name"),
    [
        (optimizers.SGD, "momentum"),
        (optimizers.RMSprop, "rho"),
        (optimizers.RMSprop, "momentum"),
        (optimizers.Adam, "beta_1"),
        (optimizers.Adam, "beta_2"),
    ],
)
def test_fractions(cls: Any, name: str) -> None:
    for wrong in (-0.1, 1.1, "a", float("nan")):
        with pytest.raises(ValueError, match=f"{cls.__name__}: {name} must be between 0 and 1"):
            cls(**{name: wrong})


@pytest.mark.parametrize("cls", CLASSES)
def test_config(cls: Any) -> None:
    optimizer = cls(0.5, name="mine")
    again = cls.from_config(optimizer.get_config())
    assert type(again) is cls
    assert again.get_config() == optimizer.get_config()
    assert optimizer.get_config()["learning_rate"] == 0.5


def test_get() -> None:
    adam = optimizers.Adam()
    assert optimizers.get(adam) is adam
    assert isinstance(optimizers.get("RMSPROP"), optimizers.RMSprop)
    with pytest.raises(ValueError, match=r"Unknown optimizer 'adm'\. Did you mean 'adam'"):
        optimizers.get("adm")
    with pytest.raises(ValueError, match="Unknown optimizer None"):
        optimizers.get(None)


def test_other_variables_than_it_was_built_for() -> None:
    optimizer = optimizers.RMSprop()
    (x, y), *_ = batches(1)
    compiled(optimizer).fit(x, y, verbose=0)
    model = compiled(optimizer)
    before = model.get_weights()[0]
    with pytest.raises(
        ValueError, match=r"kernel'\].*compile the model again with a new optimizer"
    ):
        model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before)


def test_freezing_a_layer_needs_no_new_optimizer() -> None:
    model = models.Sequential([layers.Input((3,)), layers.Dense(4), layers.Dense(2)])
    model.compile("adam", linear)
    (x, y), *_ = batches(1)
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(x, y, verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [True, True, False, False]


def test_an_optimizer_of_ones_own() -> None:
    class Signs(optimizers.Optimizer):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            self.assign(variable, variable - learning_rate * ops.sign(gradient))

    model = compiled(Signs(0.5))
    (x, y), *_ = batches(1)
    start = model.get_weights()[0]
    model.train_on_batch(x, y)
    wanted = start - 0.5 * np.sign(x.T @ y)
    np.testing.assert_allclose(model.get_weights()[0], wanted, rtol=1e-6)


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="only one of clipnorm and clipvalue"):
        optimizers.SGD(clipnorm=0.0, clipvalue=1.0)
    with pytest.raises(ValueError, match="accumulation_steps must be an int of at least 2"):
        optimizers.Adam(gradient_accumulation_steps=1)
    with pytest.raises(TypeError, match="positional"):
        optimizers.SGD(0.1, 0.9, True, 0.3)  # type: ignore[misc]
    with pytest.raises(ValueError, match=r"Unknown regularizer 'l3'"):
        layers.Dense(2, kernel_regularizer="l3")


def test_weights_are_left_out_of_decay_by_their_own_name() -> None:
    optimizer = optimizers.SGD(0.0, weight_decay=1.0)
    optimizer.exclude_from_weight_decay(var_names=["^kernel"])
    model = models.Sequential([layers.Input((2,)), layers.Dense(2, name="kernels")])
    model.set_weights([np.ones((2, 2)), np.ones(2)])
    optimizer.learning_rate = 0.5
    model.compile(optimizer, losses.MeanSquaredError(reduction="sum"))
    model.fit(np.zeros((1, 2)), np.ones((1, 2)), verbose=0)
    kernel, bias = model.get_weights()
    np.testing.assert_array_equal(kernel, np.ones((2, 2)))
    assert (bias < 1).all()


def test_a_schedule_is_no_variable_and_gives_numbers() -> None:
    class Halving(optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            return ops.divide(1.0, ops.add(ops.cast(step, "float32"), 1.0))

    optimizer = optimizers.SGD(Halving())
    assert len(optimizer.variables) == 1
    assert float(Halving()(3)) == 0.25 and float(optimizer.learning_rate) == 1.0


@pytest.mark.parametrize("shape", [(6, 4), (4, 6)])
def test_muon_steps_along_an_orthogonal_matrix(shape: tuple[int, int]) -> None:
    model = models.Sequential([layers.Input(shape[:1]), layers.Dense(shape[1], use_bias=False)])
    model.compile(optimizers.Muon(1.0, rms_rate=None, weight_decay=None), "mse")
    before = model.get_weights()[0]
    rows = np.random.default_rng(0).normal(size=(32, sum(shape))).astype(np.float32)
    model.fit(rows[:, : shape[0]], rows[:, shape[0] :], batch_size=32, verbose=0)
    values = np.linalg.svd(before - model.get_weights()[0])[1]
    assert (values > 0.6).all() and (values < 1.25).all()
