"""Alternatives to contractions' plans: which there are, and that all give the same bits."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from graphs import build, examples, stages
from native import Native, targets

from graphc.codegen import objects, trial
from graphc.codegen.alternatives import CLOSE, MOST, alternatives, estimate
from graphc.codegen.blocking import contraction_scratch, kept_bytes, plan_contraction
from graphc.codegen.elementwise import Unsupported
from graphc.codegen.target import Target, known_targets
from graphc.codegen.values import Body
from graphc.ir.graph import Graph, Node
from graphc.ir.ops import CONTRACTIONS
from graphc.ir.text import parse, to_text
from graphc.passes.shapes import Builder

SIZES = {"batch": 37}
ANY = 1 << 30  # bytes
every_target = pytest.mark.parametrize("target", known_targets().values(), ids=lambda t: t.name)


def matmul(ta: bool = False, tb: bool = False) -> Callable[..., Node]:
    return lambda b, x, w: b.node("tanh", b.node("matmul", x, w, transpose_a=ta, transpose_b=tb))


def conv(b: Builder, x: Node, w: Node) -> Node:
    return b.node("conv", x, w, strides=(1, 2), dilations=(2, 1))


def kernel_gradient(b: Builder, x: Node, dy: Node) -> Node:
    how = {"sizes": (3, 3), "strides": (1, 1), "dilations": (1, 1), "parts": 1}
    return b.node("conv_kernel_grad", x, dy, **how)


def step(b: Builder, x: Node, dy: Node, w: Node) -> dict[str, Node]:
    """An optimizer's: the kernel writes where it reads."""
    return {"x2": b.node("sub", w, b.node("matmul", x, dy, transpose_a=True, transpose_b=False))}


GRAPHS = {
    "forward": build(matmul(), "f32[batch, 300]", "f32[300, 173]"),
    "narrow": build(matmul(), "f32[batch, 70]", "f32[70, 5]"),
    "backward": build(matmul(tb=True), "f32[batch, 173]", "f32[300, 173]"),
    "long": build(matmul(ta=True), "f32[3001, 29]", "f32[3001, 67]"),
    "many": build(matmul(), "f32[batch, 4, 40, 33]", "f32[batch, 4, 33, 70]"),
    "conv": build(conv, "f32[batch, 13, 11, 7]", "f32[3, 3, 7, 70]"),
    "gradient": build(kernel_gradient, "f32[batch, 9, 10, 6]", "f32[batch, 7, 8, 70]"),
    "update": build(step, "f32[batch, 90]", "f32[batch, 150]", "f32[90, 150]", states=(2,)),
}  # fmt: skip
each_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=list(GRAPHS))


def contraction(graph: Graph) -> tuple[Body, Node]:
    """The body of the only kernel with a contraction, and that."""
    kernels = [n for n in stages(graph)["memory"].nodes() if n.op == "fused"]
    ((body, node),) = [
        (body, node)
        for body in (kernel.attrs["body"] for kernel in kernels)
        for node in body.nodes()
        if node.op in CONTRACTIONS
    ]
    return Body(body, {}, {}), node


