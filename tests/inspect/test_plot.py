"""plot_model: DOT by itself, pictures by Graphviz."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from graphc import layers, models
from graphc.utils import plot_model


def nested() -> models.Model:
    inner = models.Sequential(
        [layers.Input((4,)), layers.Dense(4, "relu", name="first"), layers.Dense(4, name="second")],
        name="inner",
    )
    inputs = layers.Input((4,), name="in")
    both = layers.Add(name="both")([inner(inputs), inputs])
    return models.Model(inputs, both, name="outer")


def drawn(tmp_path: Path, model: models.Model, **options: object) -> tuple[list[str], list[str]]:
    """(titles of the boxes, edges by title) of the DOT file."""
    plot_model(model, tmp_path / "m.dot", show_layer_names=True, **options)  # type: ignore[arg-type]
    text = (tmp_path / "m.dot").read_text()
    titles = dict(re.findall(r"(n_\w+) \[label=.*?<b>([^<]*)</b>", text))
    edges = [f"{titles[a]} {titles[b]}" for a, b in re.findall(r"(n_\w+) -> (n_\w+);", text)]
    return list(titles.values()), edges


def test_layers_and_edges(tmp_path: Path) -> None:
    titles, edges = drawn(tmp_path, nested())
    assert titles == ["in", "inner", "both"]
    assert edges == ["in inner", "inner both", "in both"]


def test_nested_models_as_clusters(tmp_path: Path) -> None:
    titles, edges = drawn(tmp_path, nested(), expand_nested=True)
    assert sorted(titles)[:3] == ["both", "first", "in"] and "inner" not in titles
    assert {"first second", "second both", "in both"} <= set(edges) and len(edges) == 5
    assert 'subgraph cluster_n_1 { label="inner"' in (tmp_path / "m.dot").read_text()


def test_what_boxes_say(tmp_path: Path) -> None:
    model = models.Sequential([layers.Input((4,)), layers.Dense(3, "relu", trainable=False)])
    drawn(tmp_path, model, show_shapes=True, show_dtype=True, show_layer_activations=True,
          show_trainable=True, rankdir="LR")  # fmt: skip
    text = (tmp_path / "m.dot").read_text()
    for part in ("Input: <b>(None, 4)</b>", "Output: <b>(None, 3)</b>", "Dtype: <b>float32</b>",
                 "Activation: <b>relu</b>", "Not trainable", "rankdir=LR"):  # fmt: skip
        assert part in text


@pytest.mark.skipif(shutil.which("dot") is None, reason="no Graphviz on this machine")
@pytest.mark.parametrize(("name", "start"), [("m.svg", b"<?xml"), ("m.png", b"\x89PNG")])
def test_graphviz_draws(tmp_path: Path, name: str, start: bytes) -> None:
    plot_model(nested(), tmp_path / name, show_shapes=True, expand_nested=True, dpi=40)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.skipif(shutil.which("dot") is None, reason="no Graphviz on this machine")
def test_an_unknown_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Graphviz cannot write .*m\.xyz"):
        plot_model(nested(), tmp_path / "m.xyz")


def test_errors_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ImportError, match=r"m\.png needs Graphviz.*or write a \.dot file"):
        plot_model(nested(), tmp_path / "m.png")
    with pytest.raises(ValueError, match="needs an input_shape or data first"):
        plot_model(models.Sequential([layers.Dense(2)]), tmp_path / "m.dot")
    with pytest.raises(ValueError, match="Unknown rankdir 'down'"):
        plot_model(nested(), tmp_path / "m.dot", rankdir="down")
