"""GFLOP/s of matrix products and convolutions: graphc, NumPy's BLAS, oneDNN through PyTorch.

    python benchmarks/kernels.py --python torch=/path/to/an/environment/bin/python
    GRAPHC_NUM_THREADS=1 python benchmarks/kernels.py --only TN

Each library works in an interpreter of its own, with the same number of threads, one at a time;
the figure is the best of some rounds, in which they take turns. graphc's kernels are timed by the
clock compiled into them, the others from outside. "peak" is that of multiply-adds (peak.py).

The forms are those of training. NN: x w. NT: dy times w transposed. TN: x transposed times dy, the
batch summed over. conv: images and a kernel; dw: a convolution's kernel gradient; depth: depthwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

Array = np.ndarray
# A function of no arguments that does the work once and returns its seconds.
Timed = Callable[[], float]
SECONDS = 0.1  # of a round


@dataclass(frozen=True)
class Case:
    """One shape.

    Attributes:
        form: as the module's docstring says.
        sizes: m, k, n of a product; batch, rows, columns, channels, filters, window of a
            convolution, whose images are padded already.
        stride, dilation: of a convolution, along both axes.
    """

    form: str
    sizes: tuple[int, ...]
    stride: int = 1
    dilation: int = 1

    def __str__(self) -> str:
        if self.form in ("NN", "NT", "TN"):
            return f"{self.form} {'x'.join(map(str, self.sizes))}"
        batch, rows, columns, channels, filters, window = self.sizes
        kind = f" /{self.stride}" * (self.stride > 1) + f" dilated {self.dilation}" * (
            self.dilation > 1
        )
        return (
            f"{self.form} {batch}x{rows}x{columns}x{channels}, {window}x{window} to {filters}{kind}"
        )

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of the two operands; the batch comes first where it streams."""
        if self.form in ("NN", "NT", "TN"):
            m, k, n = self.sizes
            return {"NN": ((m, k), (k, n)), "NT": ((m, k), (n, k)), "TN": ((k, m), (k, n))}[
                self.form
            ]
        batch, rows, columns, channels, filters, window = self.sizes
        images = (batch, rows, columns, channels)
        if self.form == "dw":
            return images, (batch, *self.windows, filters)
        given = 1 if self.form == "depth" else filters
        return images, (window, window, channels, given)

    @property
    def windows(self) -> tuple[int, ...]:
        """How many fit along each axis."""
        _, rows, columns, _, _, window = self.sizes
        reach = (window - 1) * self.dilation + 1
        return tuple((size - reach) // self.stride + 1 for size in (rows, columns))

    @property
    def flops(self) -> int:
        if self.form in ("NN", "NT", "TN"):
            return 2 * int(np.prod(self.sizes))
        batch, _, _, channels, filters, window = self.sizes
        return 2 * batch * int(np.prod(self.windows)) * window**2 * channels * filters

    def operands(self) -> list[Array]:
        random = np.random.default_rng(0)
        return [random.random(shape, np.float32) - 0.5 for shape in self.shapes]


CASES = [
    *(
        Case(form, sizes)
        for form in ("NN", "NT", "TN")
        for sizes in [
            (128, 784, 32), (128, 1024, 1024), (512, 2048, 2048), (77, 301, 173), (2048, 128, 256),
            (64, 64, 256), (6400, 32, 256), (31, 10, 64),
        ]
    ),
    *(
        Case("TN", sizes)
        for sizes in [(64, 6400, 256), (32, 6400, 256), (128, 2048, 256), (1024, 128, 1024)]
    ),
    *(
        Case(form, sizes, stride, dilation)
        for form in ("conv", "dw")
        for sizes, stride, dilation in [
            ((128, 28, 28, 1, 32, 3), 1, 1), ((128, 13, 13, 32, 64, 3), 1, 1),
            ((32, 34, 34, 16, 32, 3), 1, 1), ((32, 36, 36, 8, 16, 5), 1, 1),
            ((32, 16, 16, 80, 32, 1), 1, 1), ((32, 8, 8, 256, 256, 1), 1, 1),
            ((32, 49, 49, 3, 32, 3), 2, 1), ((32, 25, 25, 32, 64, 3), 2, 1),
            ((32, 32, 32, 32, 32, 3), 1, 4), ((8, 58, 58, 64, 64, 3), 1, 1),
            ((64, 10, 10, 64, 64, 3), 1, 1), ((32, 36, 36, 16, 8, 5), 1, 1),
            ((32, 34, 34, 32, 3, 3), 1, 1),
        ]
    ),
    *(
        Case("depth", sizes, stride)
        for sizes, stride in [
            ((32, 34, 34, 32, 1, 3), 1), ((32, 18, 18, 128, 1, 3), 1), ((32, 33, 33, 64, 1, 3), 2),
        ]
    ),
]  # fmt: skip


def with_graphc(case: Case) -> Timed:
    """Compiled for any batch, as in training."""
    from graphc import ops  # noqa: PLC0415 (only this process has it)
    from graphc.codegen.profile import COUNTERS  # noqa: PLC0415
    from graphc.ir.types import Size, TensorType, evaluate  # noqa: PLC0415
    from graphc.profiling import compile_profiled  # noqa: PLC0415
    from graphc.trace import Tensor, Trace  # noqa: PLC0415

    arrays = dict(zip("ab", case.operands(), strict=True))
    both = case.form in ("TN", "dw")
    trace = Trace("kernel")
    with trace:
        a, b = (
            trace.input(name, TensorType("f32", (Size(("batch",)), *x.shape[1:]) if s else x.shape))
            for (name, x), s in zip(arrays.items(), (True, both), strict=True)
        )
        if case.form in ("NN", "NT", "TN"):
            forms = {"transpose_a": case.form == "TN", "transpose_b": case.form == "NT"}
            result = Tensor(trace.builder.node("matmul", a.node, b.node, **forms))
        elif case.form == "dw":
            steps = {"strides": (case.stride,) * 2, "dilations": (case.dilation,) * 2}
            sizes = (case.sizes[-1],) * 2
            result = Tensor(
                trace.builder.node(
                    "conv_kernel_grad", a.node, b.node, sizes=sizes, parts=1, **steps
                )
            )
        else:
            function = ops.depthwise_conv if case.form == "depth" else ops.conv
            result = function(a, b, case.stride, "valid", dilation_rate=case.dilation)
        trace.output("c", result)
    program = compile_profiled(trace)
    rows = len(arrays["a"])
    shape = [evaluate(dim, {"batch": rows}) for dim in result.shape]
    arrays["c"] = np.empty(shape, np.float32)
    counters = program.variables[COUNTERS].value

    def run() -> float:
        counters[:] = 0
        addresses = {name: array.ctypes.data for name, array in arrays.items()}
        program.run(addresses, 1, rows, rows)
        used = counters[counters.any(axis=1)]
        return float(used[:, 1:].sum(axis=1).max()) / 1e9  # the slowest thread, waiting left out

    expected = reference(case, arrays["a"], arrays["b"])
    run()
    if expected is not None:
        np.testing.assert_allclose(arrays["c"].reshape(expected.shape), expected, atol=1e-2)
    return run


def reference(case: Case, a: Array, b: Array) -> Array | None:
    """A product's result by NumPy."""
    if case.form == "NN":
        return a @ b
    if case.form == "NT":
        return a @ b.T
    return a.T @ b if case.form == "TN" else None


def with_numpy(case: Case) -> Timed | None:
    """Products only."""
    if case.form not in ("NN", "NT", "TN"):
        return None
    a, b = case.operands()
    return lambda: seconds(lambda: reference(case, a, b))


def with_torch(case: Case) -> Timed:
    """Images and kernels in channels-last memory."""
    torch = import_module("torch")
    torch.set_num_threads(int(os.environ["GRAPHC_NUM_THREADS"]))
    a, b = (torch.from_numpy(x) for x in case.operands())
    functions: dict[str, Callable[[], Any]] = {
        "NN": lambda: a @ b, "NT": lambda: a @ b.T, "TN": lambda: a.T @ b
    }  # fmt: skip
    if case.form in functions:
        return lambda: seconds(functions[case.form])
    x, (_, _, _, channels, filters, window) = a.permute(0, 3, 1, 2), case.sizes
    if case.form == "dw":
        dy, shape = b.permute(0, 3, 1, 2), (filters, channels, window, window)
        gradient = torch.nn.grad.conv2d_weight
        return lambda: seconds(lambda: gradient(x, shape, dy, case.stride, dilation=case.dilation))
    groups = channels if case.form == "depth" else 1
    kernel = b.permute(2, 3, 0, 1) if groups > 1 else b.permute(3, 2, 0, 1)
    kernel = kernel.contiguous(memory_format=torch.channels_last)
    conv = torch.nn.functional.conv2d
    return lambda: seconds(
        lambda: conv(x, kernel, stride=case.stride, dilation=case.dilation, groups=groups)
    )


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


LIBRARIES = {"graphc": with_graphc, "numpy": with_numpy, "torch": with_torch}


def serve(library: str) -> None:
    """Times the cases whose numbers come on stdin; inf for one that cannot be."""
    made: dict[int, Timed | None] = {}
    for line in sys.stdin:
        at, best = int(line), float("inf")
        try:
            if at not in made:
                made.clear()
                made[at] = LIBRARIES[library](CASES[at])
            timed = made[at]
            if timed is not None:
                end = time.perf_counter() + SECONDS
                best = timed()
                while time.perf_counter() < end:
                    best = min(best, timed())
        except ImportError:
            pass
        print(best, flush=True)


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    option = parser.add_argument
    option("--only", default="", help="cases whose name begins so")
    option("--rounds", type=int, default=3, help="default: 3")
    option("--python", action="append", default=[], metavar="NAME=PATH", help="whose interpreter")
    option("--worker", choices=list(LIBRARIES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return serve(options.worker)
    from graphc import config  # noqa: PLC0415
    from graphc.codegen.peak import peak_flops  # noqa: PLC0415
    from graphc.codegen.target import current  # noqa: PLC0415

    threads = config.num_threads()
    variables = ("GRAPHC_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads))
    pythons = dict(entry.split("=", 1) for entry in options.python)
    workers = {
        name: subprocess.Popen(
            [pythons.get(name, sys.executable), __file__, "--worker", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )
        for name in LIBRARIES
    }  # fmt: skip
    peak = peak_flops(current(), threads) / 1e9
    print(f"{current().name}, {threads} threads, peak {peak:.0f} GFLOP/s")
    row = "{:44}{:>10}{:>8}{:>10}{:>10}{:>13}".format
    print(row("GFLOP/s", "graphc", "of peak", "numpy", "torch", "best/graphc"))
    for at, case in enumerate(CASES):
        if not str(case).startswith(options.only):
            continue
        times = dict.fromkeys(LIBRARIES, float("inf"))
        for _ in range(options.rounds):
            for name, worker in workers.items():
                assert worker.stdin and worker.stdout
                print(at, file=worker.stdin, flush=True)
                times[name] = min(float(worker.stdout.readline()), times[name])
        rates = {name: case.flops / time_ / 1e9 for name, time_ in times.items()}
        cells = [f"{rates['graphc']:.1f}", f"{rates['graphc'] / peak:.0%}"]
        cells += [f"{rates[name]:.1f}" if rates[name] else "-" for name in ("numpy", "torch")]
        others = max(rates["numpy"], rates["torch"])
        cells += [f"{others / rates['graphc']:.2f}" if others else "-"]
        print(row(str(case), *cells), flush=True)
    for worker in workers.values():
        worker.communicate()


if __name__ == "__main__":
    main()
