"""Planned peaks and step times of compile(memory="fast"), "small", and with segments made again.

    python benchmarks/memory.py cnn resnet incept transformer

A peak is what a training step takes besides weights and data, at the workload's batch size: what
`model.explain()` prints and `fit` allocates. Plans take turns; a time is the least of all rounds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from workloads import WORKLOADS

from graphc import config
from graphc.compiler import PLANS, compile_trace
from graphc.data import Data
from graphc.execution import Run

ROUNDS = 15


def measured(workload: str) -> list[tuple[int, float]]:
    """Bytes and seconds of a step for each plan."""
    work = WORKLOADS[workload]
    x, y = work.data(work.batch)
    data, runs = Data([x], [y]), []
    for plan in PLANS:
        model = work.model("graphc")
        traced = model.traced("train", data.types("rows"), tuple(model.trainable_weights))
        runs.append(Run(compile_trace(*traced, memory=plan), data, np.arange(work.batch)))
    times = [float("inf")] * len(runs)
    for _ in range(ROUNDS):
        for at, run in enumerate(runs):
            start = time.perf_counter()
            run.go(0, 1, work.batch, config.num_threads())
            times[at] = min(times[at], time.perf_counter() - start)
    peaks = [run.program.planned_bytes(work.batch, run.symbols) for run in runs]
    return list(zip(peaks, times, strict=True))


def main() -> None:
    """Print a row for each workload."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", choices=[*WORKLOADS, []])
    names = parser.parse_args().workloads or list(WORKLOADS)
    print(f"{config.num_threads()} threads; planned peak in MB, ms a step")
    row = "{:>12}{:>7}".format("workload", "batch")
    print(row + "".join(f"{plan:>12}{'':>9}" for plan in PLANS))
    for name in names:
        row = f"{name:>12}{WORKLOADS[name].batch:>7}"
        for peak, seconds in measured(name):
            row += f"{peak / 1e6:>12.1f}{1e3 * seconds:>9.2f}"
        print(row, flush=True)


if __name__ == "__main__":
    main()
