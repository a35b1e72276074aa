"""The documentation that is made from the code is that of this code."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_vocabulary_is_that_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("make_vocabulary", DOCS / "make_vocabulary.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (DOCS / "vocabulary.md").read_text()
    assert written == module.page(), "run python docs/make_vocabulary.py"
