"""The documentation that is made from the code is that of this code."""

import importlib.util
import re
from pathlib import Path

import pytest

from graphc.codegen.target import known_targets

DOCS = Path(__file__).parents[1] / "docs"


X86 = pytest.mark.skipif("avx2" not in known_targets(), reason="the page shows x86-64's assembly")


@pytest.mark.parametrize("name", ["vocabulary", "ir", pytest.param("walkthrough", marks=X86)])
def test_a_page_is_that_of_the_code(name: str) -> None:
    spec = importlib.util.spec_from_file_location(f"make_{name}", DOCS / f"make_{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (DOCS / f"{name}.md").read_text()
    assert written == module.page(), f"run python docs/make_{name}.py"


def test_the_examples_of_the_pages_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "configurations.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "configurations.md", "exec"), {"__name__": "example"})
