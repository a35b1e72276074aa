"""Time graphc beside Keras (on JAX, TensorFlow, PyTorch), raw JAX and raw PyTorch.

    python benchmarks/compare.py --workloads mlp_s,predict --rounds 5
    python benchmarks/compare.py --python keras-tf=/path/to/an/environment/bin/python
    python benchmarks/compare.py --memory-check 10000

Every contender runs the same workload (workloads.py) in float32, in an interpreter of its own
that stays alive and is asked for one round at a time: contenders take turns, and only one works at
any moment; a pause between them lets the threads of the last one stop spinning. A round is a second
of training in whole epochs, or for `predict` and its kin (`predict_cnn` and so on) half a second of
calls with one row, and with a whole batch. The first round of each contender is not counted; the
figure is the median of the others. All may use the same processors. What is not installed, and what
has not been written for the raw libraries, is reported and left out.

Columns: "ratio" is the time over that of the fastest peer (graphc is not a peer), below 1 if
faster; "first step" is from starting the interpreter to the end of the first training step,
measured from outside, with nothing kept from earlier runs unless GRAPHC_CACHE names a folder for
graphc's machine code; "memory" is the most that the process held, the data included; GFLOP/s are
those of the contractions in graphc's training step, "of peak" their share of the multiply-adds
that emitted code does a second on all cores (peak.py).

Raw PyTorch uses its own optimizers, which add epsilon elsewhere than Keras does: the same work
a step, but not the same weights. Raw JAX updates as Keras does.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from contenders import BACKENDS, PEERS
from workloads import PREDICTED, WORKLOADS

WORKER = Path(__file__).with_name("worker.py")
PAUSE = 0.5  # seconds between rounds: OpenMP's threads spin for 0.2 behind their work


@dataclass
class Worker:
    """A contender's process, and the seconds from its start to its first training step."""

    contender: str
    workload: str
    python: str
    version: str = ""
    first_step: float = 0.0
    failure: str = ""
    rounds: list[dict[str, float]] = field(default_factory=list)
    most: float = 0.0
    limits: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        environment = {"GRAPHC_CACHE": "off", "TF_CPP_MIN_LOG_LEVEL": "3"} | os.environ
        if self.contender in BACKENDS:
            environment["KERAS_BACKEND"] = BACKENDS[self.contender]
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [self.python, str(WORKER), self.contender, self.workload],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.version = self.receive().get("version", "")
        self.first_step = time.perf_counter() - start

    def receive(self) -> dict[str, Any]:
        """The worker's next answer; empty, with the failure noted, if it has none."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {}
        if not line:
            self.failure = self.failure or f"ended with status {self.process.wait()}"
        self.failure = answer.get("failure", self.failure)
        return {} if self.failure else answer

    def ask(self, command: str) -> dict[str, Any]:
        if self.failure:
            return {}
        assert self.process.stdin
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.receive()

    def median(self, name: str) -> float | None:
        values = [answer[name] for answer in self.rounds if name in answer]
        return statistics.median(values) if values else None

    def result(self) -> dict[str, Any]:
        """What the JSON file says about this contender."""
        facts = {key: value for key, value in vars(self).items() if key != "process"}
        return facts | {name: self.median(name) for name in ("step", "predict", "call", "batch")}


def compare(workload: str, workers: list[Worker], rounds: int) -> None:
    """Ask the workers for rounds, in turn."""
    command = "predict" if workload in PREDICTED else "train"
    for worker in workers:
        worker.limits = worker.ask("limits")
    for index in range(rounds + 1):
        for worker in workers:
            time.sleep(PAUSE)
            answer = worker.ask(command)
            if index and answer:
                worker.rounds.append(answer)
    for worker in workers:
        worker.most = worker.ask("most").get("most", 0.0)


def report(workload: str, workers: list[Worker]) -> None:
    """Print one workload's table, the fastest first, then what could not run."""
    work, key = WORKLOADS[workload], "call" if workload in PREDICTED else "step"
    times = {w.contender: w.median(key) or 0.0 for w in workers if w.rounds}
    best = min((time_ for name, time_ in times.items() if name != "graphc"), default=float("nan"))
    print(f"\n{workload}: {work.about}; batch {work.batch}, {work.optimizer}, {work.loss}")
    flops, peak = (next((w.limits[k] for w in workers if w.limits), 0.0) for k in ("flops", "peak"))
    row = "{:14}{:>10}{:>12}{:>9}{:>9}{:>7}{:>14}{:>11}  {}".format
    if key == "call":
        timed = ["call us", "predict us", "batch us", ""]
    else:
        timed = ["step ms", "samples/s", "GFLOP/s", "of peak"]
    print(row("contender", *timed, "ratio", "first step s", "memory MB", "version"))
    for worker in sorted((w for w in workers if w.rounds), key=lambda w: times[w.contender]):
        time_, predict = times[worker.contender], worker.median("predict")
        if key == "call":
            batch = worker.median("batch") or 0.0
            cells = [f"{time_ * 1e6:.0f}", f"{predict * 1e6:.0f}" if predict else "-"]
            cells += [f"{batch * 1e6:.0f}", ""]
        else:
            cells = [f"{time_ * 1e3:.3f}", f"{work.batch / time_:,.0f}"]
            cells += [f"{flops / time_ / 1e9:.1f}", f"{flops / time_ / peak:.0%}" if peak else "-"]
        cells += [f"{time_ / best:.2f}", f"{worker.first_step:.2f}", f"{worker.most / 1e6:.0f}"]
        print(row(worker.contender, *cells, worker.version))
    for worker in workers:
        if worker.failure:
            print(f"{worker.contender}: {worker.failure}")


