"""Time graphc beside Keras (on JAX, TensorFlow, PyTorch), raw JAX and raw PyTorch.

    python benchmarks/compare.py --workloads mlp_s,predict --rounds 5
    python benchmarks/compare.py --python keras-tf=/path/to/an/environment/bin/python
    python benchmarks/compare.py --memory-check 10000

Every contender runs the same workload in float32, in an interpreter of its own that stays
alive and is asked for one round at a time: contenders take turns, and only one works at any
moment. A round is an epoch of training, or for the workload `predict` half a second of
calls with one row. The first round of each contender is not counted; the figure is the median of
the others. All may use the same processors. What is not installed is reported and left out.

Columns: "ratio" is the time over that of the fastest peer (graphc is not a peer), below 1 if
faster; "first step" is from starting the interpreter to the end of the first training step,
measured from outside; "peak" is the most memory the process held, the data included.

Raw PyTorch uses its own optimizers, which add epsilon elsewhere than Keras does: the same work
a step, but not the same weights. Raw JAX updates as Keras does.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Workload:
    """A dense network (relu, then softmax) and how it is trained."""

    inputs: int
    widths: tuple[int, ...]
    batch: int
    rows: int
    optimizer: str
    loss: str

    @property
    def steps(self) -> int:
        return self.rows // self.batch

    def data(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Random inputs, and one-hot targets."""
        random = np.random.default_rng(0)
        labels = random.integers(0, self.widths[-1], rows)
        x = random.random((rows, self.inputs), dtype=np.float32)
        return x, np.eye(self.widths[-1], dtype=np.float32)[labels]


MSE, CROSSENTROPY = "mse", "categorical_crossentropy"
WORKLOADS = {
    "mlp_s": Workload(784, (32, 10), 128, 51_200, "RMSprop", MSE),
    "mlp_l": Workload(784, (1024, 1024, 10), 128, 12_800, "Adam", CROSSENTROPY),
    "mlp_xl": Workload(2048, (2048, 2048, 2048, 2048, 10), 512, 5_120, "Adam", CROSSENTROPY),
}
WORKLOADS["predict"] = WORKLOADS["mlp_s"]
RATE, EPSILON = 0.001, 1e-7
RHO = 0.9  # RMSprop
BETA_1, BETA_2 = 0.9, 0.999  # Adam


# ---- contenders: each gives a model that trains for an epoch and predicts one batch ----


@dataclass(frozen=True)
class Model:
    """What a contender can do, once it is built."""

    version: str
    train: Callable[[np.ndarray, np.ndarray], None]
    call: Callable[[np.ndarray], np.ndarray]
    predict: Callable[[np.ndarray], np.ndarray] | None = None


def keras_like(library: str, work: Workload) -> Model:
    """Keras on the backend the environment names, or graphc: the same code."""
    lib = import_module(library)
    layers, models, optimizers = (
        import_module(f"{library}.{part}") for part in ("layers", "models", "optimizers")
    )
    *hidden, outputs = work.widths
    model = models.Sequential(
        [layers.Input((work.inputs,))]
        + [layers.Dense(units, activation="relu") for units in hidden]
        + [layers.Dense(outputs, activation="softmax")]
    )
    model.compile(optimizer=getattr(optimizers, work.optimizer)(RATE), loss=work.loss)

    def train(x: np.ndarray, y: np.ndarray) -> None:
        model.fit(x, y, batch_size=work.batch, epochs=1, shuffle=True, verbose=0)

    def call(x: np.ndarray) -> np.ndarray:
        y = model(x)
        return np.asarray(y.detach() if hasattr(y, "detach") else y)

    version = f"{library} {getattr(lib, '__version__', '?')}"
    return Model(version, train, call, lambda x: model.predict(x, verbose=0))


