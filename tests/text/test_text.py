"""Passes on graphs in text form; see tests/support/text_cases.py for how to update."""

from __future__ import annotations

from pathlib import Path

import pytest
from text_cases import cases, expected_file, outcome

from graphc.ir.text import parse, to_text


@pytest.mark.parametrize("path", cases(), ids=lambda path: path.stem)
def test_passes_give_what_is_expected(path: Path) -> None:
    found = outcome(path)
    assert found == expected_file(path).read_text()
    assert found.startswith("error: ") or to_text(parse(found)) == found
