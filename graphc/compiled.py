"""compile, and the programs that a model's task needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import losses, optimizers
from .compiler import Executable, compile_trace
from .data import (
    Data,
    check_labels,
    standardize,
)
from .execution import BATCH_SIZE, Progress
from .inspect import Inspected
from .ir.types import BATCH, TensorType
from .layers.base import Layer
from .layers.symbolic import SymbolicTensor
from .memory import Budget, wanted
from .metrics import Metric
from .programs import trace_evaluate, trace_predict, trace_train
from .random import next_seed
from .serialization import deserialize_keras_object, serialize_keras_object
from .task import Task, make_task
from .trace import Variable

# What programs differ by: their kind, their data's types, and what is trained.
_Key = tuple[str, tuple[tuple[str, TensorType], ...], tuple[Variable, ...]]


class Compiled(Inspected, Layer):
    """What a model is compiled for, and its programs: what `training.Trainer` inherits."""

    inputs: list[SymbolicTensor]
    input_keys: list[str]
    outputs: list[SymbolicTensor]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stop_training = False
        self._task: Task | None = None
        self._compile_config: dict[str, Any] = {}  # the arguments of compile, None where kept
        self._make_task: Callable[[Sequence[str]], Task] | None = None  # once the outputs are known
        self._autotune = False
        self._programs: dict[object, Executable] = {}
        self._memory: str | Budget = "fast"
        self.progress = Progress()  # which `BackupAndRestore` sets when a run begins
        self.shuffles = 0  # epochs that took their rows in a random order
        self._random_state = (
            Variable(next_seed(), "random/seed", False, "int32"),
            Variable(0, "random/step", False, "int32"),
        )

    # What Model defines.

    def prepare(self, x: object) -> None:
        """Builds a model whose input shapes are known only from data."""

    @property
    def outputs_known(self) -> bool:
        """Whether there is as much of the model as `compile` needs."""
        return True

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs: a dict's keys, or those of the layers that made them."""
        if "outputs" not in vars(self):  # a Sequential's one
            return ["output"]
        structure = self.output_structure
        if isinstance(structure, dict):
            return list(structure)
        names = [t.name for t in self.outputs]
        own = len(set(names)) < len(names)  # of one call: a class's own
        return [f"output_{at}" for at in range(1, len(names) + 1)] if own else names

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
        *,
        memory: str | int = "fast",
        autotune: bool = False,
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
            memory: what a training step may take beside weights and data: "fast" keeps what the
                backward pass reads of the forward pass; "small" keeps less and does cheap work
                again; a number of bytes chooses the fastest plan within it for the batch size, if
                need be one that does products again as well. Weights and losses come out the same,
                bit for bit. Not part of what `save` writes.
            autotune: whether contractions are timed when a program is first needed, in up to some
                seconds, to choose how they are cut into blocks. Results have the same bits; what
                was found is kept for later runs.
            options: run_eagerly, steps_per_execution, jit_compile and auto_scale_loss are accepted
                and have no effect: everything is compiled, and many steps run in a call.

        Raises:
            ValueError: for unknown names, with the nearest known one, and other kinds of memory.
        """
        unknown = set(options) - {
            "run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss"
        }  # fmt: skip
        if unknown:
            raise TypeError(f"compile: unknown argument {', '.join(sorted(map(repr, unknown)))}")
        if not isinstance(autotune, bool):
            raise ValueError(f"compile: autotune must be True or False, got {autotune!r}")
        if hasattr(self, "train_step"):
            raise ValueError(
                f"compile: {type(self).__name__} defines train_step; graphc compiles whole steps: "
                "put the loss into compile(loss=...) or call self.add_loss in call()"
            )
        self._memory = wanted(memory)
        self._optimizer, before = optimizers.get(optimizer), self._task
        self._make_task = partial(
            make_task, self._optimizer, loss=loss, loss_weights=loss_weights, unweighted=metrics,
            weighted=weighted_metrics, before=before,
        )  # fmt: skip
        self._task = self._make_task(self.output_names) if self.outputs_known else None
        config: dict[str, Any] = {"optimizer": self._optimizer}
        losses_given = {"loss": loss, "loss_weights": loss_weights}
        metrics_given = {"metrics": metrics, "weighted_metrics": weighted_metrics}
        for given in (losses_given, metrics_given):
            some = any(value is not None for value in given.values())
            config |= given if some else {k: self._compile_config.get(k) for k in given}
        self._compile_config, self._autotune = config, autotune
        predicting = ("predict", "predict in training")
        self._programs = {k: p for k, p in self._programs.items() if k[0] in predicting}  # type: ignore[index]
        self.stop_training = False

    def get_compile_config(self) -> dict[str, Any]:
        """The arguments of `compile` as JSON can hold them; empty before it is called."""
        if not self._compile_config:
            return {}
        options = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": "auto"}
        config: dict[str, Any] = serialize_keras_object({**self._compile_config, **options})
        return config

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compiles with the arguments that `get_compile_config` gave."""
        self.compile(**deserialize_keras_object(config))
        if self.built:
            self.optimizer.prepare(self.trainable_weights)

    @property
    def compiled(self) -> bool:
        """Whether `compile` was called."""
        return self._make_task is not None

    @property
    def optimizer(self) -> optimizers.Optimizer:
        """The compiled model's optimizer."""
        if self._make_task is None:
            self._compiled("optimizer")
        return self._optimizer

    @property
    def metrics_names(self) -> list[str]:
        """Names of what `evaluate` returns, in order."""
        return self._compiled("metrics_names").reported()

    @property
    def metrics(self) -> list[Metric]:
        """The losses' running means and the metrics of `compile`."""
        return [] if self._task is None else self._task.all_metrics()

    def _compiled(self, method: str) -> Task:
        if self._task is None and self._make_task is not None:
            self._task = self._make_task(self.output_names)
        if self._task is None:
            raise ValueError(
                f"{method}: the model {self.name!r} must be compiled first: "
                "model.compile(optimizer, loss)"
            )
        return self._task

    @property
    def random_state(self) -> tuple[Variable, Variable]:
        """(seed, step): what all random numbers of training are a function of."""
        return self._random_state

    # Programs.

    def forget_programs(self) -> None:
        """Makes the next calls compile anew: the layers are others."""
        self._programs = {}
        if isinstance(self._memory, Budget):
            self._memory = Budget(self._memory.limit)

    def program_for(self, x: np.ndarray) -> Executable:
        """The compiled prediction program for arrays like this one."""
        return self.program("predict", Data([x]))

    def _needs_symbols(self) -> bool:
        """Whether inputs have dimensions other than the batch that only data tells."""
        return any(None in t.shape[1:] for t in self.inputs)

    def program(self, kind: str, data: Data, batch: int | None = None) -> Executable:
        """The compiled program for data of this kind; compiled at first use.

        Args:
            batch: rows of a step: by default all, where memory for training has a limit; where
                kernels are tuned, Keras's number.

        Raises:
            ValueError: when a step takes more memory than that.
        """
        key, memory = self._key(kind, data), self.memory_plan(kind, data, batch)
        full = *key, memory, self._autotune
        if full not in self._programs:
            tune_for = self.tuning_rows(batch)
            compiled = partial(compile_trace, memory=memory, tune_for=tune_for)
            self._programs[full] = compiled(*self._traced_for(key))
        return self._programs[full]

    def memory_plan(self, kind: str, data: Data, batch: int | None = None) -> str:
        """Which of `compiler.PLANS` the program for such data has; see `program`."""
        if kind != "train":
            return "fast"
        if isinstance(self._memory, str):
            return self._memory
        key = self._key(kind, data)
        sizes = {"rows": data.rows, BATCH: batch or data.rows}
        return self._memory.choose(key, partial(self._traced_for, key), sizes)

    def _key(self, kind: str, data: Data) -> _Key:
        types = data.types("rows" if kind == "train" else "batch")
        trainable = tuple(self.trainable_weights) if kind == "train" else ()
        return kind, tuple(types.items()), trainable

    def _traced_for(self, key: _Key) -> tuple[Any, ...]:
        kind, types, trainable = key
        return self.traced(kind, dict(types), trainable)

    def tuning_rows(self, batch_size: int | None) -> int:
        """Rows of a step that programs are tuned for; 0 if they are not to be tuned."""
        return (batch_size or BATCH_SIZE) if self._autotune else 0

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
        if self._make_task is None:
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

    def compiled_programs(self) -> list[tuple[str, Executable]]:
        """(kind, program) for each program compiled so far."""
        return [(key[0], program) for key, program in self._programs.items()]  # type: ignore[index]
