"""LLVM's work on several cores: a module in parts, each in a context and a thread of its own.

llvmlite's functions take one lock. LLVM itself may run at the same time in different contexts, so
the three functions that take time are called without the lock.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from llvmlite.binding import ffi

# Instructions that are worth a part.
PART_INSTRUCTIONS = 2_000


def compile_module(
    module: ir.Module,
    machine: Callable[[], llvm.TargetMachine],
    threads: int,
    seconds: dict[str, float],
) -> list[bytes]:
    """The object files of a module's parts; what it took goes into `seconds`.

    Args:
        machine: makes LLVM's machine for the target, one for each part.
        threads: how many there may be.
    """
    start = time.perf_counter()
    texts = split(module, threads)
    machines = [machine() for _ in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        modules = list(pool.map(optimise, texts, machines))
        optimised = time.perf_counter()
        images = list(pool.map(_emit, modules, machines))
    seconds |= {"llvm-opt": optimised - start, "asm": time.perf_counter() - optimised}
    return images


def split(module: ir.Module, most: int) -> list[str]:
    """A module's text in up to so many parts of about the same size, each of whole functions."""
    functions = [f for f in module.functions if f.blocks]
    size = sum(len(block.instructions) for f in functions for block in f.blocks)
    parts = min(most, size // PART_INSTRUCTIONS)
    if parts <= 1:
        return [str(module)]
    defined = {f.name: str(f) for f in functions}
    shares: list[dict[str, str]] = [{} for _ in range(parts)]
    sizes = [0] * parts
    for name in sorted(defined, key=lambda name: (-len(defined[name]), name)):
        smallest = sizes.index(min(sizes))
        shares[smallest][name] = defined[name]
        sizes[smallest] += len(defined[name])
    return [_part(module, share) for share in shares]


def _part(module: ir.Module, functions: dict[str, str]) -> str:
    """The text of a module with some of the functions, and what they need of the others."""
    texts = [text.replace("define internal ", "define ", 1) for text in functions.values()]
    named = set(re.findall(r'@"([^"]+)"', "\n".join(texts))) - functions.keys()
    # Constant tables are few and small: each part has its own.
    needed = (value for name, value in module.globals.items() if name in named)
    others = [_declaration(v) if isinstance(v, ir.Function) else str(v) for v in needed]
    head = [f'target triple = "{module.triple}"', f'target datalayout = "{module.data_layout}"']
    return "\n".join([*head, *others, *texts])


def _declaration(function: ir.Function) -> str:
    arguments = ", ".join(str(argument.type) for argument in function.args)
    return f'declare {function.ftype.return_type} @"{function.name}"({arguments})'


def optimise(text: str, machine: llvm.TargetMachine) -> llvm.ModuleRef:
    """The parsed module, in a context of its own, after LLVM's passes.

    The generator vectorises, unrolls and keeps values in registers itself, so a short list of
    clean-up passes does; LLVM's whole pipeline takes five times as long and finds little more.

    Raises:
        RuntimeError: when the text is no module, with LLVM's message.
    """
    context = llvm.create_context()
    with ffi.OutputString() as error:
        parsed = _unlocked("LLVMPY_ParseAssembly")(context, text.encode(), error)
        module = llvm.ModuleRef(parsed, context)
        if error:
            module.close()
            raise RuntimeError(f"LLVM IR: {error}")
    passes = llvm.create_new_module_pass_manager()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.add_loop_rotate_pass()
    passes.add_new_gvn_pass()
    passes.add_dead_code_elimination_pass()
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=1))
    _unlocked("LLVMPY_RunNewModulePassManager")(passes, module, builder)
    return module


def _emit(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> bytes:
    """A module's object file."""
    with ffi.OutputString() as error:
        buffer = _unlocked("LLVMPY_TargetMachineEmitToMemory")(machine, module, 1, error)
        if not buffer:
            raise RuntimeError(f"machine code: {error}")
    try:
        start, size = ffi.lib.LLVMPY_GetBufferStart(buffer), ffi.lib.LLVMPY_GetBufferSize(buffer)
        return ctypes.string_at(start, size)
    finally:
        ffi.lib.LLVMPY_DisposeMemoryBuffer(buffer)


@cache
def _unlocked(name: str) -> Callable[..., Any]:
    """A function of llvmlite's library as llvmlite declares it, without its lock."""
    locked = getattr(ffi.lib, name)
    function = getattr(ctypes.CDLL(ffi.lib._name), name)
    function.argtypes, function.restype = locked.argtypes, locked.restype
    return function


def joined(parts: Sequence[bytes]) -> bytes:
    """Several byte strings as one: how many, their lengths, and they themselves."""
    lengths = [len(parts), *map(len, parts)]
    return b"".join([*(n.to_bytes(8, "little") for n in lengths), *parts])


def parted(content: bytes) -> list[bytes]:
    """The byte strings that `joined` put together."""
    count = int.from_bytes(content[:8], "little")
    ends = [int.from_bytes(content[8 * at : 8 * at + 8], "little") for at in range(1, count + 1)]
    start, result = 8 * (count + 1), []
    for length in ends:
        result.append(content[start : start + length])
        start += length
    return result
