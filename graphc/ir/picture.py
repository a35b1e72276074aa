"""Small graphs as SVG, for notebooks: boxes in the generations of networkx, edges between them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import networkx as nx

WIDTH, HEIGHT, GAP_X, GAP_Y = 200, 40, 24, 26
_STYLE = (
    "<style>.b{fill:#fff;stroke:#c3cad6}.n{font:600 12px system-ui,sans-serif;fill:#1c2330}"
    ".k{font:11px system-ui,sans-serif;fill:#667085}.e{fill:none;stroke:#98a1b0}</style>"
)


def svg(boxes: Mapping[int, tuple[str, str]], edges: Sequence[tuple[int, int]]) -> str:
    """A picture of a DAG, sources on top.

    Args:
        boxes: two lines of text by number.
        edges: from number to number.
    """
    graph = nx.DiGraph()
    graph.add_nodes_from(boxes)
    graph.add_edges_from(edges)
    rows = [sorted(row) for row in nx.topological_generations(graph)]
    for row in rows[1:]:  # below what each reads, so that fewer edges cross
        place = {box: at for above in rows for at, box in enumerate(above)}
        row.sort(key=lambda box: sum(place[p] for p in graph.pred[box]) / graph.in_degree(box))
    widest = max(map(len, rows), default=1)
    width = widest * (WIDTH + GAP_X) + GAP_X
    height = len(rows) * (HEIGHT + GAP_Y) + GAP_Y
    at = {}
    for y, row in enumerate(rows):
        left = (width - len(row) * (WIDTH + GAP_X) + GAP_X) / 2
        for x, box in enumerate(row):
            at[box] = (left + x * (WIDTH + GAP_X), GAP_Y + y * (HEIGHT + GAP_Y))
    parts = [_edge(at[a], at[b]) for a, b in edges]
    parts += [_box(at[box], *text) for box, text in boxes.items()]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" style="max-width:100%;background:#f5f6f8">'
        f"{_STYLE}{''.join(parts)}</svg>"
    )


def _edge(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + WIDTH / 2, start[1] + HEIGHT, end[0] + WIDTH / 2, end[1]
    middle = (y1 + y2) / 2
    return f'<path class="e" d="M{x1},{y1}C{x1},{middle} {x2},{middle} {x2},{y2}"/>'


def _box(at: tuple[float, float], first: str, second: str) -> str:
    x, y = at
    texts = [
        f'<text class="{kind}" x="{x + 10}" y="{y + down}">{html.escape(_clipped(text))}</text>'
        for kind, down, text in (("n", 17, first), ("k", 32, second))
    ]
    box = f'<rect class="b" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="7"/>'
    title = f"<title>{html.escape(f'{first}, {second}')}</title>"
    return f"<g>{title}{box}{''.join(texts)}</g>"


def _clipped(text: str, most: int = 30) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def page(title: str, picture: str, details: str) -> str:
    """A picture with a text that opens below it."""
    return (
        f"<div><b>{html.escape(title)}</b><br>{picture}<details><summary>Text</summary>"
        f"<pre>{html.escape(details)}</pre></details></div>"
    )
