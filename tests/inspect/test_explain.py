"""What the compiler says of itself: reasons, memory, what is made again."""

from __future__ import annotations

import pytest
from expressions import graph_of
from graphs import stages

from graphc import layers, models
from graphc.__main__ import main
from graphc.inspect import report
from graphc.ir.graph import Graph

TYPES = {"a": "f32[batch, 4]", "b": "f32[4, 4]"}
PRODUCT = "matmul({}, b, transpose_a=False, transpose_b=False)"


def planned(expressions: str | dict[str, str]) -> Graph:
    return stages(graph_of(expressions, TYPES))["memory"]


def buffers(graph: Graph) -> list[report.Buffer]:
    return report.buffers(graph, report.sizes(graph))


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        (PRODUCT.format("exp(a)"), "matmul (forward) reads each element many times"),
        (
            f"reduce_max({PRODUCT.format('a')}, axes=(1,))",
            "reduce_max (forward) is in a kernel of whole rows, and a tile holds parts of them",
        ),
        ("sub(x, broadcast(reduce_sum(x, axes=(0,)), shape=(4, 3), axes=(1,)))",
         "sub (forward) reads it repeated, or in another shape"),
        ("transpose(reduce_sum(t, axes=(1,)), permutation=(1, 0))",
         "transpose (forward) reads it at other places"),
    ],
)  # fmt: skip
def test_each_value_in_memory_has_a_reason(expression: str, reason: str) -> None:
    graph = planned(expression)
    found = {b.why for b in buffers(graph) if b.offset is not None}
    assert found == {reason}
    assert {b.why for b in buffers(graph) if b.offset is None} == {"a result of the program"}


def test_a_value_read_on_the_way_and_later_says_so() -> None:
    first = f"exp({PRODUCT.format('a')})"
    graph = planned({"y": f"add({PRODUCT.format(first)}, {first})"})
    assert [b.why for b in buffers(graph) if b.offset is not None] == [
        "matmul (forward) reads each element many times"
    ]


def test_memory_saved_is_that_of_the_plan() -> None:
    chain = "a"
    for _ in range(4):
        chain = PRODUCT.format(chain)
    graph = planned(chain)
    found = report.memory(graph, report.sizes(graph))
    value = 64 * report.ROWS  # f32[batch, 4], in whole cache lines a row
    assert found.apart == 3 * value and found.arena == 2 * value
    assert found.registers == 0


def test_values_made_again_are_found() -> None:
    graph = planned({"y": "transpose(exp(x), permutation=(1, 0))",
                     "z": "reverse(exp(x), axes=(1,))"})  # fmt: skip
    assert [(node.op, len(kernels)) for node, kernels in report.recomputed(graph)] == [("exp", 2)]
    assert report.recomputed(planned("exp(x)")) == []


def test_explain_says_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", f"{__file__}:network"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("net, train: ")
    for part in ("compiled in", "kernels with the most work", "values in memory", "in the arena",
                 "stay in registers", "made again", "hidden: ", "tiles of"):  # fmt: skip
        assert part in text, part
    assert len(text.splitlines()) < 50


def network() -> models.Sequential:
    model = models.Sequential(
        [layers.Input((4,)), layers.Dense(3, "tanh", name="hidden"), layers.Dense(2, "softmax")],
        name="net",
    )
    model.compile("sgd", "mse")
    return model


def test_what_needs_data_first_says_so() -> None:
    with pytest.raises(ValueError, match="explain: model 'late' needs an input_shape or data"):
        models.Sequential([layers.Dense(2)], name="late").explain()
