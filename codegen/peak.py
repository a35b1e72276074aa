"""What the machine can do at most: multiply-adds a second, and bytes copied a second."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from llvmlite import ir

from .builder import I1, I64, PTR, Emitter, i64
from .interface import Program
from .jit import NativeCode, aligned_bytes, load
from .profile import emit_clock
from .target import Target
from .threads import ARGUMENTS, PARAMETERS, THREADS, emit_entry, emit_wait, word

# Short rounds, so that on a busy machine some of them are not interrupted.
_ROUNDS = 40
_ROUND_SECONDS = 0.004
_UNROLL = 4


@cache
def peak_flops(target: Target, threads: int) -> float:
    """Multiply-adds a second, counted as two operations each, in float32.

    The sum of what each thread does in its best round, with as many independent sums as the
    contraction's register tile has.
    """
    sums = target.tile_rows * target.tile_vectors
    vectors = np.full((threads, sums, target.lanes), 0.5, np.float32)
    turns, times = _rounds(_load(target, _emit_multiply_adds), [vectors], threads, [])
    flops = 2 * sums * target.lanes * _UNROLL * turns
    return float((flops / times.min(axis=0)).sum())


@cache
def copy_bandwidth(target: Target, threads: int, size: int = 1 << 27) -> float:
    """Bytes a second that copies of `size` bytes read and write, both counted: the best round."""
    source, destination = aligned_bytes(size), aligned_bytes(size)
    source[:] = destination[:] = 1  # so that the pages are there
    turns, times = _rounds(_load(target, _emit_copies), [source, destination], threads, [size])
    return float(2 * size * turns / times.max(axis=1).min())


def _rounds(
    code: NativeCode, arrays: list[np.ndarray], threads: int, sizes: list[int]
) -> tuple[int, np.ndarray]:
    """How often the program's loop turns in a round; seconds (rounds, threads)."""
    nanoseconds = np.zeros((threads, 8), np.int64)  # a cache line a thread
    addresses = [array.ctypes.data for array in (nanoseconds, *arrays)]

    def seconds(turns: int, rounds: int) -> np.ndarray:
        times = []
        for _ in range(rounds):
            code.run(addresses, [threads, turns, *sizes])
            times.append(nanoseconds[:, 0] / 1e9)
        return np.array(times)

    turns = 1
    while seconds(turns, 5).max(axis=1).min() < _ROUND_SECONDS:
        turns *= 2
    return turns, seconds(turns, _ROUNDS)


Body = Callable[[Emitter, ir.Value, ir.Value, ir.Value, ir.Value], None]


def _load(target: Target, body: Body) -> NativeCode:
    """A program that runs `body(e, arguments, parameters, thread, threads)` on all threads.

    A thread's nanoseconds go to its cache line of the first argument.
    """
    module = ir.Module("peak")
    worker = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR, I64]), "worker")
    worker.linkage = "internal"
    e = Emitter(worker, target, {})
    control, thread = worker.args
    arguments, parameters = (
        e.ir.inttoptr(e.ir.load(word(e, control, at), typ=I64), PTR)
        for at in (ARGUMENTS, PARAMETERS)
    )
    clock = emit_clock(module, target)
    start = e.ir.call(clock, [])
    body(e, arguments, parameters, thread, e.ir.load(word(e, control, THREADS), typ=I64))
    took = e.sub(e.ir.call(clock, []), start)
    times = e.ir.load(arguments, typ=PTR)
    e.ir.store(took, e.address(times, "i64", e.mul(thread, 8)))
    e.ir.ret_void()
    emit_entry(module, target, "graphc_run", worker, emit_wait(module, target))
    return load(Program(module, [], [], ()), target)


def _emit_multiply_adds(
    e: Emitter, arguments: ir.Value, parameters: ir.Value, thread: ir.Value, threads: ir.Value
) -> None:
    """sum = sum * first + second, for the thread's own sums, which it loads and stores once."""
    sums, lanes = e.target.tile_rows * e.target.tile_vectors, e.target.lanes
    base = e.ir.load(e.ir.gep(arguments, [i64(1)], source_etype=PTR), typ=PTR)
    places = [
        e.address(base, "f32", e.add(e.mul(thread, sums * lanes), at * lanes)) for at in range(sums)
    ]
    start = [e.load(place, "f32", lanes) for place in places]
    first, second = start[:2]
    turns = e.ir.load(e.address(parameters, "i64", i64(1)), typ=I64)
    with e.loop(i64(0), turns, 1, start) as (_, carried, carry):
        values = carried
        for _ in range(_UNROLL):
            values = [e.fma(value, first, second) for value in values]
        carry(values)
    for value, place in zip(e.carried, places, strict=True):
        e.store(value, place, "f32", lanes)


def _emit_copies(
    e: Emitter, arguments: ir.Value, parameters: ir.Value, thread: ir.Value, threads: ir.Value
) -> None:
    """memcpy of the thread's share."""
    source, destination = (
        e.ir.load(e.ir.gep(arguments, [i64(at)], source_etype=PTR), typ=PTR) for at in (1, 2)
    )
    turns, size = (e.ir.load(e.address(parameters, "i64", i64(at)), typ=I64) for at in (1, 2))
    low, high = e.share(size, thread, threads)
    copy = e.declare("llvm.memcpy.p0.p0.i64", ir.VoidType(), PTR, PTR, I64, I1)
    with e.loop(i64(0), turns, 1):
        ends = [e.address(base, "u8", low) for base in (destination, source)]
        e.ir.call(copy, [*ends, e.sub(high, low), ir.Constant(I1, 0)])
