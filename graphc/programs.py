"""The programs of a model: what is traced for predict, evaluate and train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from . import ops
from .compiler import Training
from .dag import run_layers
from .ir.types import Size, TensorType
from .layers.symbolic import SymbolicTensor
from .task import Task
from .trace import Tensor, Trace, Variable

BATCH = Size(("batch",))


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
    variables: Sequence[Variable],
    random_state: tuple[Variable, Variable],
) -> Trace:
    """Loss and metrics of a batch, into their accumulators."""
    trace = Trace("evaluate", random_state=random_state)
    with trace:
        data = _data(trace, types, gathered=False)
        results = run_layers(inputs, _model_inputs(trace, data, inputs), outputs)
        _report(trace, task, data, results, variables)
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
        _report(trace, task, data, results, variables)
        trace.count_random_step()

    def update(gradients: Sequence[Tensor]) -> None:
        task.optimizer.apply(gradients, variables)

    return trace, Training("loss", variables, update)


def _report(
    trace: Trace,
    task: Task,
    data: Mapping[str, Tensor],
    results: Sequence[Tensor],
    variables: Sequence[Variable],
) -> None:
    """Adds the loss and the accumulators' updates, and "log/<name>": their values after this batch.

    Args:
        variables: whose penalties count.
    """
    rows = Tensor(trace.builder.node("size", dim=BATCH, dtype="f32"))
    penalised = [v for v in variables if v.regularizer is not None]
    total: Tensor | None = None
    for at, (target, y_pred) in enumerate(zip(task.targets, results, strict=True)):
        if target.loss is None:
            continue
        y_true, weight = data[f"y/{at}"], data.get(f"sample_weight/{at}")
        where = _explained("loss", target.loss.name, y_true, y_pred, weight)
        with trace.scope(f"{target.name}_loss".lstrip("_")), where:
            loss = target.loss(y_true, y_pred, weight)
            if target.tracker is not None:
                target.tracker.update_state(loss, sample_weight=rows)
                trace.output(f"log/{target.tracker.name}", target.tracker.result())
            if target.loss_weight is not None:
                loss = ops.multiply(loss, target.loss_weight)
            total = loss if total is None else ops.add(total, loss)
    assert total is not None
    for loss in trace.losses:
        total = ops.add(total, loss)
    for variable in penalised:
        assert variable.regularizer is not None
        with trace.scope(variable.name.rpartition("/")[0]):
            total = ops.add(total, variable.regularizer(ops.convert_to_tensor(variable)))
    with trace.scope("loss"):
        trace.output("loss", total)
        task.tracker.update_state(total, sample_weight=rows)
        trace.output("log/loss", task.tracker.result())
    names = task.names()
    for at, (target, y_pred) in enumerate(zip(task.targets, results, strict=True)):
        for metric in (*target.metrics, *target.weighted_metrics):
            y_true, weight = data[f"y/{at}"], data.get(f"sample_weight/{at}")
            if metric not in target.weighted_metrics:
                weight = None
            name = names[metric]
            with trace.scope(name), _explained("metric", name, y_true, y_pred, weight):
                metric.update_state(y_true, y_pred, **_weighted(weight))
                result = ops.convert_to_tensor(metric.result())
                trace.output(f"log/{name}", ops.cast(result, "float32"))


def _weighted(weight: Tensor | None) -> dict[str, Tensor]:
    return {} if weight is None else {"sample_weight": weight}


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
