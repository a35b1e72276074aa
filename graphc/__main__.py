"""The command line: graphc demo, dump, check."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def process_start() -> float:
    """When this process began, in seconds since the epoch; now, where the system does not tell."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        uptime = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return time.time()
    return time.time() - (uptime - ticks / os.sysconf("SC_CLK_TCK"))


def load_model(source: str) -> object:
    """The object that "file.py:name" or "module:name" names.

    Raises:
        ValueError: when there is no such file, module or name.
    """
    place, _, name = source.rpartition(":")
    if not place or not name:
        raise ValueError(f"MODEL {source!r}: expected file.py:name or module:name")
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


def dump(arguments: argparse.Namespace) -> int:
    """graphc dump MODEL: prints a program at a stage."""
    from .models import Model  # noqa: PLC0415 (check needs none of it)

    model = load_model(arguments.model)
    if callable(model) and not isinstance(model, Model):
        model = model()
    if not isinstance(model, Model):
        raise ValueError(f"MODEL {arguments.model!r} is a {type(model).__name__}, not a model")
    text = model.dump(stage=arguments.stage, program=arguments.program)
    if arguments.output:
        Path(arguments.output).write_text(text, encoding="utf-8")
    else:
        print(text, end="" if text.endswith("\n") else "\n")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """graphc check FILE: verifies a graph in text form."""
    from .ir.text import parse  # noqa: PLC0415
    from .ir.verify import verify  # noqa: PLC0415
    from .passes.shapes import check as check_types  # noqa: PLC0415

    text = sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text("utf-8")
    graph = parse(text)
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
    command.add_argument("--epochs", type=int, default=15, help="default: %(default)s")
    command.set_defaults(run=demo)

    command = commands.add_parser("dump", help="print a program of a model at a compiler stage")
    command.add_argument("model", metavar="MODEL", help="file.py:name or module:name of a model, "
                         "or of a function that makes one")  # fmt: skip
    command.add_argument("--program", default="train", choices=["predict", "evaluate", "train"],
                         help="default: %(default)s")  # fmt: skip
    stages = "traced, forward, gradient, update, simplify, fuse, schedule, memory, llvm or asm"
    command.add_argument("--stage", default="memory", help=f"{stages} (default: %(default)s)")
    command.add_argument("-o", "--output", metavar="FILE", help="write to a file instead")
    command.set_defaults(run=dump)

    command = commands.add_parser("check", help="verify a graph in text form")
    command.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    command.set_defaults(run=check)
    return top


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
        return int(parsed.run(parsed))
    except (ValueError, TypeError, OSError) as error:
        print(f"graphc: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
