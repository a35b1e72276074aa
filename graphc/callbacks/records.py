"""Callbacks that keep what an epoch reported: in memory, in a file, on a server."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from .callback import Callback, Logs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SECONDS_FOR_AN_ANSWER = 10


class History(Callback):
    """Keeps the logs of every epoch; what `fit` returns, and `model.history`.

    Attributes:
        history: name -> list of values, one an epoch. Goes on over several runs with one
            History; `fit` makes a new one each time.
        epoch: numbers of the epochs of the last run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self

    def plot(self, names: Sequence[str] | None = None) -> Figure:
        """Draws the curves of the epochs so far with matplotlib (the extra `plot`).

        Args:
            names: what to draw, each in a plot of its own together with its `val_` curve; all of
                it by default.

        Returns:
            The matplotlib figure: notebooks show it, `savefig` writes it.

        Raises:
            ValueError: before the first epoch, or for a name that is not in `history`.
            ImportError: when matplotlib is not installed.
        """
        return drawing("History.plot")(self.history, names, "History.plot")


def drawing(owner: str) -> Callable[..., Figure]:
    """What draws curves, see `curves.curves`.

    Raises:
        ImportError: when matplotlib is not installed, naming the owner.
    """
    try:
        from .curves import curves  # noqa: PLC0415 (matplotlib is an extra)
    except ImportError:
        raise ImportError(f"{owner} draws with matplotlib: pip install 'graphc[plot]'") from None
    return curves


class CSVLogger(Callback):
    """Writes a line for each epoch into a CSV file: epoch, then the values sorted by name.

    The columns are those of the first epoch. If it had no validation, a `val_` column follows
    for each, so that later epochs may fill it; a missing value reads NA (as in Keras).

    Args:
        filename: path of the file.
        separator: between the columns; "," by default.
        append: whether to add to a file that exists, without a second header, rather than
            overwrite it, the default.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self._file: IO[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.on_close()
        self._file = open(self.filename, "a" if self.append else "w", newline="")  # noqa: SIM115
        self.keys = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        assert self._file is not None, "on_train_begin opens the file"
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.sep)
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):
                self.keys += [f"val_{name}" for name in self.keys]
            if self._file.tell() == 0:  # new, or empty, or not appending
                writer.writerow(["epoch", *self.keys])
        writer.writerow([epoch, *(_cell(logs.get(name, "NA")) for name in self.keys)])
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        self.on_close()

    def on_close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _cell(value: Any) -> Any:
    if isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim):
        return f'"[{", ".join(map(str, value))}]"'
    return value


class RemoteMonitor(Callback):
    """Sends what each epoch reported to a server, by HTTP POST (Keras's).

    A server that does not answer, or not with success, is a warning, and training goes on.

    Args:
        root: the server's address; "http://localhost:9000" by default.
        path: what follows it; "/publish/epoch/end/" by default.
        field: name of the form's field that has the epoch and its logs as JSON; "data" by default.
        headers: more headers of the request.
        send_as_json: whether to send the JSON as it is, with its content type, and no form.
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        # Imported here, as it takes as long as importing half of graphc's own modules.
        from http.client import HTTPException  # noqa: PLC0415
        from urllib.parse import urlencode  # noqa: PLC0415
        from urllib.request import Request, urlopen  # noqa: PLC0415

        text = json.dumps({"epoch": epoch, **{k: _plain(v) for k, v in (logs or {}).items()}})
        kind = "json" if self.send_as_json else "x-www-form-urlencoded"
        headers = {"Content-Type": f"application/{kind}", **(self.headers or {})}
        content = text if self.send_as_json else urlencode({self.field: text})
        request = Request(self.root + self.path, content.encode(), headers, method="POST")
        try:
            urlopen(request, timeout=_SECONDS_FOR_AN_ANSWER).close()
        except (OSError, HTTPException) as error:
            warnings.warn(
                f"RemoteMonitor: could not send epoch {epoch} to {request.full_url}: {error}",
                stacklevel=2,
            )


def _plain(value: Any) -> Any:
    """A log that JSON can have: arrays of several values become lists."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