def raw_jax(work: Workload) -> Model:
    """A jitted step that gathers the batch, differentiates and updates its donated state."""
    jax = import_module("jax")
    jnp = jax.numpy
    tree = jax.tree.map

    def logits(params: Any, x: Any) -> Any:
        for kernel, bias in params[:-1]:
            x = jax.nn.relu(x @ kernel + bias)
        kernel, bias = params[-1]
        return x @ kernel + bias

    def loss(params: Any, x: Any, y: Any) -> Any:
        if work.loss == MSE:
            return jnp.mean((jax.nn.softmax(logits(params, x)) - y) ** 2)
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(logits(params, x)), axis=-1))

    def rmsprop(params: Any, grads: Any, m: Any, v: Any, count: Any) -> Any:
        v = tree(lambda v, g: RHO * v + (1 - RHO) * g * g, v, grads)
        return tree(lambda p, g, v: p - RATE * g / jnp.sqrt(v + EPSILON), params, grads, v), m, v

    def adam(params: Any, grads: Any, m: Any, v: Any, count: Any) -> Any:
        m = tree(lambda m, g: m + (1 - BETA_1) * (g - m), m, grads)
        v = tree(lambda v, g: v + (1 - BETA_2) * (g * g - v), v, grads)
        rate = RATE * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
        return tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), params, m, v), m, v

    update = {"RMSprop": rmsprop, "Adam": adam}[work.optimizer]

    @partial(jax.jit, donate_argnums=0)
    def step(state: Any, x: Any, y: Any, rows: Any) -> Any:
        params, m, v, count = state
        value, grads = jax.value_and_grad(loss)(params, x[rows], y[rows])
        params, m, v = update(params, grads, m, v, count + 1)
        return (params, m, v, count + 1), value

    random = np.random.default_rng(0)
    params = [(jnp.array(kernel), jnp.zeros(kernel.shape[1])) for kernel in kernels(work, random)]
    zeros = partial(tree, jnp.zeros_like, params)
    state = (params, zeros(), zeros(), jnp.zeros(()))
    device_data: dict[int, Any] = {}  # by the identity of x: a set is put there once

    def train(x: np.ndarray, y: np.ndarray) -> None:
        nonlocal state
        if id(x) not in device_data:
            device_data.clear()
            device_data[id(x)] = jnp.asarray(x), jnp.asarray(y)
        order = random.permutation(len(x)).astype(np.int32)
        for start in range(0, len(x), work.batch):
            rows = order[start : start + work.batch]
            state, _ = step(state, *device_data[id(x)], rows)
        jax.block_until_ready(state)

    forward = jax.jit(lambda params, x: jax.nn.softmax(logits(params, x)))
    return Model(f"jax {jax.__version__}", train, lambda x: np.asarray(forward(state[0], x)))


