"""The command line: graphc demo, dump, explain, explore, profile, opt, run, check."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .ir.graph import Graph
    from .models import Model

# Batches of data to profile on.
_BATCHES = 8

# How names of files of whole models end.
_MODEL_FILES = (".keras", ".h5", ".hdf5")


def process_start() -> float:
    """When this process began, in seconds since the epoch; now, where the system does not tell."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return time.time()
    return time.time() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))


def load_model(source: str) -> Model:
    """The model of a file that `save` wrote, or that "file.py:name" or "module:name" names.

    A name may be of a function, too, that returns the model.

    Raises:
        FileNotFoundError: when there is no such saved model.
        ValueError: when it is damaged; when there is no such file of Python, module or name, or it
            is something else.
    """
    from . import models  # noqa: PLC0415 (check needs none of it)
    from .models import Model  # noqa: PLC0415

    if source.endswith(_MODEL_FILES):
        return models.load_model(source)  # type: ignore[no-any-return]
    model = _load(source)
    if callable(model) and not isinstance(model, Model):
        try:
            model = model()
        except TypeError as error:
            raise ValueError(f"MODEL {source!r}: calling it failed: {error}") from error
    if not isinstance(model, Model):
        raise ValueError(f"MODEL {source!r} is a {type(model).__name__}, not a model")
    return model


