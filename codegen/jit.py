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
from graphc.ir.types import Size

from . import objects
from .program import ENTRY, Program, describe, generate
from .target import Target

_names = itertools.count()
# What goes before the code in a file: the program's scratch memory.
_SCRATCH_BYTES = 8


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


def optimise(text: str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    """The parsed module after LLVM's passes.

    The generator vectorises, unrolls and keeps values in registers itself, so a short list of
    clean-up passes does; LLVM's whole pipeline takes five times as long and finds little more.
    """
    module = llvm.parse_assembly(text)
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.add_loop_rotate_pass()
    passes.add_new_gvn_pass()
    passes.add_dead_code_elimination_pass()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    passes.run(module, builder)
    return module


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
        sizes = {**symbols, "batch": batch}
        total = self.program.scratch * threads + 64
        for term in self.program.arena:
            if isinstance(term, Size):
                product = term.factor
                for symbol in term.symbols:
                    product *= sizes[symbol]
                total += product
            else:
                total += term
        return total

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


def load(program: Program, target: Target) -> NativeCode:
    """Compiles a program's module and loads it into the process."""
    seconds: dict[str, float] = {"llvm": 0.0}
    image = _compile(program, target, seconds)
    return _link(image, program, target, seconds, lambda: program)


def load_graph(graph: Graph, target: Target) -> NativeCode:
    """Loads a planned graph's program: compiled now, or kept from when it was."""
    key = objects.key_of(graph, target)
    kept = objects.fetch(key)
    seconds = {"llvm": 0.0, "llvm-opt": 0.0, "asm": 0.0}
    if kept is None:
        start = time.perf_counter()
        program = generate(graph, target)
        seconds["llvm"] = time.perf_counter() - start
        image = _compile(program, target, seconds)
        objects.keep(key, program.scratch.to_bytes(_SCRATCH_BYTES, "little") + image)
    else:
        program = describe(graph)
        program.scratch = int.from_bytes(kept[:_SCRATCH_BYTES], "little")
        image = kept[_SCRATCH_BYTES:]
    return _link(image, program, target, seconds, partial(generate, graph, target))


def _compile(program: Program, target: Target, seconds: dict[str, float]) -> bytes:
    """The machine code of a program's module; what it took goes into `seconds`."""
    machine = target_machine(target)
    start = time.perf_counter()
    module = optimise(str(program.module), machine)
    optimised = time.perf_counter()
    image: bytes = machine.emit_object(module)
    seconds |= {"llvm-opt": optimised - start, "asm": time.perf_counter() - optimised}
    return image


def _link(
    image: bytes, program: Program, target: Target, seconds: dict[str, float],
    generate: Callable[[], Program],
) -> NativeCode:  # fmt: skip
    start = time.perf_counter()
    library = (
        llvm.JITLibraryBuilder()
        .add_object_img(image)
        .add_current_process()
        .export_symbol(ENTRY)
        .link(_lljit(), f"graphc_{next(_names)}")
    )
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