@each_graph
@pytest.mark.parametrize("target", targets())
def test_all_give_the_same_bits(
    graph: Graph, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As each element is summed over K in order; on any number of threads."""
    monkeypatch.setenv(objects.VARIABLE, "off")
    monkeypatch.setattr(trial, "timed", lambda programs, *_: programs)
    monkeypatch.setattr("graphc.autotune.LEAST_FLOPS", 1)
    feeds = examples(graph, 1, SIZES)
    usual = Native(graph, target).check(feeds, SIZES, threads=(1, 3), relative=1e-4, absolute=1e-3)
    monkeypatch.setattr("graphc.autotune._scratch", lambda *_: ANY)
    plans = alternatives(*contraction(graph), target, SIZES, in_loop=False, scratch=ANY)
    assert 2 <= len(plans) <= 1 + sum(MOST)
    for at, plan in enumerate(plans[1:], 1):
        monkeypatch.setattr(trial, "fastest", lambda _, at=at: (at, 1.5))
        tuned = Native(graph, target, tune_for=SIZES["batch"])
        assert f'plan="{plan}"' in tuned.program.stages["autotune"].text()
        for threads in (1, 3):
            found = tuned.run(feeds, SIZES, threads=threads)
            assert {k: v.tobytes() for k, v in found.items()} == {
                k: v.tobytes() for k, v in usual.items()
            }, plan


@every_target
@each_graph
def test_they_fit_the_target_and_are_close(graph: Graph, target: Target) -> None:
    body, node = contraction(graph)
    plans = alternatives(body, node, target, SIZES, in_loop=False, scratch=ANY)
    assert plans[0] == plan_contraction(body, node, target)
    assert len(set(map(str, plans))) == len(plans)
    for plan in plans:
        sums = plan.tile_rows * plan.tile_vectors
        assert sums <= target.tile_rows * target.tile_vectors
        assert sums + plan.tile_vectors + 1 <= target.registers
        assert estimate(plan, SIZES) <= CLOSE * estimate(plans[0], SIZES)


@every_target
@each_graph
def test_annotations_are_read_back(graph: Graph, target: Target) -> None:
    body, node = contraction(graph)
    for plan in alternatives(body, node, target, SIZES, in_loop=False, scratch=ANY):
        node.attrs["plan"] = str(plan)
        text = to_text(body.graph)
        assert to_text(parse(text)) == text and str(plan) in text
        assert plan_contraction(body, node, target) == plan


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ("fast", "plan 'fast': expected one such as '12x32 k784 chunk 8 group 2'"),
        ("4x32 k0 chunk 8 group 2", "expected one such as"),
        ("4x33 k21 chunk 8 group 2", "vectors have 4 elements"),
        ("4x32 k22 chunk 8 group 2", "segments 21"),
    ],
)
def test_plans_that_do_not_fit_are_refused(plan: str, message: str) -> None:
    body, node = contraction(GRAPHS["conv"])
    node.attrs["plan"] = plan
    four_lanes = next(t for t in known_targets().values() if t.lanes == 4)
    with pytest.raises(Unsupported, match=message):
        plan_contraction(body, node, four_lanes)


@every_target
def test_what_a_loop_keeps_stays_kept(target: Target) -> None:
    """Blocks of half of K are packed anew for each chunk of rows, in a loop in each step."""
    body, node = contraction(GRAPHS["forward"])
    usual, *others = alternatives(body, node, target, SIZES, in_loop=True, scratch=ANY)
    assert kept_bytes(usual) and others
    assert all(0 < kept_bytes(plan) <= kept_bytes(usual) for plan in others)


@every_target
@each_graph
def test_none_takes_more_memory_than_there_is(graph: Graph, target: Target) -> None:
    body, node = contraction(graph)
    usual = contraction_scratch(plan_contraction(body, node, target), target)
    plans = alternatives(body, node, target, SIZES, in_loop=False, scratch=usual)
    assert all(contraction_scratch(plan, target) <= usual for plan in plans)


def test_the_model_finds_small_tiles_and_blocks_slow() -> None:
    """A tile whose sums wait for each other, and blocks of K that C goes through memory for."""
    body, node = contraction(GRAPHS["forward"])
    target = next(iter(known_targets().values()))
    width = 2 * target.lanes

    def cost(text: str) -> float:
        node.attrs["plan"] = text
        return estimate(plan_contraction(body, node, target), {"batch": 512})

    usual = cost(f"6x{width} k300 chunk 8 group 6")
    assert cost(f"2x{width} k300 chunk 24 group 6") > CLOSE * usual
    assert cost(f"6x{width} k4 chunk 8 group 6") > CLOSE * usual