def _load(source: str) -> object:
    place, _, name = source.rpartition(":")
    if not place or not name:
        raise ValueError(
            f"MODEL {source!r}: expected the file of a saved model ({', '.join(_MODEL_FILES)}), "
            "file.py:name or module:name"
        )
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise ValueError(f"MODEL {source!r}: no file {place}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.path.insert(0, str(path.parent))
        spec.loader.exec_module(module)
    else:
        sys.path.insert(0, "")
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ValueError(f"MODEL {source!r}: {error}") from None
    if not hasattr(module, name):
        raise ValueError(f"MODEL {source!r}: {place} defines no {name!r}")
    return getattr(module, name)


def graph_of(file: str) -> Graph:
    """The graph in a file, or on standard input for "-"."""
    from .ir.text import parse  # noqa: PLC0415

    return parse(sys.stdin.read() if file == "-" else Path(file).read_text("utf-8"))


def write(text: str, file: str | None) -> None:
    """Writes a command's result to a file, or prints it."""
    if file:
        Path(file).write_text(text, encoding="utf-8")
    else:
        print(text, end="" if text.endswith("\n") else "\n")


def dump(arguments: argparse.Namespace) -> int:
    """graphc dump MODEL: prints a program at a stage, or what changed between two."""
    model = load_model(arguments.model)
    if arguments.diff:
        before, after = arguments.diff
        text = model.diff(before, after, arguments.program)
    else:
        text = model.dump(arguments.stage, arguments.program, arguments.only)
    write(text, arguments.output)
    return 0


def explain(arguments: argparse.Namespace) -> int:
    """graphc explain MODEL: prints what the compiler did and why."""
    load_model(arguments.model).explain()
    return 0


def explore(arguments: argparse.Namespace) -> int:
    """graphc explore MODEL: writes the page of all stages."""
    load_model(arguments.model).explore(arguments.output)
    print(f"{arguments.output}: {Path(arguments.output).stat().st_size / 1e6:.1f} MB")
    return 0


def opt(arguments: argparse.Namespace) -> int:
    """graphc opt FILE: runs passes over a graph in text form."""
    from .inspect.graphs import run_passes  # noqa: PLC0415
    from .ir.text import to_text  # noqa: PLC0415

    wrt = arguments.wrt.split(",") if arguments.wrt else ()
    graph = graph_of(arguments.file)
    write(
        to_text(run_passes(graph, arguments.passes.split(","), arguments.loss, wrt)),
        arguments.output,
    )
    return 0


def run(arguments: argparse.Namespace) -> int:
    """graphc run FILE: runs a graph in text form."""
    import numpy as np  # noqa: PLC0415

    from .inspect.graphs import run_graph  # noqa: PLC0415

    feeds = {}
    for feed in arguments.feed:
        name, given, file = feed.rpartition("=")
        feeds[name if given else Path(file).stem] = np.load(file)
    results = run_graph(graph_of(arguments.file), feeds, arguments.compiled)
    if arguments.output:
        np.savez(arguments.output, **results)  # type: ignore[arg-type]
    else:
        for name, value in results.items():
            print(f"{name}: {value.dtype}{list(value.shape)}\n{value}")
    return 0


def profile(arguments: argparse.Namespace) -> int:
    """graphc profile MODEL: prints where the time of a step goes, on random data."""
    from .data import positive  # noqa: PLC0415
    from .inspect.programs import example  # noqa: PLC0415

    model = load_model(arguments.model)
    batch = positive("profile", "--batch-size", arguments.batch_size)
    data = example(model, arguments.program, "profile", _BATCHES * batch)
    x, y = (part[0] if len(part) == 1 else part for part in (data.x, data.y))
    print(model.profile(x, y, batch, arguments.steps, arguments.program), end="")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """graphc check FILE: verifies a graph in text form."""
    from .ir.verify import verify  # noqa: PLC0415
    from .passes.shapes import check as check_types  # noqa: PLC0415

    graph = graph_of(arguments.file)
    verify(graph)
    check_types(graph)
    print(f"{arguments.file}: graph {graph.name}: {len(graph)} nodes, valid")
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """graphc demo: trains on real digits."""
    started = process_start()
    from .demo import run  # noqa: PLC0415

    run(Path(arguments.output), arguments.epochs, started)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="graphc", description="A symbolic graph compiler for neural networks."
    )
    top.add_argument("--version", action="store_true", help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")

    command = commands.add_parser(
        "demo", help="train a classifier on handwritten digits and write every stage to files"
    )
    command.add_argument("-o", "--output", default="graphc-demo", metavar="FOLDER",
                         help="where weights and stages go (default: %(default)s)")  # fmt: skip
    command.add_argument("--epochs", type=int, default=20, help="default: %(default)s")
    command.set_defaults(run=demo)

    command = commands.add_parser("dump", help="print a program of a model at a compiler stage")
    _add_model(command)
    _add_program(command)
    stages = "traced, forward, gradient, update, simplify, recompute, fuse, schedule, memory, "
    stages += "llvm (as generated), llvm-opt (after LLVM's passes) or asm"
    command.add_argument("--stage", default="memory", help=f"{stages} (default: %(default)s)")
    command.add_argument("--only", metavar="LAYER",
                         help="the nodes and kernels of one layer: forward, backward, "
                         "update")  # fmt: skip
    command.add_argument("--diff", nargs=2, metavar=("A", "B"),
                         help="what changed between two stages")  # fmt: skip
    _add_output(command, "FILE")
    command.set_defaults(run=dump)

    command = commands.add_parser("explain", help="say what the compiler did with a model, and why")
    _add_model(command)
    command.set_defaults(run=explain)

    command = commands.add_parser("explore", help="write a page that shows every stage")
    _add_model(command)
    command.add_argument("-o", "--output", default="page.html", metavar="FILE.html",
                         help="default: %(default)s")  # fmt: skip
    command.set_defaults(run=explore)

    command = commands.add_parser("profile", help="show where the time of a step goes")
    _add_model(command)
    _add_program(command)
    command.add_argument("--batch-size", type=int, default=32, help="default: %(default)s")
    command.add_argument(
        "--steps", type=int, help="how many to measure (default: a second of them)"
    )
    command.set_defaults(run=profile)

    command = commands.add_parser("opt", help="run passes over a graph in text form")
    _add_file(command)
    command.add_argument("--passes", required=True, metavar="A,B,...",
                         help="forward, gradient, simplify, recompute, segments, legalize, fuse, "
                         "schedule, memory; in the order given")  # fmt: skip
    command.add_argument("--loss", metavar="OUTPUT",
                         help="what gradient differentiates (default: the only "
                         "output)")  # fmt: skip
    command.add_argument("--wrt", metavar="X,Y,...", help="the inputs that gradient differentiates "
                         "with respect to (default: all state of floats)")  # fmt: skip
    _add_output(command, "FILE")
    command.set_defaults(run=opt)

    command = commands.add_parser("run", help="run a graph in text form")
    _add_file(command)
    command.add_argument("--feed", action="append", default=[], metavar="NAME=FILE.npy",
                         help="an input's value; once for each; NAME is the file's by "
                         "default")  # fmt: skip
    command.add_argument("--compiled", action="store_true",
                         help="run native code, not the reference interpreter")  # fmt: skip
    _add_output(command, "FILE.npz")
    command.set_defaults(run=run)

    command = commands.add_parser("check", help="verify a graph in text form")
    _add_file(command)
    command.set_defaults(run=check)
    return top


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("model", metavar="MODEL", help="a saved model's file (.keras or .h5); or "
                         "file.py:name or module:name of a model, or of a function that makes "
                         "one")  # fmt: skip


def _add_program(command: argparse.ArgumentParser) -> None:
    command.add_argument("--program", default="train", choices=["predict", "evaluate", "train"],
                         help="default: %(default)s")  # fmt: skip


def _add_file(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="a file, or - for standard input")


def _add_output(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("-o", "--output", metavar=what, help="write to a file instead")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; errors of the user's are one line on standard error, exit code 2."""
    top = parser()
    parsed = top.parse_args(arguments)
    if parsed.version:
        from . import __version__  # noqa: PLC0415

        print(f"graphc {__version__}")
        return 0
    if not hasattr(parsed, "run"):
        top.print_help()
        return 0
    try:
        code = int(parsed.run(parsed))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who read the output, `head` for example, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError) as error:
        print(f"graphc: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
