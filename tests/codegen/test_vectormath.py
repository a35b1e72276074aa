"""Vector math against float64 NumPy, in ulp, as compiled for several CPUs and vector widths."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numpy.typing import NDArray

from graphc.codegen import vectormath

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Run = Callable[..., Floats]

inf, nan = math.inf, math.nan
TRIPLE = llvm.get_process_triple()
FEATURES = llvm.get_host_cpu_features()


@dataclass(frozen=True)
class Cpu:
    """A CPU as LLVM names it, and the vector width to compile for."""

    name: str
    lanes: int
    cpu: str
    features: str = ""
    needs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}-{self.lanes}"


HOST = (llvm.get_host_cpu_name(), FEATURES.flatten())
CPUS = (
    Cpu("host", 16, *HOST),
    Cpu("host", 1, *HOST),
    Cpu("avx2", 8, "x86-64-v3", needs=("avx2", "fma")),
    Cpu("sse2", 4, "x86-64", needs=("sse2",)),
)

X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
EMITTED_FOR = {
    "sse2": (X86, "x86-64"),
    "avx2": (X86, "x86-64-v3"),
    "avx512": (X86, "x86-64-v4"),
    "neon": (ARM, "generic"),
}


def sigmoid(x: Doubles) -> Doubles:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


def erf(x: Doubles) -> Doubles:
    return np.array([math.erf(value) for value in x.tolist()])


# Function -> its float64 reference and the error that its docstring states.
UNARY: dict[str, tuple[Callable[[Doubles], Doubles], float]] = {
    "exp": (np.exp, 1.60),
    "expm1": (np.expm1, 1.66),
    "log": (np.log, 1.07),
    "log1p": (np.log1p, 1.71),
    "tanh": (np.tanh, 2.61),
    "sigmoid": (sigmoid, 3.45),
    "erf": (erf, 2.56),
    "sin": (np.sin, 2.00),
    "cos": (np.cos, 2.00),
}
POWER_ULP = 0.54
NAMES = (*UNARY, "power")
PERIODIC_RANGE = 4e8  # of sin and cos


def module_for(lanes: int) -> ir.Module:
    """For each function a loop `void name(float* x, float* y, float* result, int64 count)`."""
    module = ir.Module("vectormath")
    pointer, int64, f32 = ir.PointerType(), ir.IntType(64), ir.FloatType()
    signature = ir.FunctionType(ir.VoidType(), [pointer, pointer, pointer, int64])
    for name in NAMES:
        function = ir.Function(module, signature, f"graphc_{name}")
        entry, loop, end = (
            function.append_basic_block(label) for label in ("entry", "loop", "end")
        )
        ir.IRBuilder(entry).branch(loop)
        builder = ir.IRBuilder(loop)
        at = builder.phi(int64)
        addresses = [builder.gep(array, [at], source_etype=f32) for array in function.args[:3]]
        vector = ir.VectorType(f32, lanes)
        x, y = (builder.load(address, typ=vector, align=4) for address in addresses[:2])
        operands = (x, y) if name == "power" else (x,)
        builder.store(getattr(vectormath, name)(builder, *operands), addresses[2], align=4)
        following = builder.add(at, ir.Constant(int64, lanes))
        at.add_incoming(ir.Constant(int64, 0), entry)
        at.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", following, function.args[3]), loop, end)
        ir.IRBuilder(end).ret_void()
    return module


@pytest.fixture(scope="module", params=CPUS, ids=str)
def run(request: pytest.FixtureRequest) -> Run:
    """run(name, x) or run(name, x, y) on float32 arrays, compiled for one of the CPUs."""
    cpu: Cpu = request.param
    missing = [feature for feature in cpu.needs if not FEATURES.get(feature)]
    if missing:
        pytest.skip(f"this machine ({TRIPLE}) has no {' and no '.join(missing)}")
    target = llvm.Target.from_triple(TRIPLE)
    machine = target.create_target_machine(cpu=cpu.cpu, features=cpu.features, jit=True)
    compiler = llvm.create_lljit_compiler(machine)
    library = llvm.JITLibraryBuilder().add_ir(str(module_for(cpu.lanes)))
    for name in NAMES:
        library.export_symbol(f"graphc_{name}")
    code = library.link(compiler, str(cpu))
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)
    functions = {name: signature(code[f"graphc_{name}"]) for name in NAMES}

    def call(name: str, *operands: Floats) -> Floats:
        count = operands[0].size
        arrays = [np.resize(operand, -(-count // 16) * 16) for operand in operands]
        result = np.empty_like(arrays[0])
        addresses = [array.ctypes.data for array in (arrays[0], arrays[-1], result)]
        functions[name](*addresses, result.size)
        return result[:count]

    call.keep_alive = (compiler, code)  # type: ignore[attr-defined]
    return call


def spread() -> Floats:
    """Floats of all exponents, denormals included, and more of them of everyday size."""
    bits = np.arange(0, 2**32, 16381, dtype=np.uint64).astype(np.uint32)
    everyday = np.linspace(-20, 20, 80_001, dtype=np.float32)
    around_one = np.linspace(0.25, 4, 40_001, dtype=np.float32)
    return np.concatenate([bits.view(np.float32), everyday, around_one, around_one - 1])


def errors_in_ulp(result: Floats, exact: Doubles) -> Doubles:
    """Distances in units in the last place of the exact result; infinite where only one is NaN."""
    limit = 2.0**128
    _, exponents = np.frexp(np.clip(exact, -limit / 2, limit / 2))
    unit = np.ldexp(1.0, np.maximum(exponents, -125) - 24)
    got = np.clip(result.astype(np.float64), -limit, limit)
    errors = np.abs(got - np.clip(exact, -limit, limit)) / unit
    same_nan = np.isnan(result) & np.isnan(exact)
    return np.where(same_nan, 0.0, np.where(np.isnan(errors), inf, errors))


def check(result: Floats, exact: Doubles, limit: float, *operands: Floats) -> None:
    errors = errors_in_ulp(result, exact)
    worst = int(np.argmax(errors))
    at = ", ".join(repr(operand[worst]) for operand in operands)
    message = f"{errors[worst]:.3f} ulp at ({at}): {result[worst]!r}, not {exact[worst]!r}"
    assert errors[worst] <= limit, message
    zeros = (exact == 0) & (result == 0)
    assert np.array_equal(np.signbit(result[zeros]), np.signbit(exact[zeros])), "sign of zero"


@pytest.mark.parametrize("name", UNARY)
def test_error_is_within_the_stated_ulp_over_all_floats(run: Run, name: str) -> None:
    reference, limit = UNARY[name]
    x = spread()
    if name in ("sin", "cos"):
        x = x[~(np.abs(x) > PERIODIC_RANGE)]
    with np.errstate(all="ignore"):
        exact = reference(x.astype(np.float64))
    check(run(name, x), exact, limit, x)


SPECIALS: dict[str, dict[float, float]] = {
    "exp": {inf: inf, -inf: 0.0, 0.0: 1.0, 88.73: inf, -104.0: 0.0, 3e38: inf},
    "expm1": {inf: inf, -inf: -1.0, 0.0: 0.0, -30.0: -1.0, 88.73: inf, 1e-45: 1e-45},
    "log": {inf: inf, -inf: nan, 0.0: -inf, -1e-45: nan, -1.0: nan, 1.0: 0.0},
    "log1p": {inf: inf, -inf: nan, 0.0: 0.0, -1.0: -inf, -1.0000001: nan, 1e-45: 1e-45},
    "tanh": {inf: 1.0, -inf: -1.0, 0.0: 0.0, 1e-45: 1e-45, 9.1: 1.0, -3e38: -1.0},
    "sigmoid": {inf: 1.0, -inf: 0.0, 0.0: 0.5, -104.0: 0.0, 3e38: 1.0, -3e38: 0.0},
    "erf": {inf: 1.0, -inf: -1.0, 0.0: 0.0, 1e-45: 1e-45, 3.9: 1.0, -3e38: -1.0},
    "sin": {inf: nan, -inf: nan, 0.0: 0.0, 1e-45: 1e-45},
    "cos": {inf: nan, -inf: nan, 0.0: 1.0, 1e-45: 1.0},
}
ODD = ("expm1", "log1p", "tanh", "erf", "sin")  # f(-0) is -0


@pytest.mark.parametrize("name", SPECIALS)
def test_special_values(run: Run, name: str) -> None:
    cases = SPECIALS[name] | {nan: nan}
    x = np.array(list(cases), np.float32)
    np.testing.assert_array_equal(run(name, x), np.array(list(cases.values()), np.float32))
    zeros = run(name, np.array([0.0, -0.0], np.float32))
    if name in ODD:
        assert np.signbit(zeros).tolist() == [False, True]
    else:
        assert zeros[0] == zeros[1]


@pytest.mark.parametrize("name", ["tanh", "erf", "sigmoid", "sin", "cos"])
def test_bounded_functions_stay_within_their_bounds(run: Run, name: str) -> None:
    x = spread()
    result = run(name, x[np.isfinite(x)])
    assert result.max() == 1
    assert result.min() == (0 if name == "sigmoid" else -1)


def test_sin_and_cos_next_to_multiples_of_half_pi(run: Run) -> None:
    multiples = np.arange(1, 200_001, dtype=np.float64) * (math.pi / 2)
    x = np.concatenate([multiples, multiples * 1000]).astype(np.float32)
    for name in ("sin", "cos"):
        reference, limit = UNARY[name]
        check(run(name, x), reference(x.astype(np.float64)), limit, x)


def check_power(run: Run, x: Floats, y: Floats) -> None:
    with np.errstate(all="ignore"):
        exact = np.power(x.astype(np.float64), y.astype(np.float64))
    check(run("power", x, y), exact, POWER_ULP, x, y)


def test_power_of_any_floats(run: Run) -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 2**32, (2, 100_000), dtype=np.uint32)
    x, y = bits.view(np.float32)
    check_power(run, x, y)
    check_power(run, x, random.integers(-12, 13, x.size).astype(np.float32))


def test_power_where_the_result_is_finite(run: Run) -> None:
    random = np.random.default_rng(1)
    near_one = 1 + random.uniform(-1, 1, 100_000) * 2.0 ** -random.integers(0, 24, 100_000)
    anywhere = 2.0 ** random.uniform(-149, 128, 100_000)
    x = np.concatenate([near_one, anywhere]).astype(np.float32)
    x = x[(x > 0) & (x != 1)]
    y = random.uniform(-152, 129, x.size) / np.log2(x.astype(np.float64))
    check_power(run, x, y.astype(np.float32))


def test_power_of_special_values(run: Run) -> None:
    values = [0, 1, 2, 3, 0.5, 1.5, inf, 1e-45, 1e-40, 3.4e38, 0.99999994, 1.0000001]
    values += [2**22 + 0.5, 2**23 - 0.5, 2**23 + 1, 2**24 - 1, 2**24, 2**31, 2**33]
    both = np.array([*values, *(-value for value in values), -0.0, nan], np.float32)
    x, y = (grid.ravel() for grid in np.meshgrid(both, both))
    check_power(run, x, y)


CALL = re.compile(r"^\s*(call\w*|blr?|jmp\w*\s+\S+@PLT|b\s+[a-z]\w*)\s.*", re.MULTILINE)


@pytest.mark.parametrize("lanes", [1, 4, 8, 16])
@pytest.mark.parametrize("name", EMITTED_FOR)
def test_code_calls_no_library(name: str, lanes: int) -> None:
    triple, cpu = EMITTED_FOR[name]
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu)
    module = module_for(lanes)
    module.triple = triple
    unit = llvm.parse_assembly(str(module))
    unit.verify()
    passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
    passes.getModulePassManager().run(unit, passes)
    assembly = machine.emit_assembly(unit)
    assert "graphc_exp" in assembly
    assert CALL.search(assembly) is None


def test_call_pattern_finds_calls() -> None:
    for line in ("\tcallq\texpf@PLT", "\tcall\texpf", "\tjmp\texpf@PLT", "\tbl\texpf", "\tb\texpf"):
        assert CALL.search(f"\tret\n{line}\n"), line
    assert CALL.search("\tblendvps\t%xmm0, %xmm1\n\tb.ne\t.LBB0_1\n\tjl\t.LBB0_1\n") is None
