"""Tests of passes as text: tests/text/NAME.graph and what comes of it, NAME.expected.

The first line of a graph says how it is run, as the arguments of `graphc opt` say it. After a pass
was changed on purpose, this writes the expected files anew, for the change to be read in the diff:

    python tests/support/text_cases.py
"""

from __future__ import annotations

import shlex
from pathlib import Path

from graphc.__main__ import parser
from graphc.inspect.graphs import run_passes
from graphc.ir.graph import GraphError
from graphc.ir.text import parse, to_text

FOLDER = Path(__file__).parents[1] / "text"


def cases() -> list[Path]:
    """The graphs' files."""
    return sorted(FOLDER.glob("*.graph"))


def expected_file(path: Path) -> Path:
    return path.with_suffix(".expected")


def outcome(path: Path) -> str:
    """The graph after the passes, or the error that says why there is none."""
    text = path.read_text()
    head = text.partition("\n")[0].removeprefix("// ")
    options = parser().parse_args(["opt", str(path), *shlex.split(head)])
    try:
        wrt = options.wrt.split(",") if options.wrt else ()
        return to_text(run_passes(parse(text), options.passes.split(","), options.loss, wrt))
    except GraphError as error:
        return f"error: {error}\n"


if __name__ == "__main__":
    for case in cases():
        expected_file(case).write_text(outcome(case))
