"""compile, fit, evaluate and predict: checks the user's data and feeds compiled programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import inspection, losses, optimizers
from .callbacks import CallbackList, History
from .compiler import Executable, compile_trace
from .data import (
    Data,
    apply_class_weight,
    check_labels,
    count_rows,
    positive,
    split_validation,
    standardize,
    standardize_x,
    validation_epochs,
)
from .execution import Run, chunks
from .feeding import Batches, comes_in_batches, train_epoch
from .feeding import evaluate as evaluate_batches
from .feeding import predict as predict_batches
from .ir.types import TensorType
from .layers.base import Layer, SymbolicTensor
from .metrics import Metric
from .nonfinite import LossWatch, NonFinite
from .programs import trace_evaluate, trace_predict, trace_train
from .random import next_seed
from .task import Task, make_task
from .trace import Variable

# Rows a step of prediction: results do not depend on it, and small steps cost more.
PREDICT_ROWS = 256


class Trainer(Layer):
    """The training half of a model: what `models.Model` inherits."""

    inputs: list[SymbolicTensor]
    input_keys: list[str]
    outputs: list[SymbolicTensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stop_training = False
        self._task: Task | None = None
        self._programs: dict[object, Executable] = {}
        self._random_state = (
            Variable(next_seed(), "random/seed", False, "int32"),
            Variable(0, "random/step", False, "int32"),
        )

    # What Model defines.

    def prepare(self, x: object) -> None:
        """Builds a model whose input shapes are known only from data."""

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: a dict's keys, or those of the layers that made them."""
        if not self.built:  # a Sequential, whose one output is not known yet
            return ["output"]
        structure = self.output_structure
        return list(structure) if isinstance(structure, dict) else [t.name for t in self.outputs]

    @property
    def output_structure(self) -> Any:
        """The outputs in the user's structure."""
        return self.outputs

    # compile

    def compile(
        self,
        optimizer: object = "rmsprop",
        loss: object = None,
        loss_weights: object = None,
        metrics: object = None,
        weighted_metrics: object = None,
        **options: Any,
    ) -> None:
        """Says what to train the model for, as `keras.Model.compile`.

        Args:
            optimizer: name or instance.
            loss: name, instance, or function of y_true and y_pred written with `graphc.ops`; for
                several outputs one for all, or a list or dict of them, None where an output has
                none. The total is their weighted sum.
            loss_weights: list or dict of factors of the losses.
            metrics: list of names, instances or functions; they ignore sample weights. For several
                outputs a list or dict of such lists.
            weighted_metrics: the same, with sample weights.
            options: run_eagerly, steps_per_execution, jit_compile and auto_scale_loss are accepted
                and have no effect: everything is compiled, and many steps run in a call.

        Raises:
            ValueError: for unknown names, with the nearest known one.
        """
        unknown = set(options) - {
            "run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss"
        }  # fmt: skip
        if unknown:
            raise TypeError(f"compile: unknown argument {', '.join(sorted(map(repr, unknown)))}")
        self._task = make_task(
            optimizers.get(optimizer), self.output_names, loss, loss_weights, metrics,
            weighted_metrics, self._task,
        )  # fmt: skip
        kept = ("predict", "predict in training")
        self._programs = {k: p for k, p in self._programs.items() if k[0] in kept}  # type: ignore[index]
        self.stop_training = False

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The compiled model's optimizer."""
        return self._compiled("optimizer").optimizer

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns, in order."""
        return self._compiled("metrics_names").reported()

    @property
    def metrics(self) -> list[Metric]:
        """The losses' running means and the metrics of `compile`."""
        return [] if self._task is None else self._task.all_metrics()

    def _compiled(self, method: str) -> Task:
        if self._task is None:
            raise ValueError(
                f"{method}: the model {self.name!r} must be compiled first: "
                "model.compile(optimizer, loss)"
            )
        return self._task

    # Programs.

    def program_for(self, x: np.ndarray) -> Executable:
        """The compiled prediction program for arrays like this one."""
        return self.program("predict", Data([x]))

    def _needs_symbols(self) -> bool:
        """Whether inputs have dimensions other than the batch that only data tells."""
        return any(None in t.shape[1:] for t in self.inputs)

    def program(self, kind: str, data: Data) -> Executable:
        """The compiled program for data of this kind; compiled at first use."""
        types = data.types("rows" if kind == "train" else "batch")
        trainable = tuple(self.trainable_weights) if kind == "train" else ()
        key = (kind, tuple(sorted(types.items(), key=lambda item: item[0])), trainable)
        if key not in self._programs:
            self._programs[key] = compile_trace(*self.traced(kind, types, trainable))
        return self._programs[key]

    def traced(
        self, kind: str, types: Mapping[str, TensorType], trainable: Sequence[Variable]
    ) -> tuple[Any, ...]:
        """A program's trace, and for training what goes with it: `compile_trace`'s arguments."""
        if kind in ("predict", "predict in training"):
            training = kind != "predict"
            return (trace_predict(self.inputs, self.outputs, types, self._random_state, training),)
        task = self._compiled(kind)
        if kind == "evaluate":
            weights = self.trainable_weights
            return (
                trace_evaluate(self.inputs, self.outputs, task, types, weights, self._random_state),
            )
        return trace_train(self.inputs, self.outputs, task, types, trainable, self._random_state)

    def task_for(self, method: str) -> Task:
        """What the model is compiled for, with a loss."""
        task = self._compiled(method)
        if not task.has_loss:
            raise ValueError(f"{method}: compile the model with a loss: compile(loss='mse')")
        return task

    def checked(self, method: str, x: object, y: object, weight: object) -> Data:
        """Data for training and evaluation, checked against the model."""
        self._compiled(method)
        self.prepare(x)
        task = self.task_for(method)
        wanted = [bool(t.loss or t.metrics or t.weighted_metrics) for t in task.targets]
        data = standardize(
            x, y, weight, self.inputs, self.input_keys, self.output_names, wanted, self.name
        )
        for target, output, labels in zip(task.targets, self.outputs, data.y, strict=True):
            classes = output.shape[-1]
            integers = target.loss is not None and losses.takes_integer_labels(target.loss)
            if integers and labels is not None and classes is not None:
                assert target.loss is not None
                check_labels(labels, classes, losses.ignored_label(target.loss))
        return data

    # fit

    def fit(
        self,
        x: object = None,
        y: object = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: object = None,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
    ) -> History:
        """Trains the model, as `keras.Model.fit`.

        Args:
            x, y: arrays with one row a sample; floats and ints of any width are converted as they
                are read, without a copy of the data.
            batch_size: rows a step, 32 by default; the last step takes what is left.
            epochs: the number of the last epoch; `initial_epoch` that of the first, from 0.
            verbose: 0 silent, 1 a progress bar, 2 a line an epoch; "auto" is 1.
            callbacks: a list of `callbacks.Callback`.
            validation_split: fraction of the rows, from the end, to evaluate and not to train on.
            validation_data: (x, y) or (x, y, sample_weight) to evaluate after each epoch.
            shuffle: whether each epoch takes the rows in another order.
            class_weight: class number -> weight of its samples.
            sample_weight: a weight for each row.
            validation_batch_size: `batch_size` by default.
            validation_freq: evaluate every so many epochs, or after those in a list, from 1.
            steps_per_epoch, validation_steps: batches of an epoch and of an evaluation, where the
                data comes in batches.

        Returns:
            A `History`: `history` maps names to one value an epoch.

        Raises:
            ValueError: when data and model do not fit, before anything runs.
        """
        batch = positive("fit", "batch_size", 32 if batch_size is None else batch_size)
        positive("fit", "epochs", epochs)
        positive("fit", "initial_epoch", initial_epoch, least=0)
        if comes_in_batches(x):
            self._only_batches("fit", y, sample_weight, class_weight, validation_split or None)
            batches = Batches(x, steps_per_epoch, shuffle)
            due = validation_epochs(validation_freq)
            held = self._validation(validation_data, batch, validation_steps)
            with self._run_callbacks(callbacks, verbose, epochs, batches.steps, True) as calls:
                watch = LossWatch()
                return self._epochs(
                    calls, range(initial_epoch, epochs),
                    lambda epoch: train_epoch(self, batches, calls, epoch, watch),
                    lambda epoch: held(calls) if held and due(epoch + 1) else {},
                )  # fmt: skip
        data = self.checked("fit", x, y, sample_weight)
        validation = None
        if validation_data is None and validation_split:
            data, validation_data = split_validation(data, validation_split)
        data = apply_class_weight(data, class_weight)
        validation_batch = batch
        if validation_batch_size is not None:
            validation_batch = positive("fit", "validation_batch_size", validation_batch_size)
        due = validation_epochs(validation_freq)
        program = self.program("train", data)
        validation = self._validation(validation_data, validation_batch, validation_steps)
        steps = -(-data.rows // batch)
        with self._run_callbacks(callbacks, verbose, epochs, steps, history=True) as calls:
            watch = LossWatch()
            return self._epochs(
                calls, range(initial_epoch, epochs),
                lambda epoch: self._train_epoch(program, data, batch, shuffle, calls, epoch, watch),
                lambda epoch: validation(calls) if validation and due(epoch + 1) else {},
            )  # fmt: skip

    def _only_batches(self, method: str, *given: object) -> None:
        """Data that comes in batches brings everything with it."""
        if any(part is not None for part in given):
            raise ValueError(
                f"{method}: x gives batches, which bring y and sample_weight with them; y, "
                "sample_weight, class_weight and validation_split are for arrays"
            )

    def _epochs(
        self,
        calls: CallbackList,
        epochs: range,
        train: Callable[[int], dict[str, Any]],
        validate: Callable[[int], dict[str, Any]],
    ) -> History:
        """The epochs of `fit`: each trains, and validates if it is due."""
        self.stop_training = False
        calls.on_train_begin()
        logs: dict[str, Any] = {}
        for epoch in epochs:
            calls.on_epoch_begin(epoch)
            logs = train(epoch)
            logs |= {f"val_{name}": value for name, value in validate(epoch).items()}
            logs = dict(sorted(logs.items()))
            calls.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        self.optimizer.finalize_variable_values(self.trainable_weights)
        calls.on_train_end(logs)
        return calls.history

    @contextmanager
    def _run_callbacks(
        self,
        callbacks: Any,
        verbose: int | str,
        epochs: int,
        steps: int | None,
        history: bool = False,
    ) -> Iterator[CallbackList]:
        """The callbacks of a run, closed at its end, also when it is broken off."""
        if verbose not in (0, 1, 2, "auto"):
            raise ValueError(f"verbose must be 0, 1, 2 or 'auto', got {verbose!r}")
        calls = CallbackList(
            callbacks, add_history=history, add_progbar=verbose != 0, model=self,
            verbose=1 if verbose == "auto" else verbose, epochs=epochs, steps=steps,
        )  # fmt: skip
        try:
            yield calls
        finally:
            calls.on_close()

    def _validation(
        self, given: Any, batch: int, steps: int | None
    ) -> Callable[[CallbackList], dict[str, Any]] | None:
        """What evaluates the data that `fit` holds out; checked and compiled now."""
        if given is None:
            return None
        if comes_in_batches(given) and not isinstance(given, Data):
            batches = Batches(given, steps)
            return lambda calls: evaluate_batches(self, batches, calls)
        data = given if isinstance(given, Data) else self._validation_data(given)
        self.program("evaluate", data)  # so that it fails before training does
        return lambda calls: self._evaluate(data, batch, calls)

    def _validation_data(self, given: Any) -> Data:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ValueError(
                "validation_data: expected (x, y) or (x, y, sample_weight), got "
                f"{type(given).__name__}"
            )
        x, y, *rest = given
        try:
            return self.checked("fit", x, y, rest[0] if rest else None)
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {error}") from None

    def _train_epoch(
        self, program: Executable, data: Data, batch: int, shuffle: bool, calls: CallbackList,
        epoch: int, watch: LossWatch,
    ) -> dict[str, float]:  # fmt: skip
        self.reset_metrics()
        order = np.arange(data.rows)
        if shuffle:
            order = self._generator().permutation(data.rows)
        run = Run(program, data, order)
        logs: dict[str, float] = {}
        for start, count in chunks(run.steps(batch), calls.wants_batches("train")):
            if calls.wants_batches("train"):
                calls.on_train_batch_begin(start)
            logs, step_losses = run.go(start, count, batch)
            watch.look(step_losses, epoch, start)
            if calls.wants_batches("train"):
                calls.on_train_batch_end(start, logs)
            calls.on_chunk("train", start + count, logs)
            if self.stop_training:
                break
        return logs

    def _generator(self) -> np.random.Generator:
        """The next epoch's generator: a function of the model's seed and of how many there were."""
        if not hasattr(self, "_shuffles"):
            self._shuffles = 0
        self._shuffles += 1
        return np.random.default_rng([int(self._random_state[0].value), self._shuffles])

    def reset_metrics(self) -> None:
        """Sets all accumulators to 0."""
        self._compiled("reset_metrics")
        for metric in self.metrics:
            metric.reset_state()

    # evaluate

    def evaluate(
        self,
        x: object = None,
        y: object = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: object = None,
        callbacks: Any = None,
        return_dict: bool = False,
        steps: int | None = None,
    ) -> Any:
        """Loss and metrics on data, as `keras.Model.evaluate`.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: as in `fit`.
            return_dict: whether the result is a dict.
            steps: how many batches, where the data comes in batches.

        Returns:
            The loss, or [loss, metric ...] when there are metrics, or a dict by name.
        """
        batch = positive("evaluate", "batch_size", 32 if batch_size is None else batch_size)
        if comes_in_batches(x):
            self._only_batches("evaluate", y, sample_weight)
            batches = Batches(x, steps)
            with self._run_callbacks(callbacks, verbose, 1, batches.steps) as calls:
                return self._returned(evaluate_batches(self, batches, calls), return_dict)
        data = self.checked("evaluate", x, y, sample_weight)
        with self._run_callbacks(callbacks, verbose, 1, -(-data.rows // batch)) as calls:
            return self._returned(self._evaluate(data, batch, calls), return_dict)

    def _evaluate(self, data: Data, batch: int, calls: CallbackList) -> dict[str, float]:
        run = Run(self.program("evaluate", data), data, None)
        self.reset_metrics()
        calls.on_test_begin()
        logs: dict[str, float] = {}
        for start, count in chunks(run.steps(batch), calls.wants_batches("test")):
            if calls.wants_batches("test"):
                calls.on_test_batch_begin(start)
            logs, _ = run.go(start, count, batch)
            if calls.wants_batches("test"):
                calls.on_test_batch_end(start, logs)
            calls.on_chunk("test", start + count, logs)
        calls.on_test_end(logs)
        return logs

    def _returned(self, logs: Mapping[str, float], return_dict: bool) -> Any:
        if return_dict:
            return dict(logs)
        values = [logs[name] for name in self.metrics_names]
        return values if len(values) > 1 else values[0]

    # predict

    def predict(
        self,
        x: object,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        callbacks: Any = None,
        steps: int | None = None,
    ) -> Any:
        """The model's outputs for data, as `keras.Model.predict`.

        Args:
            x: arrays with one row a sample, or what gives batches of x, as in `fit`.
            steps: how many batches, where the data comes in batches.
            batch_size: rows between calls of batch callbacks, 32 by default.

        Returns:
            An array of float32 (batch, ...) for each output, in the outputs' structure.
        """
        if comes_in_batches(x):
            return self._in_structure(predict_batches(self, Batches(x, steps)))
        self.prepare(x)
        data = Data(standardize_x(x, self.inputs, self.input_keys, self.name))
        batch = positive("predict", "batch_size", 32 if batch_size is None else batch_size)
        run = Run(self.program("predict", data), data, None)
        if not callbacks and verbose == 0:
            batch = max(batch, PREDICT_ROWS)
            for start, count in chunks(run.steps(batch), False):
                run.go(start, count, batch)
            return self._structured(run)
        with self._run_callbacks(callbacks, verbose, 1, run.steps(batch)) as calls:
            calls.on_predict_begin()
            for start, count in chunks(run.steps(batch), calls.wants_batches("predict")):
                if calls.wants_batches("predict"):
                    calls.on_predict_batch_begin(start)
                run.go(start, count, batch)
                if calls.wants_batches("predict"):
                    done = slice(start * batch, (start + 1) * batch)
                    calls.on_predict_batch_end(start, {"outputs": self._structured(run, done)})
                calls.on_chunk("predict", start + count, {})
            calls.on_predict_end()
        return self._structured(run)

    def _structured(self, run: Run, rows: slice = slice(None)) -> Any:
        names = [f"output/{at}" for at in range(len(self.outputs))]
        return self._in_structure([run.rows_out[name][rows] for name in names])

    def _in_structure(self, arrays: Sequence[np.ndarray]) -> Any:
        """The outputs' arrays in the user's structure."""
        values = iter(arrays)
        structure = self.output_structure
        if isinstance(structure, dict):
            return {name: next(values) for name in structure}
        return type(structure)(values) if isinstance(structure, (list, tuple)) else next(values)

    def predict_in_training(self, x: object) -> Any:
        """The outputs for one batch as they are in training, with dropout; nothing is trained."""
        self.prepare(x)
        data = Data(standardize_x(x, self.inputs, self.input_keys, self.name))
        run = Run(self.program("predict in training", data), data, None)
        run.go(0, 1, data.rows)
        return self._structured(run)

    def predict_on_batch(self, x: object) -> Any:
        """`predict` on one batch."""
        return self.predict(x, batch_size=count_rows(x), verbose=0)

    def train_on_batch(
        self,
        x: object,
        y: object = None,
        sample_weight: object = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch; metrics are of this batch alone, as in Keras."""
        data = self.checked("train_on_batch", x, y, sample_weight)
        data = apply_class_weight(data, class_weight)
        self.reset_metrics()
        run = Run(self.program("train", data), data, np.arange(data.rows))
        logs, _ = run.go(0, 1, data.rows)
        return self._returned(logs, return_dict)

    def test_on_batch(
        self, x: object, y: object = None, sample_weight: object = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch."""
        data = self.checked("test_on_batch", x, y, sample_weight)
        self.reset_metrics()
        logs, _ = Run(self.program("evaluate", data), data, None).go(0, 1, data.rows)
        return self._returned(logs, return_dict)

    # Inspection.

    def compiled_programs(self) -> list[tuple[str, Executable]]:
        """(kind, program) for each program compiled so far."""
        return [(key[0], program) for key, program in self._programs.items()]  # type: ignore[index]

    def dump(self, stage: str = "memory", program: str = "train") -> str:
        """The text of a program at a stage of the compiler.

        Args:
            stage: traced, forward, gradient, update, simplify, fuse, schedule, memory, llvm or asm.
            program: predict, evaluate or train.

        Raises:
            ValueError: for an unknown stage or program, or when the model is not compiled for it.
        """
        return inspection.dump(self, stage, program)

    def find_nonfinite(self, x: object, y: object) -> NonFinite | None:
        """The first value of a training step on this batch that is infinite or NaN.

        Runs the reference interpreter on the graph before fusion; nothing is trained.

        Returns:
            Its node, op, layer and phase (data, forward, backward or update); None if all are
            finite.
        """
        return inspection.find_nonfinite(self, x, y)
