"""Bad input is refused before anything runs, in words that name it."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest

from graphc import callbacks, compiler, config, initializers, layers, losses, models
from graphc.codegen import target

Array = np.ndarray
RANDOM = np.random.default_rng(10)
X = RANDOM.normal(size=(8, 3)).astype(np.float32)
Y = RANDOM.random((8, 2)).astype(np.float32)
LABELS = np.arange(8) % 2


@cache
def model_with(loss: str) -> Any:
    model = models.Sequential(
        [layers.Input((3,), name="pixels"), layers.Dense(2, "softmax", name="top")], name="net"
    )
    model.compile("sgd", loss)
    return model


@cache
def two_inputs() -> Any:
    a, b = layers.Input((3,), name="left"), layers.Input((2,), name="right")
    model = models.Model([a, b], layers.Dense(2)(a) + layers.Dense(2)(b), name="pair")
    model.compile("sgd", "mse")
    return model


SPARSE = "sparse_categorical_crossentropy"
RAGGED = [[1, 2, 3], [1, 2]]
OBJECTS = np.array([[1, "a", None]] * 8, object)
# What is wrong: the loss (or model), arguments of fit, and a pattern of the message.
FIT: dict[str, tuple[Any, dict[str, Any], str]] = {
    # x
    "features": (
        "mse", {"x": X[:, :2]}, r"x: input 'pixels' expects shape \(None, 3\), got \(8, 2\)"
    ),
    "rank": (
        "mse", {"x": X[:, None]}, r"x: .*\(None, 3\), got \(8, 1, 3\); reshape it with x\.reshape"
    ),
    "one sample": (
        "mse", {"x": X[0], "y": Y[:3]}, r"got \(3,\); for a single sample pass x\[None\]"
    ),
    "objects": ("mse", {"x": OBJECTS}, "x: expected an array of numbers, got dtype object"),
    "strings": ("mse", {"x": [["a"] * 3] * 8}, "x: expected an array of numbers, got dtype <U1"),
    "complex": ("mse", {"x": X + 1j}, "x: expected an array of numbers, got dtype complex"),
    "ragged": ("mse", {"x": RAGGED, "y": Y[:2]}, "x: the rows do not have one shape"),
    "empty": ("mse", {"x": X[:0], "y": Y[:0]}, r"x: the data is empty: shape \(0, 3\)"),
    "generator": ("mse", {"x": iter([X])}, "fit: x gives batches, which bring y"),
    "scalar": ("mse", {"x": 3.0}, "x: expected an array with one row a sample, got a scalar"),
    "nothing": ("mse", {"x": None}, "x: expected an array of numbers, got None"),
    "one input of two": ("pair", {}, r"model 'pair' has 2 inputs \(left, right\), got one array"),
    "three inputs": ("pair", {"x": [X, Y, Y]}, r"has 2 inputs \(left, right\), got 3"),
    "input shapes": (
        "pair", {"x": [X, X]}, r"input 'right' expects shape \(None, 2\), got \(8, 3\)"
    ),
    "input lengths": (
        "pair", {"x": [X, Y[:4]]}, r"same number of rows, got {'left': 8, 'right': 4}"
    ),
    "input names": ("pair", {"x": {"left": X}}, r"has inputs \['left', 'right'\], got \['left'\]"),
    # y
    "lengths": ("mse", {"y": Y[:7]}, "x and y must have the same number of rows, got 8 and 7"),
    "no y": ("mse", {"y": None}, "y: targets are needed to compute the loss, got None"),
    "strings as y": ("mse", {"y": ["a"] * 8}, "y: expected an array of numbers, got dtype <U1"),
    "one column": ("mse", {"y": Y[:, :1]}, r"y of shape \(None, 1\).*output of shape \(None, 2\)"),
    "three columns": (
        "mae", {"y": X}, r"y of shape \(None, 3\).*\(None, 2\).*'mean_absolute_error'"
    ),
    "index": ("mse", {"y": LABELS}, r"y of shape \(None,\) and the model's output of shape"),
    "rank of y": ("mse", {"y": np.ones((8, 2, 2))}, r"y of shape \(None, 2, 2\) and the model's"),
    "index for one-hot": (
        "categorical_crossentropy", {"y": LABELS}, f"for integer labels use '{SPARSE}'"
    ),
    "one-hot for index": (SPARSE, {"y": Y.round()}, "for one-hot labels use 'categorical_cross"),
    "label too high": (SPARSE, {"y": LABELS + 1}, r"y: labels must be in \[0, 2\).*got 2 at row 1"),
    "label negative": (
        SPARSE, {"y": LABELS - 1}, r"y: labels must be in \[0, 2\).*got -1 at row 0"
    ),
    "label between": (SPARSE, {"y": LABELS + 0.5}, "y: .* needs integer labels, got fractions"),
    "label NaN": (SPARSE, {"y": LABELS * np.nan}, "y: .* needs integer labels"),
    # weights
    "weights": (
        "mse", {"sample_weight": np.ones(7)}, "x and sample_weight must have .* rows, got 8 and 7"
    ),
    "weight rank": ("mse", {"sample_weight": Y}, r"sample_weight of shape \(None, 2\)"),
    "weight names": (
        "mse", {"sample_weight": ["a"] * 8}, "sample_weight: expected an array of numbers"
    ),
    "class keys": (
        SPARSE, {"class_weight": {"a": 1}}, "class_weight must map class numbers .* got 'a': 1"
    ),
    "class values": (SPARSE, {"class_weight": {0: "a"}}, "class_weight must map .* got 0: 'a'"),
    "class list": (SPARSE, {"class_weight": [1, 2]}, "class_weight must be a dict .* got list"),
    "class of steps": (
        "mse", {"class_weight": {0: 1.0}, "y": np.ones((8, 2, 2))},
        r"class_weight needs one label a sample, got y of shape \(8, 2, 2\)",
    ),
    "both weights": (
        SPARSE, {"class_weight": {0: 1.0}, "sample_weight": np.ones(8)},
        "class_weight and sample_weight cannot both be given",
    ),
    # validation
    "validation shapes": (
        "mse", {"validation_data": (X[:, :2], Y)}, r"validation_data: x: input 'pixels' expects"
    ),
    "validation lengths": ("mse", {"validation_data": (X, Y[:3])}, "validation_data: x and y must"),
    "validation labels": (
        SPARSE, {"validation_data": (X, LABELS + 1)}, "validation_data: y: labels"
    ),
    "validation columns": ("mse", {"validation_data": (X, X)}, r"y of shape \(None, 3\)"),
    "validation of four": ("mse", {"validation_data": (X, Y, Y, Y)}, r"expected \(x, y\) or"),
    "validation array": ("mse", {"validation_data": X}, r"validation_data: .* got ndarray"),
    "split over 1": (
        "mse", {"validation_split": 1.5}, "validation_split must be between 0 and 1, got 1.5"
    ),
    "split under 0": ("mse", {"validation_split": -0.5}, "between 0 and 1, got -0.5"),
    "split of all": ("mse", {"validation_split": 0.999}, "of 8 rows leaves no rows for training"),
    "split of a name": ("mse", {"validation_split": "a"}, "validation_split must be"),
    "validation batch": (
        "mse", {"validation_data": (X, Y), "validation_batch_size": 0}, "validation_batch_size must"
    ),
    "validation frequency": (
        "mse", {"validation_data": (X, Y), "validation_freq": 0}, "validation_freq must be an int"
    ),
    # the run
    "batch of 0": ("mse", {"batch_size": 0}, "batch_size must be an int of at least 1, got 0"),
    "batch of 2.5": (
        "mse", {"batch_size": 2.5}, "batch_size must be an int of at least 1, got 2.5"
    ),
    "no epochs": ("mse", {"epochs": 0}, "epochs must be an int of at least 1, got 0"),
    "half an epoch": ("mse", {"epochs": 1.5}, "epochs must be an int"),
    "epoch before the first": (
        "mse", {"initial_epoch": -1}, "initial_epoch must be an int of at least 0"
    ),
    "loud": ("mse", {"verbose": "loud"}, "verbose must be 0, 1, 2 or 'auto', got 'loud'"),
    "callback classes": (
        "mse", {"callbacks": [callbacks.History]}, "make an instance of the class"
    ),
    "callback functions": (
        "mse", {"callbacks": [print]}, "expected instances of Callback, received"
    ),
    "misspelt": ("mse", {"batchsize": 3}, "'batchsize'"),
}  # fmt: skip
TYPE_ERRORS = {
    "objects", "strings", "complex", "strings as y", "weight names",
    "callback classes", "callback functions", "misspelt",
}  # fmt: skip


@pytest.mark.parametrize("name", FIT)
def test_fit(name: str) -> None:
    loss, wrong, message = FIT[name]
    model = two_inputs() if loss == "pair" else model_with(loss)
    before = model.get_weights()
    arguments = {"x": X, "y": LABELS if loss == SPARSE else Y, "verbose": 0, **wrong}
    began = []
    watch = callbacks.LambdaCallback(on_epoch_begin=lambda *_: began.append(True))
    arguments.setdefault("callbacks", [watch])
    with pytest.raises(TypeError if name in TYPE_ERRORS else ValueError, match=message):
        model.fit(**arguments)
    assert not began
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_models_of_these_tests_do_train() -> None:
    for loss in {loss for loss, *_ in FIT.values()} - {"pair"}:
        model_with(loss).fit(X, LABELS if loss == SPARSE else Y, verbose=0)
    two_inputs().fit([X, Y], Y, verbose=0)


@pytest.mark.parametrize(
    "method", ["evaluate", "train_on_batch", "test_on_batch", "find_nonfinite"]
)
def test_other_methods_check_too(method: str) -> None:
    call = getattr(model_with("mse"), method)
    for x, y, message in (
        (X[:, :2], Y, "'pixels' expects shape"),
        (X, X, "y of shape"),
        (X, None, "targets are"),
    ):
        with pytest.raises(ValueError, match=message):
            call(x, y)


def test_predict() -> None:
    predict: Callable[..., Any] = model_with("mse").predict
    with pytest.raises(ValueError, match=r"expects shape \(None, 3\), got \(8, 2\)"):
        predict(Y)
    with pytest.raises(ValueError, match="batch_size must be an int of at least 1, got 0"):
        predict(X, batch_size=0)
    with pytest.raises(ValueError, match=r"has inputs \['pixels'\], got \['a'\]"):
        predict({"a": X})
    with pytest.raises(TypeError, match="expected an array of numbers, got a str"):
        models.Sequential([layers.Dense(2)]).predict("a")


# Compiling.


def dense() -> Any:
    return models.Sequential([layers.Input((3,)), layers.Dense(2)], name="net")


COMPILE: dict[str, tuple[dict[str, Any], str]] = {
    "optimizer": ({"optimizer": "adm"}, "Unknown optimizer 'adm'. Did you mean 'adam'"),
    "no optimizer": ({"optimizer": None}, "Unknown optimizer None"),
    "loss": ({"loss": "msee"}, "Unknown loss 'msee'. Did you mean 'mse'"),
    "losses": ({"loss": ["mse", "mse"]}, r"the model has 1 outputs \(.*\), loss has 2 entries"),
    "unreduced": (
        {"loss": losses.MeanSquaredError(reduction=None)}, "'mean_squared_error' must be reduced"
    ),
    "loss weights": ({"loss_weights": [1.0, 2.0]}, "loss_weights has 2 entries"),
    "metric": ({"metrics": ["acuracy"]}, "Unknown metric 'acuracy'. Did you mean 'accuracy'"),
    "misspelt": ({"metric": ["mae"]}, "compile: unknown argument 'metric'"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPILE)
def test_compile(name: str) -> None:
    wrong, message = COMPILE[name]
    with pytest.raises(TypeError if name == "misspelt" else ValueError, match=message):
        dense().compile(**{"optimizer": "sgd", "loss": "mse", **wrong})


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_before_compile(method: str) -> None:
    with pytest.raises(ValueError, match=f"{method}: the model 'net' must be compiled first"):
        getattr(dense(), method)(X, Y)
    model = dense()
    model.compile("sgd")
    with pytest.raises(ValueError, match=f"{method}: compile the model with a loss"):
        getattr(model, method)(X, Y)


def test_models_that_cannot_train() -> None:
    empty = models.Sequential(name="empty")
    empty.compile("sgd", "mse")
    with pytest.raises(ValueError, match="model 'empty' has no layers"):
        empty.fit(X, Y)


def two_outputs(**task: Any) -> models.Model:
    x = layers.Input((3,))
    model = models.Model(x, [layers.Dense(1, name="one")(x), layers.Dense(2, name="two")(x)])
    model.compile("sgd", **task)
    return model


SEVERAL: dict[str, tuple[dict[str, Any], str]] = {
    "losses": ({"loss": ["mse"]}, r"2 outputs \(one, two\), loss has 1 entries"),
    "missing": ({"loss": {"one": "mse"}}, "entry for each output, one, two; two missing"),
    "surplus": ({"loss": {"one": "mse", "two": "mse", "tow": "mse"}}, "one, two; tow unknown"),
    "weights": ({"loss": "mse", "loss_weights": {"three": 1.0}}, "loss_weights .* three unknown"),
    "one weight": ({"loss": "mse", "loss_weights": 0.5}, "must be a list or dict for outputs one"),
    "metrics": ({"loss": "mse", "metrics": ["mae"]}, "2 outputs .*, metrics has 1 entries"),
    "metric": ({"loss": "mse", "metrics": {"three": "mae"}}, "metrics .* three unknown"),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_compile_names_the_outputs(name: str) -> None:
    task, message = SEVERAL[name]
    with pytest.raises(ValueError, match=message):
        two_outputs(**task)


TARGETS: dict[str, tuple[dict[str, Any], str]] = {
    "one": ({"y": Y}, r"y: the model has 2 outputs \(one, two\), got one array"),
    "three": ({"y": [Y, Y, Y]}, r"y: the model has 2 outputs \(one, two\), got 3"),
    "missing": ({"y": {"one": Y}}, "y: the model has outputs one, two, got one"),
    "none": ({"y": [Y, None]}, "y for output 'two': targets are needed"),
    "rows": ({"y": [Y, Y[1:]]}, "x and y for output 'two' must have the same number of rows"),
    "weights": (
        {"y": [Y[:, :1], Y], "sample_weight": {"three": Y}}, "sample_weight: .* one, two, got three"
    ),
    "classes": ({"y": [Y[:, :1], Y], "class_weight": {0: 1.0}}, "only for models with one output"),
}  # fmt: skip


def test_a_dict_for_one_output_has_its_name() -> None:
    inputs = layers.Input(X.shape[1:])
    model = models.Model(inputs, layers.Dense(2, name="out")(inputs))
    for argument in ("loss", "metrics", "loss_weights"):
        given = {"loss": "mse", argument: {"other": "mse"}}
        with pytest.raises(
            ValueError, match=f"{argument} must have .* output, out; .*other unknown"
        ):
            model.compile("sgd", **given)
    model.compile("sgd", {"out": "mse"}, metrics={"out": ["mae"]})
    model.fit(X, {"out": np.zeros((len(X), 2))}, verbose=0)
    with pytest.raises(ValueError, match="y: the model has outputs out, got other"):
        model.fit(X, {"other": np.zeros((len(X), 2))}, verbose=0)


@pytest.mark.parametrize("name", TARGETS)
def test_targets_of_several_outputs(name: str) -> None:
    arguments, message = TARGETS[name]
    with pytest.raises(ValueError, match=message):
        two_outputs(loss="mse").fit(X, **arguments)


def test_metrics_that_do_not_fit_are_named() -> None:
    model = dense()
    model.compile("sgd", SPARSE, metrics=["mae"])
    with pytest.raises(ValueError, match=r"y of shape \(None,\).* do not fit metric 'mae'"):
        model.fit(X, LABELS)


# Layers and settings.

LAYERS: dict[str, tuple[Callable[[], Any], str]] = {
    **{
        f"units {wrong!r}": (partial(layers.Dense, wrong), "units must be an int of at least 1")
        for wrong in (-1, 0, 2.5, "2", None, True)
    },
    "activation": (
        lambda: layers.Dense(2, "rellu"), "Unknown activation 'rellu'. Did you mean 'relu'"
    ),
    "initializer": (
        lambda: layers.Dense(2, kernel_initializer="he_norml"), "Did you mean 'he_normal'"
    ),
    "bias": (lambda: layers.Dense(2, bias_initializer="zeroes"), "Did you mean 'zeros'"),
    "get": (lambda: initializers.get("on"), "Did you mean 'one'"),
    "dtype": (
        lambda: layers.Dense(2, dtype="float16"), "Dense: dtype must be 'float32', got 'float16'"
    ),
    "shape of an int": (lambda: layers.Input(3), r"shape must be a tuple such as \(784,\), got 3"),
    "shape of -3": (lambda: layers.Input((-3,)), r"ints of at least 1 or None, got \(-3,\)"),
    "no shape": (layers.Input, "shape must be a tuple"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    make, message = LAYERS[name]
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_arguments_of_layers() -> None:
    with pytest.raises(TypeError, match="Dense: unknown argument 'activatoin'"):
        layers.Dense(2, activatoin="relu")
    with pytest.raises(TypeError, match="dtype floot is not supported; expected one of bool"):
        layers.Input((3,), dtype="floot")


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "²", " 2"])
def test_threads(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_NUM_THREADS", value)
    monkeypatch.setattr(compiler, "WORK_FOR_THREADS", 0)
    for call in (config.num_threads, lambda: model_with("mse").predict(X, verbose=0)):
        with pytest.raises(ValueError, match=f"GRAPHC_NUM_THREADS={value!r}: expected an int"):
            call()
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "3")
    assert config.num_threads() == 3
    for wrong in (0, -1, 1.5, "2", True):
        with pytest.raises(ValueError, match="set_num_threads: expected an int of at least 1"):
            config.set_num_threads(wrong)  # type: ignore[arg-type]


def test_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_TARGET", "i386")
    with pytest.raises(ValueError, match="GRAPHC_TARGET=i386: expected one of"):
        dense().predict(X, verbose=0)
    monkeypatch.setenv("GRAPHC_TARGET", list(target.known_targets())[-1])
    wanted = X @ np.ones((3, 2))
    model = dense()
    model.set_weights([np.ones((3, 2)), np.zeros(2)])
    np.testing.assert_allclose(model.predict(X, verbose=0), wanted, rtol=1e-5, atol=1e-6)
