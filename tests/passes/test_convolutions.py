"""Convolutions of spread inputs: narrowed, and computed phase by phase."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from graphs import build, examples, ops_of

from graphc.ir.graph import Graph, Node
from graphc.ir.interpret import interpret
from graphc.passes import convolutions
from graphc.passes.shapes import Builder
from graphc.passes.simplify import simplify

ROWS = {"batch": 2}


def spread(
    b: Builder, x: Node, low: Sequence[int], high: Sequence[int], gaps: Sequence[int]
) -> Node:
    amounts = {"low": low, "high": high, "interior": gaps}
    return b.node("pad", x, **{k: (0, *v, 0) for k, v in amounts.items()}, value=0.0)


def conv(b: Builder, x: Node, kernel: Node, **steps: Sequence[int]) -> Node:
    rank = x.tensor.rank - 2
    steps = {"strides": (1,) * rank, "dilations": (1,) * rank, **steps}
    return b.node("conv", x, kernel, **steps)


def agree(graph: Graph) -> Graph:
    """The simplified graph, which computes the same."""
    small, _ = simplify(graph)
    feeds = examples(graph, symbols=ROWS)
    wanted = interpret(graph, feeds, ROWS)
    for key, value in interpret(small, feeds, ROWS).items():
        np.testing.assert_allclose(value, wanted[key], 1e-4, 1e-5)
    return small


def gaps_of(graph: Graph) -> list[int]:
    return [gap for node in graph.nx if node.op == "pad" for gap in node.attrs["interior"]]


@pytest.fixture(params=[16, 1], ids=["together", "each"])
def least_filters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Phases of few filters are one convolution: here all of them, or none."""
    monkeypatch.setattr(convolutions, "LEAST_FILTERS", request.param)
    least: int = request.param
    return least


@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("window", range(1, 6))
def test_phases_along_one_axis(stride: int, window: int, least_filters: int) -> None:
    for low, high, count in itertools.product(range(4), (0, 1, 3), (1, 2, 5)):
        if low + (count - 1) * stride + 1 + high < window:
            continue

        def function(b: Builder, x: Node, kernel: Node) -> Node:
            return conv(b, spread(b, x, [low], [high], [stride - 1]), kernel)  # noqa: B023

        graph = build(function, f"f32[batch, {count}, 2]", f"f32[{window}, 2, 3]")
        assert not any(gaps_of(agree(graph)))


def test_phases_along_some_axes(least_filters: int) -> None:
    def function(b: Builder, x: Node, kernel: Node) -> Node:
        wide = spread(b, x, (2, 3, 1), (1, 4, 2), (1, 0, 2))
        return conv(b, wide, kernel, dilations=(1, 2, 1))

    graph = build(function, "f32[batch, 3, 4, 5, 3]", "f32[3, 3, 2, 3, 2]")
    assert not any(gaps_of(agree(graph)))


def test_each_phase_has_its_own_taps() -> None:
    """Those of a window of 3 by 3, 2 apart: 2 by 2, 2 by 1, 1 by 2 and 1."""

    def function(b: Builder, x: Node, kernel: Node) -> Node:
        return conv(b, spread(b, x, (2, 2), (1, 1), (1, 1)), kernel)

    small = agree(build(function, "f32[batch, 4, 4, 3]", "f32[3, 3, 3, 16]"))
    kernels = [small.operands(n)[1].tensor.shape[:2] for n in small.nodes() if n.op == "conv"]
    assert sorted(kernels) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    # All read one padded x.
    assert ops_of(small).count("pad") == 1


def test_dilated_kernels_keep_their_gaps() -> None:
    def function(b: Builder, x: Node, kernel: Node) -> Node:
        return conv(b, spread(b, x, (2,), (2,), (1,)), kernel, dilations=(2,))

    assert any(gaps_of(agree(build(function, "f32[batch, 5, 2]", "f32[3, 2, 2]"))))


def sliced(b: Builder, x: Node, starts: Sequence[int], sizes: Sequence[int]) -> Node:
    batch, *_, last = x.tensor.shape
    return b.node(
        "slice", x, starts=(0, *starts, 0), sizes=(batch, *sizes, last), steps=(1,) * x.tensor.rank
    )


@pytest.mark.parametrize(
    ("strides", "dilations", "sizes"), [((1, 1), (1, 1), (6, 8)), ((2, 3), (1, 2), (3, 3))]
)
def test_a_slice_is_a_convolution_of_less(
    strides: tuple[int, ...], dilations: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    def function(b: Builder, x: Node, kernel: Node) -> Node:
        wide = spread(b, x, (3, 4), (4, 5), (0, 0))
        return sliced(b, conv(b, wide, kernel, strides=strides, dilations=dilations), (1, 1), sizes)

    small = agree(build(function, "f32[batch, 5, 6, 2]", "f32[3, 2, 2, 3]"))
    (made,) = (n for n in small.nx if n.op == "conv")
    assert made.tensor.shape[1:] == (*sizes, 3) and "slice" not in ops_of(small)


@pytest.mark.parametrize("other", ["read", "result", "too much"])
def test_what_is_read_elsewhere_too_is_not_narrowed(other: str) -> None:
    def function(b: Builder, x: Node, kernel: Node) -> dict[str, Node]:
        whole = conv(b, spread(b, x, (2,), (2,), (0,)), kernel)
        results = {"y": sliced(b, whole, (3 if other == "too much" else 1,), (4,))}
        if other == "read":
            results["z"] = b.node("exp", whole)
        return {**results, "whole": whole} if other == "result" else results

    small = agree(build(function, "f32[batch, 6, 2]", "f32[3, 2, 2]"))
    assert ops_of(small).count("conv") == 1 and "slice" in ops_of(small)
