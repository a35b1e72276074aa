"""The page: one file, in a real browser: what is clicked lights up in every column."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from browser import needs_browser, run_in

from graphc import layers, models, utils
from graphc.__main__ import main
from graphc.inspect.page import page


def network() -> models.Model:
    utils.set_random_seed(0)
    inputs = layers.Input((6,), name="in")
    hidden = layers.Dense(5, activation="relu", name="hidden")(inputs)
    both = layers.Add(name="both")([layers.Dense(6, name="back")(hidden), inputs])
    model = models.Model(inputs, layers.Dense(2, "softmax", name="out")(both), name="tiny <net>")
    model.compile("adam", "mse", metrics=["accuracy"])
    return model


@pytest.fixture(scope="module")
def text() -> str:
    model = network()
    names = ["contraction.1", "contraction.2"]
    return page(model, {name: {"seconds": 2e-6, "flops": 4000, "bytes": 64} for name in names})


def test_the_page_is_one_file_without_addresses(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "from graphc import layers, models\n"
        "model = models.Sequential([layers.Input((2,)), layers.Dense(1)])\n"
    )
    output = tmp_path / "page.html"
    assert main(["explore", f"{tmp_path / 'm.py'}:model", "-o", str(output)]) == 0
    found = output.read_text()
    assert not re.findall(r'(?:src|href)="(?!data:)', found)
    assert set(re.findall(r"https?://[\w./-]+", found)) <= {"http://www.w3.org/2000/svg"}
    assert len(found) < 1_000_000


@needs_browser
def test_a_value_lights_up_from_graph_to_assembly(text: str, tmp_path: Path) -> None:
    found = run_in(
        text,
        """
        const row = [...document.querySelectorAll('[data-stage=traced] .l')]
          .find((line) => line.textContent.includes('= matmul(') && line.textContent.includes('@hidden'));
        row.click();
        await frames();
        const lit = Object.fromEntries(state.columns.map((column) => [column.stage.name,
          column.stage.lines.filter((_, at) => column.lit[at] === 2).map((line) => line.trim())]));
        const asm = state.columns.find((column) => column.stage.name === 'asm');
        return { lit, asm: asm.stage.lines.filter((_, at) => asm.lit[at]), hash: location.hash,
          layers: [...document.querySelectorAll('.node.lit')].map((box) => box.dataset.layer),
          shown: document.querySelectorAll('[data-stage=memory] .l.strong').length,
          about: document.getElementById('content').textContent };
        """,
        tmp_path,
    )
    assert all("@hidden:forward" in line for line in found["lit"]["traced"])
    assert any("= matmul(" in line for line in found["lit"]["simplify"])
    assert any("= fused(" in line for line in found["lit"]["memory"]) and found["shown"]
    assert any(line.strip().startswith("vfmadd") or "mul" in line for line in found["asm"])
    assert found["layers"] == ["hidden"]
    assert found["hash"].startswith("#train/value/traced/matmul_")
    assert "contraction.1" in found["about"]


@needs_browser
def test_a_kernel_by_deep_link_and_keys(text: str, tmp_path: Path) -> None:
    found = run_in(
        text,
        """
        const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        const first = { kind: state.selection.kind, name: state.program.kernels[state.selection.kernel].name };
        const before = state.columns.length;
        press('9'); await frames();
        const columns = state.columns.map((column) => column.stage.name);
        press('w'); await frames();
        const heads = [...document.querySelectorAll('#content th')].map((head) => head.textContent);
        const timed = document.querySelectorAll('.timeline i').length;
        const theme = document.documentElement.dataset.theme;
        press('t'); press('m'); await frames();
        const rects = document.querySelectorAll('.memory rect.b').length;
        press('Escape');
        return { first, timed, before, columns, heads, rects, none: state.selection === null,
          turned: theme !== document.documentElement.dataset.theme };
        """,
        tmp_path,
        "#train/kernel/contraction.2",
    )
    assert found["first"] == {"kind": "kernel", "name": "contraction.2"}
    assert found["before"] == 4 and "llvm" in found["columns"]
    assert found["timed"] == 2
    assert {"time", "GFLOP/s", "share of time"} <= set(found["heads"])
    assert found["rects"] > 0 and found["none"] and found["turned"]


@needs_browser
def test_search_layers_and_passes(text: str, tmp_path: Path) -> None:
    found = run_in(
        text,
        """
        const box = document.getElementById('search');
        box.focus();
        box.value = 'hidd';
        box.dispatchEvent(new Event('input'));
        const results = document.querySelectorAll('#results div').length;
        box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }));
        await frames();
        const selected = state.selection;
        const plus = [...document.querySelectorAll('.node')].find((node) => node.dataset.layer === 'hidden').querySelector('.plus');
        plus.dispatchEvent(new MouseEvent('click', { bubbles: true }));
        await frames();
        const inner = [...document.querySelectorAll('.node.ir')].map((node) => node.querySelector('text').textContent);
        showPanel('passes');
        [...document.querySelectorAll('#content tbody tr')].find((row) => row.textContent.startsWith('simplify')).click();
        await frames();
        const rules = document.querySelector('.rules').textContent;
        return { results, selected, rules, inner, title: document.querySelector('h1').textContent,
          removed: document.querySelectorAll('.diff .del').length };
        """,
        tmp_path,
    )
    assert found["results"] > 1 and found["removed"] > 1
    assert found["selected"] == {"kind": "layer", "name": "hidden"}
    assert "matmul" in found["inner"] and "maximum" in found["inner"]
    assert found["rules"].startswith("rules that fired:") and "\u00d7" in found["rules"]
    assert found["title"] == "graphctiny <net>"
