"""Makes `tests/support` importable: what several test modules build their graphs with."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from graphc import compiler

sys.path.insert(0, str(Path(__file__).with_name("support")))


def pytest_configure(config: pytest.Config) -> None:
    """Programs of earlier runs are compiled no more, and the user's cache stays as it is."""
    os.environ.setdefault("GRAPHC_CACHE", str(config.rootpath / ".pytest_cache" / "graphc"))


@pytest.fixture
def many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small programs too run on as many threads as they are told to."""
    monkeypatch.setattr(compiler, "WORK_FOR_THREADS", -1)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which a server on this machine gives its files."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of data sets in a cache that is empty."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets"
