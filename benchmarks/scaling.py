"""How graphc's times and memory grow.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --only compile,batch --plot scaling.png

- step time against batch, width and depth of a dense network, and sequence length of an LSTM;
- compile time of a training program against depth, by the clock and by the processor: 10, 100 and
  1,000 dense layers;
- memory against batch and depth: what the plan says a training step takes besides weights and data,
  by default, with compile(memory="small"), and with products made again as well.

A step's time is the least of several runs. The plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from graphc import config, layers, models
from graphc.compiler import PLANS, Executable, compile_trace
from graphc.data import Data
from graphc.execution import Run

SECONDS = 0.5  # of measuring a step

# A model's input shape, the model, and a batch size.
Built = tuple[tuple[int, ...], Any, int]


def dense(width: int = 256, depth: int = 3, batch: int = 128) -> Built:
    """A network of layers of one width."""
    hidden = [layers.Dense(width, activation="relu") for _ in range(depth)]
    return (width,), models.Sequential([layers.Input((width,)), *hidden, layers.Dense(10)]), batch


def lstm(steps: int) -> Built:
    """An LSTM of 64 units over a sequence of 32 features."""
    shape = (steps, 32)
    return shape, models.Sequential([layers.Input(shape), layers.LSTM(64), layers.Dense(10)]), 64


def trained(built: Built, plan: str = "fast") -> tuple[Executable, Run, int]:
    """The training program and a run through one batch of data."""
    shape, model, batch = built
    model.compile("adam", "mse")
    random = np.random.default_rng(0)
    x, y = (random.random((batch, *s), np.float32) for s in (shape, (10,)))
    data = Data([x], [y])
    trace, training = model.traced("train", data.types("rows"), tuple(model.trainable_weights))
    program = compile_trace(trace, training, memory=plan)
    return program, Run(program, data, np.arange(batch)), batch


def step_time(built: Built) -> float:
    """Milliseconds of a training step."""
    _, run, batch = trained(built)
    run.go(0, 1, batch)
    best, spent = float("inf"), 0.0
    while spent < SECONDS:
        start = time.perf_counter()
        run.go(0, 1, batch)
        took = time.perf_counter() - start
        best, spent = min(best, took), spent + took
    return 1e3 * best


def compile_time(built: Built) -> float:
    """Seconds."""
    program, _, _ = trained(built)
    return program.seconds


def compile_processor_time(built: Built) -> float:
    """Seconds of processor time, which other work on the machine lengthens less; with tracing."""
    start = time.process_time()
    trained(built)
    return time.process_time() - start


def memory(plan: str, built: Built) -> float:
    """Megabytes of the arena."""
    program, run, batch = trained(built, plan)
    return program.planned_bytes(batch, run.symbols) / 1e6


@dataclass(frozen=True)
class Series:
    """A measure of models that one number describes."""

    measure: Callable[[Built], float]
    unit: str
    along: str
    numbers: tuple[int, ...]
    build: Callable[[int], Built]


ALL = {
    "batch": Series(
        step_time, "ms a step", "batch", (1, 4, 16, 64, 256, 1024), lambda n: dense(batch=n)
    ),
    "width": Series(
        step_time, "ms a step", "width", (16, 64, 256, 1024, 2048), lambda n: dense(width=n)
    ),
    "depth": Series(
        step_time, "ms a step", "layers", (1, 4, 16, 64), lambda n: dense(width=128, depth=n)
    ),
    "sequence": Series(step_time, "ms a step", "steps", (10, 50, 250, 1000), lstm),
    "compile": Series(
        compile_time, "s to compile", "layers", (10, 100, 1000), lambda n: dense(64, n)
    ),
    "compile-processor": Series(
        compile_processor_time, "s of processor", "layers", (10, 100, 1000), lambda n: dense(64, n)
    ),
}
for _plan in PLANS:
    ALL[f"memory-batch-{_plan}"] = Series(
        partial(memory, _plan), "MB of arena", "batch", (16, 64, 256, 1024),
        lambda n: dense(batch=n),
    )  # fmt: skip
    ALL[f"memory-depth-{_plan}"] = Series(
        partial(memory, _plan), "MB of arena", "layers", (1, 4, 16, 64),
        lambda n: dense(depth=n, batch=1024),
    )  # fmt: skip


def plot(results: dict[str, list[float]], path: Path) -> None:
    """Log-log curves, a panel a series."""
    from matplotlib import pyplot  # noqa: PLC0415 (optional)

    _, panels = pyplot.subplots(1, len(results), figsize=(4 * len(results), 3.5), squeeze=False)
    for panel, (name, values) in zip(panels[0], results.items(), strict=True):
        series = ALL[name]
        panel.loglog(series.numbers, values, marker="o")
        panel.set(title=name, xlabel=series.along, ylabel=series.unit)
    pyplot.tight_layout()
    pyplot.savefig(path)


def main() -> None:
    """Print a table for each series: the number, what was measured, and by how much both grew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("--only", type=lambda names: names.split(","), default=list(ALL), help=",".join(ALL))
    option("--plot", type=Path, metavar="FILE", help="draw the curves, too")
    options = parser.parse_args()
    for name in options.only:
        if name not in ALL:
            parser.error(f"no such series: {name!r}; known are {', '.join(ALL)}")
    os.environ["GRAPHC_CACHE"] = "off"  # or nothing would be compiled the second time
    print(f"{config.num_threads()} threads")
    row = "{:>10}{:>16}{:>10}{:>10}".format
    results: dict[str, list[float]] = {}
    for name in options.only:
        series, values = ALL[name], results.setdefault(name, [])
        print(f"\n{name}\n{row(series.along, series.unit, 'grew', 'by')}")
        for at, number in enumerate(series.numbers):
            values.append(series.measure(series.build(number)))
            growth = ["", ""]
            if at:
                growth = [
                    f"x{number / series.numbers[at - 1]:g}",
                    f"x{values[at] / values[at - 1]:.2f}",
                ]
            print(row(number, f"{values[at]:.3f}", *growth), flush=True)
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
