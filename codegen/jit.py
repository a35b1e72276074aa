"""From a module to machine code in memory: optimisation, LLJIT, and calls."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm
import numpy as np

from graphc.ir.types import Size

from .program import ENTRY, Program
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
        module: the optimised LLVM module.
    """

    program: Program
    target: Target
    module: llvm.ModuleRef
    _library: object
    _entry: object

    @property
    def llvm_text(self) -> str:
        """The optimised LLVM IR."""
        return str(self.module)

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
        self._entry(  # type: ignore[operator]
            (ctypes.c_void_p * len(addresses))(*addresses),
            (ctypes.c_int64 * len(parameters))(*parameters),
        )


def assembly(code: NativeCode) -> str:
    """The target's assembly of a loaded program."""
    machine = target_machine(code.target)
    return str(machine.emit_assembly(code.module))


def load(program: Program, target: Target) -> NativeCode:
    """Compiles a program's module and loads it into the process."""
    machine = target_machine(target)
    module = optimise(str(program.module), machine)
    image = machine.emit_object(module)
    name = f"graphc_{next(_names)}"
    library = (
        llvm.JITLibraryBuilder()
        .add_object_img(image)
        .add_current_process()
        .export_symbol(ENTRY)
        .link(_lljit(), name)
    )
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    return NativeCode(program, target, module, library, signature(library[ENTRY]))


@cache
def _lljit() -> llvm.LLJIT:
    _initialise()
    return llvm.create_lljit_compiler()


def aligned_bytes(count: int) -> np.ndarray:
    """Uninitialised bytes that start at a cache line."""
    raw = np.empty(count + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + count]
