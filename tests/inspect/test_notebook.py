"""What notebooks show of models and graphs."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from graphc import layers, models
from graphc.ir.text import parse

SVG = "{http://www.w3.org/2000/svg}"


def boxes(html: str) -> list[list[str]]:
    """The texts of each box of the picture."""
    picture = ET.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    return [[text.text or "" for text in g.iter(f"{SVG}text")] for g in picture.iter(f"{SVG}g")]


def test_a_model_shows_its_layers_and_summary() -> None:
    inputs = layers.Input((4,), name="in")
    hidden = layers.Dense(3, name="hidden")
    both = layers.Add(name="both")([hidden(inputs), hidden(inputs)])
    html = models.Model(inputs, both, name="a<b")._repr_html_()
    assert [first for first, _ in boxes(html)] == ["in", "hidden", "hidden", "both"]
    assert ["both", "Add (·, 3)"] in boxes(html)
    assert html.count('class="e"') == 4 and "<b>a&lt;b</b>" in html
    assert "Total params" in html


def test_a_model_without_shapes_shows_its_name() -> None:
    assert "late" in models.Sequential([layers.Dense(2)], name="late")._repr_html_()


def test_a_graph_shows_its_nodes_or_only_text_when_they_are_many() -> None:
    lines = ['  %x = input() {role="data"} : f32[3]', "  %y0 = exp(%x) : f32[3]"]
    small = parse("\n".join(["graph g {", *lines, "  return y=%y0\n}"]))
    assert boxes(small._repr_html_()) == [["input", "%x f32[3]"], ["exp", "%y0 f32[3]"]]
    lines += [f"  %y{n} = exp(%y{n - 1}) : f32[3]" for n in range(1, 200)]
    large = parse("\n".join(["graph g {", *lines, "  return y=%y199\n}"]))
    assert "<svg" not in large._repr_html_() and "%y199 = exp(%y198)" in large._repr_html_()
