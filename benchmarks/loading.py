"""How long a model of 100 MB takes to load, beside reading its file, and how much memory.

    python benchmarks/loading.py

The goal: less than twice the time of reading the file, and a peak of less than twice its size.
Each load is a process of its own, after one that warms the system's file cache; the least of five.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from graphc import layers, models

RUNS = 5


def seconds(action: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def peak() -> int:
    """The most memory this process has had, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def measure(path: Path) -> None:
    """Prints seconds of reading, seconds of loading, and bytes of memory for loading."""
    import h5py  # noqa: F401, PLC0415 (its import is not what is measured)

    reading = min(seconds(path.read_bytes) for _ in range(2))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = peak()
    loading = seconds(lambda: models.load_model(path))
    print(reading, loading, peak() - before)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        dense = [layers.Dense(2500) for _ in range(4)]
        model = models.Sequential([layers.Input((2500,)), *dense])
        saving = seconds(lambda: model.save(path))
        size = path.stat().st_size
        command = [sys.executable, __file__, str(path)]
        runs = [
            [float(part) for part in subprocess.check_output(command, text=True).split()]
            for _ in range(RUNS)
        ]
    reading, loading, memory = (min(column) for column in zip(*runs, strict=True))
    print(
        f"{size / 1e6:.0f} MB: saved in {saving:.2f} s; read in {reading:.2f} s, loaded in "
        f"{loading:.2f} s ({loading / reading:.1f} times) with {memory / size:.2f} times its size"
    )


if __name__ == "__main__":
    measure(Path(sys.argv[1])) if len(sys.argv) > 1 else main()
