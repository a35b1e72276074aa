"""Processes that train the same script at the same time do not spoil each other's files."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from graphc import models

SCRIPT = Path(__file__).parent / "support" / "side_by_side.py"


def start(folder: Path, name: str, cache: Path) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-W", "error", str(SCRIPT), str(folder), name]
    return subprocess.Popen(command, env={**os.environ, "GRAPHC_CACHE": str(cache)})


def test_processes_share_cache_checkpoints_and_backups(tmp_path: Path) -> None:
    shared, alone, cache = (tmp_path / name for name in ("shared", "alone", "cache"))
    running = [start(shared, name, cache) for name in ("one", "two")]
    loaded = 0
    while any(process.poll() is None for process in running):
        if (shared / "last.keras").exists():  # whole whenever it is there
            models.load_model(shared / "last.keras")
            loaded += 1
    assert [process.returncode for process in running] == [0, 0] and loaded
    names = {path.name for path in shared.iterdir()} - {"backup"}
    assert names == {"one.npz", "two.npz", "last.keras", "best.weights.h5"}
    kept = {path.name: path.stat() for path in cache.iterdir()}
    assert kept and not any(name.startswith(".") for name in kept)  # nothing half written

    assert start(alone, "third", cache).wait() == 0
    again = {path.name: path.stat() for path in cache.iterdir()}
    assert {n: s.st_ino for n, s in again.items()} == {n: s.st_ino for n, s in kept.items()}
    assert all(again[name].st_mtime_ns > kept[name].st_mtime_ns for name in kept)  # it was run
    wanted = np.load(alone / "third.npz")
    for name in ("one", "two"):
        got = np.load(shared / f"{name}.npz")
        assert set(got) == set(wanted)
        for key in wanted:
            np.testing.assert_array_equal(got[key], wanted[key])
    last = models.load_model(shared / "last.keras")
    for at, weight in enumerate(last.get_weights()):
        np.testing.assert_array_equal(weight, wanted[f"arr_{at}"])
    last.load_weights(shared / "best.weights.h5")
