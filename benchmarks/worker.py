"""One contender on one workload, in a process of its own: commands on stdin, answers on stdout."""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contenders import CONTENDERS, Model
from workloads import PREDICTED, WORKLOADS

ROUND = 1.0  # seconds of a round of training at least


def serve(contender: str, workload: str) -> None:
    """Build the model, take one training step, then answer commands until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    try:
        work = WORKLOADS[workload]
        model = CONTENDERS[contender](workload)
        model.train(*work.data(work.batch))
        answer(version=model.version)
        x, y = work.data(work.batch * (1 if workload in PREDICTED else work.steps))
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "train":
                answer(step=epoch(lambda: model.train(x, y)) / work.steps)
            elif command == "predict":
                times = {name: latency(call, x[:1]) for name, call in one_row(model).items()}
                answer(**times, batch=latency(model.call, x))
            elif command == "memory":
                answer(**memory(model, x[:1], int(arguments[0])))
            elif command == "limits":
                answer(**(model.limits() if model.limits else {}))
            elif command == "most":
                answer(most=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    except ImportError as error:
        answer(failure=f"not installed ({error})")
    except LookupError as error:
        answer(failure=str(error))
    except Exception:
        answer(failure=traceback.format_exc())


def epoch(train: Callable[[], None]) -> float:
    """Seconds of an epoch, the mean of as many as fill a round."""
    start, epochs = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < ROUND or not epochs:
        train()
        epochs += 1
    return spent / epochs


def one_row(model: Model) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    return {"call": model.call} | ({"predict": model.predict} if model.predict else {})


def latency(call: Callable[[np.ndarray], np.ndarray], x: np.ndarray, seconds: float = 0.5) -> float:
    """The median time of a call, in seconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end or len(times) < 5:
        call(x)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def memory(model: Model, x: np.ndarray, calls: int) -> dict[str, int]:
    """Resident bytes before and after many calls with one row, after a hundred to warm up."""
    resident = []
    for times in (100, calls):
        for call in one_row(model).values():
            for _ in range(times):
                call(x)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * resource.getpagesize())
    return {"before": resident[0], "after": resident[1]}


if __name__ == "__main__":
    serve(*sys.argv[1:])
