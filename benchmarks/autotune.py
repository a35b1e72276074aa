"""What `compile(autotune=True)` gains: training steps with and without it, in turns.

    GRAPHC_CACHE=off python benchmarks/autotune.py mlp_l cnn

Figures are the least and the median of the rounds, in ms a step; "first step" includes compiling,
and for the second model the timing of kernels.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from workloads import WORKLOADS, Workload

SECONDS = 10.0
STEPS = 8  # of a round


def main() -> None:
    """Print each workload's times, and what was tuned."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="+", choices=list(WORKLOADS))
    for name in parser.parse_args().workloads:
        work = WORKLOADS[name]
        models = {"usual": work.model("graphc"), "tuned": work.model("graphc")}
        models["tuned"].compile(models["tuned"].optimizer, work.loss, autotune=True)
        first = {kind: seconds(model, work, 1) for kind, model in models.items()}
        times: dict[str, list[float]] = {kind: [] for kind in models}
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            for kind, model in models.items():
                times[kind].append(1e3 * seconds(model, work, STEPS) / STEPS)
        for kind, found in times.items():
            print(
                f"{name:12}{kind:8}{min(found):9.3f}{statistics.median(found):9.3f} ms, "
                f"first step {first[kind]:.2f} s"
            )
        ((_, program),) = models["tuned"].compiled_programs()
        for choice in program.tuned:
            print(
                f"    {choice.kernel}: {choice.plan} rather than {choice.usual}: "
                f"{choice.speedup:.2f} times as fast"
            )


def seconds(model: Any, work: Workload, steps: int) -> float:
    """An epoch of so many steps."""
    x, y = work.data(steps * work.batch)
    start = time.perf_counter()
    model.fit(x, y, batch_size=work.batch, verbose=0)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
