"""Threads of a program: started per call, all run the whole program, meeting at barriers.

POSIX threads are called from the emitted code, so Python's lock plays no part. A thread that waits
spins briefly and then yields its time slice, so that a busy machine is not held up.
"""

from __future__ import annotations

from llvmlite import ir

from .builder import I32, I64, PTR, Emitter, i64
from .target import Target

# The control block: words (i64) shared by a call's threads, each on a cache line of its own.
ARGUMENTS, PARAMETERS, THREADS = 0, 1, 2
ARRIVED, GENERATION, STARTED = 8, 16, 24
CONTROL_WORDS = 32

MOST_THREADS = 256
SPINS = 2000


def word(e: Emitter, control: ir.Value, index: int) -> ir.Value:
    """The address of a word of the control block."""
    return e.ir.gep(control, [i64(index)], source_etype=I64)


def _load(e: Emitter, place: ir.Value) -> ir.Value:
    return e.ir.load_atomic(place, "acquire", 8, typ=I64)


def _store(e: Emitter, value: ir.Value, place: ir.Value) -> None:
    """An atomic store with release order (llvmlite has none for opaque pointers)."""
    e.ir.atomic_rmw("xchg", place, value, "acq_rel")


def _pause(e: Emitter) -> None:
    if e.target.name in ("avx512", "avx2", "sse2"):
        e.ir.call(e.declare("llvm.x86.sse2.pause", ir.VoidType()), [])


def emit_wait(module: ir.Module, target: Target) -> ir.Function:
    """wait(place, value): returns when the word is no longer `value`."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR, I64]), "wait")
    function.linkage = "internal"
    e = Emitter(function, target, {})
    place, value = function.args
    head, again, spin, sleep, done = (
        function.append_basic_block(n) for n in ("head", "again", "spin", "sleep", "done")
    )
    b = e.ir
    before = b.block
    b.branch(head)
    b.position_at_end(head)
    count = b.phi(I64)
    count.add_incoming(i64(0), before)
    b.cbranch(b.icmp_unsigned("==", _load(e, place), value), again, done)
    b.position_at_end(again)
    b.cbranch(b.icmp_signed("<", count, i64(SPINS)), spin, sleep)
    b.position_at_end(spin)
    _pause(e)
    count.add_incoming(b.add(count, i64(1)), spin)
    b.branch(head)
    b.position_at_end(sleep)
    b.call(e.declare("sched_yield", I32), [])
    count.add_incoming(count, sleep)
    b.branch(head)
    b.position_at_end(done)
    b.ret_void()
    return function


def emit_barrier(module: ir.Module, target: Target, wait: ir.Function) -> ir.Function:
    """barrier(control): returns when all threads have called it."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR]), "barrier")
    function.linkage = "internal"
    e = Emitter(function, target, {})
    (control,) = function.args
    b = e.ir
    threads = b.load(word(e, control, THREADS), typ=I64)
    with b.if_then(b.icmp_unsigned(">", threads, i64(1))):
        generation = _load(e, word(e, control, GENERATION))
        arrived = b.atomic_rmw("add", word(e, control, ARRIVED), i64(1), "acq_rel")
        last = b.icmp_unsigned("==", b.add(arrived, i64(1)), threads)
        with b.if_else(last) as (then, otherwise):
            with then:
                _store(e, i64(0), word(e, control, ARRIVED))
                _store(e, b.add(generation, i64(1)), word(e, control, GENERATION))
            with otherwise:
                b.call(wait, [word(e, control, GENERATION), generation])
    b.ret_void()
    return function


def emit_entry(
    module: ir.Module, target: Target, name: str, worker: ir.Function, wait: ir.Function
) -> ir.Function:
    """name(arguments, parameters): runs worker(control, thread) on parameters[0] threads.

    Threads are started first and wait until it is known how many the system gave.
    """
    main = _emit_thread_main(module, target, worker, wait)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [PTR, PTR]), name)
    e = Emitter(function, target, {})
    b = e.ir
    arguments, parameters = function.args
    control = b.alloca(I64, size=i64(CONTROL_WORDS))
    control.align = 64
    handles = b.alloca(I64, size=i64(MOST_THREADS))
    starts = b.alloca(I64, size=i64(2 * MOST_THREADS))
    for at in range(CONTROL_WORDS):
        b.store(i64(0), word(e, control, at))
    b.store(b.ptrtoint(arguments, I64), word(e, control, ARGUMENTS))
    b.store(b.ptrtoint(parameters, I64), word(e, control, PARAMETERS))
    wanted = e.minimum(b.load(parameters, typ=I64), i64(MOST_THREADS))
    create = e.declare("pthread_create", I32, PTR, PTR, PTR, PTR)
    with e.loop(i64(1), wanted, 1, [i64(1)]) as (_, (running,), carry):
        slot = b.gep(starts, [b.mul(running, i64(2))], source_etype=I64)
        b.store(b.ptrtoint(control, I64), slot)
        b.store(running, b.gep(slot, [i64(1)], source_etype=I64))
        handle = b.gep(handles, [running], source_etype=I64)
        failed = b.call(create, [handle, ir.Constant(PTR, None), main, slot])
        created = b.icmp_signed("==", failed, ir.Constant(I32, 0))
        carry([b.add(running, b.zext(created, I64))])
    (running,) = e.carried
    b.store(running, word(e, control, THREADS))
    _store(e, i64(1), word(e, control, STARTED))
    b.call(worker, [control, i64(0)])
    join = e.declare("pthread_join", I32, I64, PTR)
    with e.loop(i64(1), running, 1) as (thread, _, _):
        handle = b.load(b.gep(handles, [thread], source_etype=I64), typ=I64)
        b.call(join, [handle, ir.Constant(PTR, None)])
    b.ret_void()
    return function


def _emit_thread_main(
    module: ir.Module, target: Target, worker: ir.Function, wait: ir.Function
) -> ir.Function:
    function = ir.Function(module, ir.FunctionType(PTR, [PTR]), "thread_main")
    function.linkage = "internal"
    e = Emitter(function, target, {})
    (start,) = function.args
    control = e.ir.inttoptr(e.ir.load(start, typ=I64), PTR)
    thread = e.ir.load(e.ir.gep(start, [i64(1)], source_etype=I64), typ=I64)
    e.ir.call(wait, [word(e, control, STARTED), i64(0)])
    e.ir.call(worker, [control, thread])
    e.ir.ret(ir.Constant(PTR, None))
    return function
