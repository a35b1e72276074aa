"""Modules compiled in parts: the same results, whatever the number."""

from __future__ import annotations

import numpy as np
import pytest
from graphs import Array, build, examples, tensor
from native import Native

from graphc import config
from graphc.codegen import parallel
from graphc.codegen.jit import target_machine
from graphc.codegen.program import generate
from graphc.codegen.target import detect
from graphc.ir.graph import Graph, Node
from graphc.passes.shapes import Builder


def net() -> Graph:
    """Kernels of several kinds, with a table of constants."""

    def function(b: Builder, x: Node, w: Node) -> dict[str, Node]:
        y = b.node("tanh", b.node("matmul", x, w, transpose_a=False, transpose_b=False))
        values = {"value": np.arange(7, dtype=np.float32)}
        table = b.graph.add("const", (), values, type=tensor("f32", 7))
        z = b.node("mul", y, b.node("broadcast", table, shape=y.tensor.shape, axes=(1,)))
        return {"z": z, "sum": b.node("reduce_sum", z, axes=(0,))}

    return build(function, "f32[batch, 5]", "f32[5, 7]")


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_parts(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> dict[str, Array]:
        native = Native(net())
        sizes = {"batch": 9}
        return native.run(examples(native.graph, symbols=sizes), sizes, threads=2)

    monkeypatch.setenv("GRAPHC_CACHE", "off")
    whole = run()
    monkeypatch.setattr(parallel, "PART_INSTRUCTIONS", 1)
    monkeypatch.setattr(config, "num_threads", lambda: parts)
    for name, value in run().items():
        assert value.tobytes() == whole[name].tobytes()


def test_every_function_is_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "PART_INSTRUCTIONS", 1)
    module = generate(Native(net()).program.graph, detect()).module
    texts = parallel.split(module, 3)
    for function in (f for f in module.functions if f.blocks):
        head = f'@"{function.name}"('
        found = [line for t in texts for line in t.splitlines() if head in line]
        assert sum(line.startswith("define ") for line in found) == 1


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"LLVM IR: .*expected"):
        parallel.optimise("no module", target_machine(detect()))


def test_joined_bytes_come_apart() -> None:
    for parts in ([], [b""], [b"a", b"", b"bcd" * 99]):
        assert parallel.parted(parallel.joined(parts)) == parts
