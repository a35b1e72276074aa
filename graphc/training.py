"""fit, evaluate and predict: checks the user's data and feeds compiled programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .callbacks import CallbackList, History
from .compiled import Compiled
from .compiler import Executable
from .data import (
    Data,
    apply_class_weight,
    count_rows,
    positive,
    split_validation,
    standardize_x,
    validation_epochs,
)
from .execution import BATCH_SIZE, Progress, Run, chunks, rows_a_step
from .fast_call import FastCall, layout
from .feeding import Batches, comes_in_batches, train_epoch
from .feeding import evaluate as evaluate_batches
from .feeding import predict as predict_batches
from .nonfinite import LossWatch

# Rows a step of prediction: results do not depend on it, and small steps cost more.
PREDICT_ROWS = 256


class _Validation(NamedTuple):
    """What `fit` does with the data that it holds out, and those that come batch by batch."""

    run: Callable[[CallbackList], dict[str, Any]]
    batches: Batches | None = None


class Trainer(Compiled):
    """The training half of a model: what `models.Model` inherits."""

    fast: FastCall | None = None  # prepared when `predict` sees arrays alike one after the other
    _last: object = None  # the layout of the array that it saw last

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
            class_weight: class number -> weight of its samples; not for iterators.
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
        if batch_size is not None:
            positive("fit", "batch_size", batch_size)
        if validation_batch_size is not None:
            positive("fit", "validation_batch_size", validation_batch_size)
        validation_batch = batch_size if validation_batch_size is None else validation_batch_size
        positive("fit", "epochs", epochs)
        positive("fit", "initial_epoch", initial_epoch, least=0)
        if comes_in_batches(x):
            self._only_batches("fit", y, sample_weight, validation_split or None)
            shuffled = self._permutation if shuffle else None
            batches = Batches("fit", x, steps_per_epoch, shuffled, class_weight)
            due = validation_epochs(validation_freq)
            held = self._validation(validation_data, validation_batch, validation_steps)
            with self._run_callbacks(callbacks, verbose, epochs, batches.steps, True) as calls:
                calls.feed(training=batches, validation=held and held.batches)
                watch = LossWatch()
                return self._epochs(
                    calls, range(initial_epoch, epochs),
                    lambda epoch: train_epoch(self, batches, calls, epoch, watch),
                    lambda epoch: held.run(calls) if held and due(epoch + 1) else {},
                )  # fmt: skip
        data = self.checked("fit", x, y, sample_weight)
        validation = None
        if validation_data is None and validation_split:
            data, validation_data = split_validation(data, validation_split)
        data = apply_class_weight(data, class_weight)
        due = validation_epochs(validation_freq)
        program = self.program("train", data, min(batch_size or BATCH_SIZE, data.rows))
        validation = self._validation(validation_data, validation_batch, validation_steps)
        batch = rows_a_step("fit", program, batch_size, data.rows)
        steps = -(-data.rows // batch)
        with self._run_callbacks(callbacks, verbose, epochs, steps, history=True) as calls:
            calls.feed(validation=validation and validation.batches)
            watch = LossWatch()
            return self._epochs(
                calls, range(initial_epoch, epochs),
                lambda epoch: self._train_epoch(program, data, batch, shuffle, calls, epoch, watch),
                lambda epoch: validation.run(calls) if validation and due(epoch + 1) else {},
            )  # fmt: skip

    def _only_batches(self, method: str, *given: object) -> None:
        """Data that comes in batches brings everything with it."""
        if any(part is not None for part in given):
            raise ValueError(
                f"{method}: x gives batches, which bring y and sample_weight with them; y, "
                "sample_weight and validation_split are for arrays"
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
        self.progress = Progress()
        calls.on_train_begin()
        logs: dict[str, Any] = {}
        for epoch in range(max(epochs.start, self.progress.epoch), epochs.stop):
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
        self, given: Any, batch_size: int | None, steps: int | None
    ) -> _Validation | None:
        """What evaluates the data that `fit` holds out; checked and compiled now."""
        if given is None:
            return None
        if comes_in_batches(given) and not isinstance(given, Data):
            batches = Batches("evaluate", given, steps)
            return _Validation(lambda calls: evaluate_batches(self, batches, calls), batches)
        data = given if isinstance(given, Data) else self._validation_data(given)
        # Compiled now, so that it fails before training does.
        program = self.program("evaluate", data, batch_size)
        batch = rows_a_step("validation_data", program, batch_size, data.rows)
        return _Validation(lambda calls: self._evaluate(data, batch, calls))

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
        done, logs = self.begin_epoch(epoch)
        order = np.arange(data.rows)
        if shuffle:
            order = self._permutation(data.rows)
        run = Run(program, data, order)
        for start, count in chunks(run.steps(batch), calls.wants_batches("train"), done):
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

    def _permutation(self, count: int) -> np.ndarray:
        """The next order: a function of the model's seed and of how many there were."""
        self.shuffles += 1
        seed = int(self._random_state[0].value)
        return np.random.default_rng([seed, self.shuffles]).permutation(count)

    def resume_at(self, epoch: int, batches: int, logs: dict[str, Any], shuffles: int) -> None:
        """Makes the run that begins go on at a step of an epoch: what `BackupAndRestore` calls."""
        self.progress = Progress(epoch, batches, logs)
        self.shuffles = shuffles

    def begin_epoch(self, epoch: int) -> tuple[int, dict[str, Any]]:
        """How many of an epoch's steps are done already, and their logs; else metrics start anew"""
        if epoch == self.progress.epoch and self.progress.batches:
            return self.progress.batches, dict(self.progress.logs)
        self.reset_metrics()
        return 0, {}

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
        if batch_size is not None:
            positive("evaluate", "batch_size", batch_size)
        if comes_in_batches(x):
            self._only_batches("evaluate", y, sample_weight)
            batches = Batches("evaluate", x, steps)
            with self._run_callbacks(callbacks, verbose, 1, batches.steps) as calls:
                return self._returned(evaluate_batches(self, batches, calls), return_dict)
        data = self.checked("evaluate", x, y, sample_weight)
        program = self.program("evaluate", data, batch_size)
        batch = rows_a_step("evaluate", program, batch_size, data.rows)
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
        plain = None if callbacks or batch_size or steps or verbose != 0 else x
        if isinstance(plain, np.ndarray) and self.fast is not None and self.fast.fits(plain):
            return self.fast(plain)
        if comes_in_batches(x):
            return self._in_structure(predict_batches(self, Batches("predict", x, steps)))
        self.prepare(x)
        data = Data(standardize_x(x, self.inputs, self.input_keys, self.name))
        if batch_size is not None:
            positive("predict", "batch_size", batch_size)
        program = self.program("predict", data, batch_size)
        batch = rows_a_step("predict", program, batch_size, data.rows)
        run = Run(program, data, None)
        if not callbacks and verbose == 0:
            batch = program.batch_size or max(batch, PREDICT_ROWS)
            for start, count in chunks(run.steps(batch), False):
                run.go(start, count, batch)
            result = self._structured(run)
            if isinstance(plain, np.ndarray) and isinstance(result, np.ndarray):
                seen, self._last = self._last, layout(plain)
                if len(self.inputs) == run.steps(batch) == 1 and seen == self._last:
                    self.fast = FastCall.of(self, plain)
            return result
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
        run = Run(self.program("train", data, data.rows), data, np.arange(data.rows))
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