def check_memory(workers: list[Worker], calls: int) -> None:
    """Print each worker's resident memory before and after many one-row predictions."""
    for worker in workers:
        if answer := worker.ask(f"memory {calls}"):
            before, after = answer["before"] / 1e6, answer["after"] / 1e6
            change = f"{before:.1f} -> {after:.1f} MB ({after - before:+.1f})"
            print(f"{worker.contender}: {calls} calls each of predict and model(x): {change}")
        else:
            print(f"{worker.contender}: {worker.failure}")


def main() -> None:
    """Read the command line; run the workloads, or the memory check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = partial(str.split, sep=",")
    option = parser.add_argument
    option("--workloads", type=names, default=list(WORKLOADS), help=",".join(WORKLOADS))
    option("--peers", type=names, help=f"of {','.join(PEERS)} (default: all)")
    option("--rounds", type=int, default=5, help="rounds counted (default: 5)")
    option("--python", action="append", default=[], metavar="NAME=PATH", help="whose interpreter")
    option("--json", type=Path, metavar="FILE", help="write all rounds here, too")
    option("--memory-check", type=int, metavar="CALLS", help="only see whether memory stays flat")
    options = parser.parse_args()
    peers = options.peers if options.peers is not None else PEERS
    if options.memory_check:
        options.workloads, peers = ["predict"], options.peers or []
    for name, known in [(n, WORKLOADS) for n in options.workloads] + [(n, PEERS) for n in peers]:
        if name not in known:
            parser.error(f"no such name: {name!r}; known are {', '.join(known)}")
    pythons = dict(entry.split("=", 1) for entry in options.python)
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, load {load}")
    if load > 0.5:
        print("Other processes are busy: expect wrong figures, of threaded peers above all.")
    for name in ["graphc", *peers]:  # not counted: brings the libraries in from disk
        Worker(name, "predict", pythons.get(name, sys.executable)).process.communicate()
    results = []
    for workload in options.workloads:
        workers = [Worker(n, workload, pythons.get(n, sys.executable)) for n in ["graphc", *peers]]
        if options.memory_check:
            check_memory(workers, options.memory_check)
        else:
            compare(workload, workers, options.rounds)
            report(workload, workers)
            results += [worker.result() for worker in workers]
        for worker in workers:
            worker.process.communicate()
    if options.json:
        options.json.write_text(
            json.dumps({"cores": cores, "load": load, "results": results}, indent=1)
        )


if __name__ == "__main__":
    main()
