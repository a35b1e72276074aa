"""Pictures of models: `plot_model`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from graphc.errors import unknown_name


def plot_model(
    model: Any,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> None:
    """Writes a picture of a model's layers (`keras.utils.plot_model`).

    Args:
        model: with known shapes.
        to_file: a path; its suffix chooses the format: .dot is always there, .svg, .png, .pdf and
            others need Graphviz's program `dot`.
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable: what each
            layer's box says besides its class.
        rankdir: "TB" for top to bottom (default), "LR" for left to right.
        expand_nested: whether models within the model are drawn as clusters of their layers.
        dpi: dots per inch of a bitmap.
        splines: how edges are drawn: "ortho" (default), "curved", "polyline", "spline" or "line".

    Raises:
        ValueError: for a model without shapes, an unknown rankdir, or a format that Graphviz does
            not know.
        ImportError: when the format needs Graphviz and it is not installed.
    """
    from graphc.inspect import dot  # noqa: PLC0415 (it draws layers, which use this module)

    if rankdir not in ("TB", "LR", "BT", "RL"):
        raise unknown_name("rankdir", rankdir, ["TB", "LR", "BT", "RL"])
    options = dot.Options(
        show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable,
        expand_nested,
    )  # fmt: skip
    dot.write(dot.dot_text(model, options, rankdir, dpi, splines), Path(to_file))
