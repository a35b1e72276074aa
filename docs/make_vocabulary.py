"""Writes docs/vocabulary.md: everything that Keras has in a family, and what graphc has of it.

    python docs/make_vocabulary.py

docs/keras-names.txt holds the names that Keras 3.15.1 exports. "Agreement" counts the cases under
tests/reference in which the thing is held against Keras by itself.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
REFERENCE = HERE.parent / "tests" / "reference"
HEAD = """# What there is

Written by `python docs/make_vocabulary.py` from the code; Keras's names are those of Keras 3.15.1.
"Agreement" is the number of cases in which the thing itself is held against Keras (values, and
where it trains, losses and weights after training); things without a number are tested otherwise.
"""


def cases() -> str:
    """The text of the agreement cases."""
    paths = [path for path in sorted(REFERENCE.glob("*.py")) if path.name != "configs.py"]
    return "".join(path.read_text() for path in paths)


def line(module: ModuleType, name: str, text: str) -> str:
    """A row of a table."""
    value = getattr(module, name, None)
    if value is None:
        return f"| `{name}` | not yet | | |"
    doc = (value.__doc__ or "").strip().partition("\n")[0].replace("|", "\\|")
    count = len(re.findall(rf"\"{name}\"", text))
    return f"| `{name}` | yes | {count or ''} | {doc} |"


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    text = cases()
    for row in (HERE / "keras-names.txt").read_text().splitlines():
        family, _, names = row.partition(": ")
        module = importlib.import_module(f"graphc.{family}")
        own = names.split()
        there = sum(hasattr(module, name) for name in own)
        parts.append(f"\n## {family}: {there} of {len(own)}\n")
        parts.append("| name | there | agreement | what it is |\n|---|---|---|---|")
        parts += [line(module, name, text) for name in own]
    ops = importlib.import_module("graphc.ops")
    functions = sorted(
        name for name, value in vars(ops).items() if callable(value) and name[0] != "_"
    )
    parts.append(f"\n## ops: {len(functions)} functions of keras.ops\n")
    parts.append(", ".join(f"`{name}`" for name in functions))
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    (HERE / "vocabulary.md").write_text(page())
