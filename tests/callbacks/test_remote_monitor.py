"""RemoteMonitor: what a server gets."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import parse_qs

import numpy as np
import pytest

from graphc import callbacks


class Recorder(BaseHTTPRequestHandler):
    requests: ClassVar[list[tuple[str, Any, str]]] = []
    status = 200

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.requests.append((self.path, self.headers, content))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def root() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Recorder) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
    Recorder.requests.clear()
    Recorder.status = 200


LOGS = {"accuracy": np.float32(0.5), "f1": np.array([0.25, 1.0]), "loss": 1.5}
SENT = {"epoch": 3, "accuracy": 0.5, "f1": [0.25, 1.0], "loss": 1.5}


def run(monitor: callbacks.RemoteMonitor) -> None:
    calls = callbacks.CallbackList(monitor, model=SimpleNamespace())
    calls.on_epoch_end(3, LOGS)


def test_a_form(root: str) -> None:
    run(callbacks.RemoteMonitor(root))
    path, headers, content = Recorder.requests.pop()
    assert path == "/publish/epoch/end/"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert json.loads(parse_qs(content, strict_parsing=True)["data"][0]) == SENT


def test_json(root: str) -> None:
    run(callbacks.RemoteMonitor(root, "/here", headers={"X-Run": "7"}, send_as_json=True))
    path, headers, content = Recorder.requests.pop()
    assert path == "/here"
    assert (headers["Content-Type"], headers["X-Run"]) == ("application/json", "7")
    assert json.loads(content) == SENT


def test_failures_are_warnings(root: str) -> None:
    Recorder.status = 500
    with pytest.warns(UserWarning, match=f"could not send epoch 3 to {root}/publish/epoch/end/: "):
        run(callbacks.RemoteMonitor(root))
    with pytest.warns(UserWarning, match=r"http://127\.0\.0\.1:9/publish/epoch/end/: .*refused"):
        run(callbacks.RemoteMonitor("http://127.0.0.1:9"))