def raw_torch(work: Workload) -> Model:
    """Eager PyTorch, with its own layers and optimizers."""
    torch = import_module("torch")
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    random = np.random.default_rng(0)
    layers: list[Any] = []
    for kernel in kernels(work, random):  # the weights, and then the batches, raw JAX has
        linear = torch.nn.Linear(*kernel.shape)
        linear.weight.data = torch.from_numpy(kernel.T.copy())
        linear.bias.data.zero_()
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    shared = {"params": model.parameters(), "lr": RATE, "eps": EPSILON}
    if work.optimizer == "RMSprop":
        optimizer = torch.optim.RMSprop(**shared, alpha=RHO, foreach=True)
    else:
        optimizer = torch.optim.Adam(**shared, fused=True)

    def loss(logits: Any, y: Any) -> Any:
        if work.loss == MSE:
            return torch.nn.functional.mse_loss(logits.softmax(-1), y)
        return torch.nn.functional.cross_entropy(logits, y)

    def train(x: np.ndarray, y: np.ndarray) -> None:
        inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
        for rows in torch.from_numpy(random.permutation(len(x))).split(work.batch):
            optimizer.zero_grad()
            loss(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()

    def call(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(model(torch.from_numpy(x)).softmax(-1))

    return Model(f"torch {torch.__version__}", train, call)


def kernels(work: Workload, random: np.random.Generator) -> list[np.ndarray]:
    """Initial kernels, in Glorot's range; biases start at zero."""
    shapes = zip((work.inputs, *work.widths), work.widths, strict=False)
    limits = [(shape, (6 / sum(shape)) ** 0.5) for shape in shapes]
    return [random.uniform(-limit, limit, shape).astype(np.float32) for shape, limit in limits]


CONTENDERS: dict[str, Callable[[Workload], Model]] = {
    "graphc": partial(keras_like, "graphc"),
    "keras-jax": partial(keras_like, "keras"),
    "keras-tf": partial(keras_like, "keras"),
    "keras-torch": partial(keras_like, "keras"),
    "jax": raw_jax,
    "torch": raw_torch,
}
BACKENDS = {"keras-jax": "jax", "keras-tf": "tensorflow", "keras-torch": "torch"}
PEERS = [name for name in CONTENDERS if name != "graphc"]


# ---- the worker: one contender, one workload, commands on stdin, answers on stdout ----


def serve(contender: str, workload: str) -> None:
    """Build the model, take one training step, then answer commands until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer

    def answer(**values: Any) -> None:
        print(json.dumps(values), file=answers, flush=True)

    try:
        work = WORKLOADS[workload]
        model = CONTENDERS[contender](work)
        model.train(*work.data(work.batch))
        answer(version=model.version)
        x, y = work.data(work.batch if workload == "predict" else work.rows)
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "train":
                start = time.perf_counter()
                model.train(x, y)
                answer(step=(time.perf_counter() - start) / work.steps)
            elif command == "predict":
                answer(**{name: latency(call, x[:1]) for name, call in one_row(model).items()})
            elif command == "memory":
                answer(**memory(model, x[:1], int(arguments[0])))
            elif command == "peak":
                answer(peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    except ImportError as error:
        answer(failure=f"not installed ({error})")
    except Exception:
        answer(failure=traceback.format_exc())


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


# ---- the parent: starts workers, asks them in turn, prints the table ----


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
    peak: float = 0.0

    def __post_init__(self) -> None:
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        if self.contender in BACKENDS:
            environment["KERAS_BACKEND"] = BACKENDS[self.contender]
        start = time.perf_counter()
        self.process = subprocess.Popen(
            [self.python, __file__, "--worker", self.contender, self.workload],
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
        return facts | {name: self.median(name) for name in ("step", "predict", "call")}


def compare(workload: str, workers: list[Worker], rounds: int) -> None:
    """Ask the workers for rounds, in turn."""
    command = "predict" if workload == "predict" else "train"
    for index in range(rounds + 1):
        for worker in workers:
            answer = worker.ask(command)
            if index and answer:
                worker.rounds.append(answer)
    for worker in workers:
        worker.peak = worker.ask("peak").get("peak", 0.0)


def report(workload: str, workers: list[Worker]) -> None:
    """Print one workload's table, the fastest first, then what could not run."""
    work, key = WORKLOADS[workload], "call" if workload == "predict" else "step"
    times = {w.contender: w.median(key) or 0.0 for w in workers if w.rounds}
    best = min((time_ for name, time_ in times.items() if name != "graphc"), default=float("nan"))
    network = "-".join(map(str, (work.inputs, *work.widths)))
    print(f"\n{workload}: {network}, batch {work.batch}, {work.optimizer}, {work.loss}")
    row = "{:12}{:>12}{:>12}{:>8}{:>14}{:>9}  {}".format
    timed = ["call us", "predict us"] if key == "call" else ["step ms", "samples/s"]
    print(row("contender", *timed, "ratio", "first step s", "peak MB", "version"))
    for worker in sorted((w for w in workers if w.rounds), key=lambda w: times[w.contender]):
        time_, predict = times[worker.contender], worker.median("predict")
        if key == "call":
            cells = [f"{time_ * 1e6:.0f}", f"{predict * 1e6:.0f}" if predict else "-"]
        else:
            cells = [f"{time_ * 1e3:.3f}", f"{work.batch / time_:,.0f}"]
        cells += [f"{time_ / best:.2f}", f"{worker.first_step:.2f}", f"{worker.peak / 1e6:.0f}"]
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
    option("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return serve(*options.worker)
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
