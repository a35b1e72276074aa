"""The programs of a model: what is traced for predict, evaluate and train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from . import losses, metrics, ops
from .compiler import Training
from .ir.types import Size, TensorType
from .layers.base import SymbolicTensor
from .losses import Loss
from .metrics import Mean, Metric
from .optimizers import Optimizer
from .trace import Tensor, Trace, Variable
from .tree import flatten

BATCH = Size(("batch",))


@dataclass
class Task:
    """What a model is trained to do: set by `compile`.

    Attributes:
        tracker: the running mean of the loss, reported as "loss".
        metrics: those that ignore sample weights; weighted_metrics: those that do not.
    """

    optimizer: Optimizer
    loss: Loss | None
    metrics: Sequence[Metric]
    weighted_metrics: Sequence[Metric]
    tracker: Mean

    def all_metrics(self) -> list[tuple[str, Metric]]:
        """The reported metrics with their names, in the order of `compile`."""
        names = {m.name for m in self.metrics}
        reported = [(m.name, m) for m in self.metrics]
        for m in self.weighted_metrics:
            reported.append((f"weighted_{m.name}" if m.name in names else m.name, m))
        return reported


def run_layers(
    inputs: Sequence[SymbolicTensor], values: Sequence[Tensor], outputs: Any
) -> list[Tensor]:
    """Traces the DAG of layer calls from values of the inputs to the outputs."""
    known: dict[SymbolicTensor, Tensor] = dict(zip(inputs, values, strict=True))

    def insert(structure: Any) -> Any:
        if isinstance(structure, (list, tuple)):
            return type(structure)(insert(part) for part in structure)
        if isinstance(structure, dict):
            return {key: insert(part) for key, part in structure.items()}
        return known[structure] if isinstance(structure, SymbolicTensor) else structure

    wanted = flatten(outputs)
    stack = list(wanted)
    while stack:
        tensor = stack[-1]
        if tensor in known:
            stack.pop()
            continue
        call = tensor.call
        arguments = [t for t in flatten((call.args, call.kwargs)) if isinstance(t, SymbolicTensor)]
        missing = [t for t in arguments if t not in known]
        if missing:
            stack.extend(missing)
            continue
        results = call.layer.trace_call(insert(call.args), insert(call.kwargs), call.where)
        known.update(zip(flatten(call.outputs), flatten(results), strict=True))
    return [known[t] for t in wanted]


def _data(trace: Trace, types: Mapping[str, TensorType], gathered: bool) -> dict[str, Tensor]:
    """The batch's data: rows that an index chooses of whole arrays, or arrays batch by batch."""
    tensors = {name: trace.input(name, type_) for name, type_ in types.items()}
    if gathered:
        index = trace.input("index", TensorType("i64", (BATCH,)), "index")
        with trace.scope("data"):
            tensors = {
                name: Tensor(trace.builder.node("gather", t.node, index.node))
                for name, t in tensors.items()
            }
    return tensors


def _model_inputs(
    trace: Trace, data: Mapping[str, Tensor], inputs: Sequence[SymbolicTensor]
) -> list[Tensor]:
    with trace.scope("data"):
        return [ops.cast(data[f"x/{at}"], t.dtype) for at, t in enumerate(inputs)]


def trace_predict(
    inputs: Sequence[SymbolicTensor],
    outputs: Any,
    types: Mapping[str, TensorType],
    random_state: tuple[Variable, Variable],
    training: bool = False,
) -> Trace:
    """x to the model's outputs, "output/0" and so on; what they are in training, if asked."""
    trace = Trace("predict", training, random_state)
    with trace:
        data = _data(trace, types, gathered=False)
        results = run_layers(inputs, _model_inputs(trace, data, inputs), outputs)
        for at, result in enumerate(results):
            trace.output(f"output/{at}", result)
        trace.count_random_step()
    return trace


