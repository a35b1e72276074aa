"""Makes `tests/support` importable: what several test modules build their graphs with."""

import sys
from pathlib import Path

import pytest

from graphc import compiler

sys.path.insert(0, str(Path(__file__).with_name("support")))


@pytest.fixture
def many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small programs too run on as many threads as they are told to."""
    monkeypatch.setattr(compiler, "WORK_FOR_THREADS", -1)
