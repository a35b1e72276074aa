"""From a module to machine code in memory: optimisation, LLJIT, and calls."""

from __future__ import annotations

import ctypes
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial

import llvmlite.binding as llvm
import numpy as np

from graphc.ir.graph import Graph
from graphc.ir.types import BATCH

from . import objects
from .interface import Program, describe
from .parallel import compile_module, joined, optimise, parted
from .program import ENTRY, generate
from .target import Target

_names = itertools.count()


@cache
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


def target_machine(target: Target) -> llvm.TargetMachine:
    """LLVM's machine for a target."""
    _initialise()
    native = llvm.Target.from_triple(llvm.get_process_triple())
    return native.create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, jit=True, codemodel="jitdefault"
    )


@dataclass
class NativeCode:
    """A loaded program, called through `run`.

    Attributes:
        program: what was compiled.
        target: for which CPU.
        seconds: what "llvm" (generating LLVM's IR), "llvm-opt" (LLVM's passes) and "asm" (machine
            code and loading) took; nothing but loading when the code was kept.
    """

    program: Program
    target: Target
    seconds: dict[str, float]
    _generate: Callable[[], Program]
    _library: object
    _entry: Callable[..., None]

    @cached_property
    def generated(self) -> Program:
        """The program with its module, made again when the code was kept: for who wants to see."""
        return self._generate()

    def arena_bytes(self, threads: int, batch: int, symbols: Mapping[str, int]) -> int:
        """Bytes of the arena for a batch size and number of threads."""
        return self.program.arena_bytes(threads, {**symbols, BATCH: batch})

    def run(self, addresses: Sequence[int], parameters: Sequence[int]) -> None:
        """Calls the entry point; Python's lock is free meanwhile.

        Args:
            addresses: of each argument in `program.arguments`' order, then of the arena.
            parameters: threads, steps, rows, batch size, and the other symbols' values.
        """
        self.bind(addresses, parameters)[1]()

    def bind(
        self, addresses: Sequence[int], parameters: Sequence[int]
    ) -> tuple[ctypes.Array[ctypes.c_void_p], Callable[[], None]]:
        """What `run` passes to the entry point, to be kept: the addresses, which may be changed,
        and what calls it with them."""
        places = (ctypes.c_void_p * len(addresses))(*addresses)
        numbers = (ctypes.c_int64 * len(parameters))(*parameters)
        return places, partial(self._entry, places, numbers)


def optimised(program: Program, target: Target) -> str:
    """The LLVM IR of a program after LLVM's passes.

    Made anew, as `assembly` is: emitting code changes a module.
    """
    return str(optimise(str(program.module), target_machine(target)))


def assembly(program: Program, target: Target) -> str:
    """The assembly of the machine code that `load` makes of a program."""
    machine = target_machine(target)
    return str(machine.emit_assembly(optimise(str(program.module), machine)))


def load(program: Program, target: Target, threads: int = 1) -> NativeCode:
    """Compiles a program's module, on so many threads, and loads it into the process."""
    seconds: dict[str, float] = {"llvm": 0.0}
    images = compile_module(program.module, partial(target_machine, target), threads, seconds)
    return _link(images, program, target, seconds, lambda: program)


def load_graph(graph: Graph, target: Target, threads: int = 1) -> NativeCode:
    """Loads a planned graph's program: compiled now, on so many threads, or kept from earlier."""
    key = objects.key_of(graph, target)
    kept = objects.fetch(key)
    seconds = {"llvm": 0.0, "llvm-opt": 0.0, "asm": 0.0}
    if kept is None:
        start = time.perf_counter()
        program = generate(graph, target)
        seconds["llvm"] = time.perf_counter() - start
        images = compile_module(program.module, partial(target_machine, target), threads, seconds)
        objects.keep(key, joined([program.scratch.to_bytes(8, "little"), *images]))
    else:
        program = describe(graph)
        scratch, *images = parted(kept)
        program.scratch = int.from_bytes(scratch, "little")
    return _link(images, program, target, seconds, partial(generate, graph, target))


def _link(
    images: Sequence[bytes], program: Program, target: Target, seconds: dict[str, float],
    generate: Callable[[], Program],
) -> NativeCode:  # fmt: skip
    start = time.perf_counter()
    builder = llvm.JITLibraryBuilder().add_current_process().export_symbol(ENTRY)
    for image in images:
        builder.add_object_img(image)
    library = builder.link(_lljit(), f"graphc_{next(_names)}")
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    entry = signature(library[ENTRY])
    seconds["asm"] += time.perf_counter() - start
    return NativeCode(program, target, seconds, generate, library, entry)


@cache
def _lljit() -> llvm.LLJIT:
    _initialise()
    return llvm.create_lljit_compiler()


def aligned_bytes(count: int) -> np.ndarray:
    """Uninitialised bytes that start at a cache line."""
    raw = np.empty(count + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count]