def trace_evaluate(
    inputs: Sequence[SymbolicTensor],
    outputs: Any,
    task: Task,
    types: Mapping[str, TensorType],
    random_state: tuple[Variable, Variable],
) -> Trace:
    """Loss and metrics of a batch, into their accumulators."""
    trace = Trace("evaluate", random_state=random_state)
    with trace:
        data = _data(trace, types, gathered=False)
        results = run_layers(inputs, _model_inputs(trace, data, inputs), outputs)
        _report(trace, task, data, results)
        trace.count_random_step()
    return trace


def trace_train(
    inputs: Sequence[SymbolicTensor],
    outputs: Any,
    task: Task,
    types: Mapping[str, TensorType],
    variables: Sequence[Variable],
    random_state: tuple[Variable, Variable],
) -> tuple[Trace, Training]:
    """A step of training on rows that an index chooses."""
    trace = Trace("train", True, random_state)
    with trace:
        data = _data(trace, types, gathered=True)
        results = run_layers(inputs, _model_inputs(trace, data, inputs), outputs)
        for variable in variables:
            trace.read(variable)
        _report(trace, task, data, results)
        trace.count_random_step()

    def update(gradients: Sequence[Tensor]) -> None:
        task.optimizer.apply(gradients, variables)

    return trace, Training("loss", variables, update)


def _report(
    trace: Trace, task: Task, data: Mapping[str, Tensor], results: Sequence[Tensor]
) -> None:
    """Adds the loss, the accumulators' updates, and "log/<name>": their values after this batch."""
    assert task.loss is not None
    y_pred, y_true, weight = results[0], data["y"], data.get("sample_weight")
    with trace.scope("loss"):
        with _explained("loss", task.loss.name, y_true, y_pred, weight):
            loss = task.loss(y_true, y_pred, weight)
        trace.output("loss", loss)
        rows = Tensor(trace.builder.node("size", dim=BATCH, dtype="f32"))
        task.tracker.update_state(loss, sample_weight=rows)
        trace.output("log/loss", task.tracker.result())
    for name, metric in task.all_metrics():
        with trace.scope(name), _explained("metric", name, y_true, y_pred, weight):
            if metric in task.weighted_metrics:
                metric.update_state(y_true, y_pred, sample_weight=weight)
            else:
                metric.update_state(y_true, y_pred)
            trace.output(f"log/{name}", ops.cast(ops.convert_to_tensor(metric.result()), "float32"))


@contextmanager
def _explained(
    kind: str, name: str, y_true: Tensor, y_pred: Tensor, weight: Tensor | None
) -> Iterator[None]:
    """Says in errors which loss or metric cannot take the data."""
    try:
        yield
    except ValueError as error:
        given = {"y": y_true, "sample_weight": weight, "the model's output": y_pred}
        shapes = [
            f"{what} of shape {tuple(None if isinstance(d, Size) else d for d in tensor.shape)}"
            for what, tensor in given.items()
            if tensor is not None
        ]
        raise ValueError(
            f"{', '.join(shapes[:-1])} and {shapes[-1]} do not fit {kind} {name!r}: {error}"
        ) from None


def one_loss(loss: object) -> Loss:
    """The loss of a model with one output."""
    if isinstance(loss, (list, tuple, dict)):
        parts = list(loss.values()) if isinstance(loss, dict) else list(loss)
        if len(parts) != 1:
            raise ValueError(f"compile: the model has one output, loss has {len(parts)} entries")
        loss = parts[0]
    found = losses.get(loss)
    if found.reduction in (None, "none"):
        raise ValueError(f"compile: loss {found.name!r} must be reduced to a scalar")
    return found


def metric_list(given: object) -> list[Metric]:
    """The metrics that compile's argument names."""
    if given is None:
        return []
    parts = given.values() if isinstance(given, dict) else given
    if isinstance(parts, str) or not hasattr(parts, "__iter__"):
        raise ValueError(f"compile: metrics must be a list such as ['accuracy'], got {given!r}")
    return [metrics.get(part) for part in flatten(list(parts))]
