"""Targets: what the generator needs to know of a CPU."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache

import llvmlite.binding as llvm

VARIABLE = "GRAPHC_TARGET"


@dataclass(frozen=True)
class Target:
    """A CPU as the generator sees it.

    Attributes:
        name: "avx512", "avx2", "sse2", "neon" or "generic".
        cpu, features: as LLVM names them.
        lanes: float32 elements of a vector register.
        masked: loads and stores take a mask, so that tails need no scalar code.
        tile_rows, tile_vectors: the contraction's register tile: rows of A by vectors of B.
        registers: vector registers.
        panel_bytes: packed B panel that stays in the second-level cache.
    """

    name: str
    cpu: str
    features: str
    lanes: int
    masked: bool
    tile_rows: int
    tile_vectors: int
    registers: int = 16
    panel_bytes: int = 256 * 1024

    def for_columns(self, count: int) -> Target:
        """The target to multiply so many columns with: vectors of half the width where these hold
        them, as processors that split 64-byte vectors multiply twice as many of 32 bytes."""
        return replace(self, lanes=8) if self.lanes == 16 and count <= 8 else self


_X86 = {
    "avx512": Target("avx512", "x86-64-v4", "-prefer-256-bit", 16, True, 12, 2, 32),
    "avx2": Target("avx2", "x86-64-v3", "", 8, True, 6, 2),
    "sse2": Target("sse2", "x86-64", "", 4, False, 6, 2),
}
_ARM = {"neon": Target("neon", "generic", "+neon", 4, False, 8, 3, 32)}
_GENERIC = Target("generic", "", "", 4, False, 4, 2)


def known_targets() -> dict[str, Target]:
    """The targets that code for this machine's architecture can be made for, best first."""
    triple = llvm.get_process_triple()
    if triple.startswith(("x86_64", "amd64")):
        return _X86
    return _ARM if triple.startswith(("aarch64", "arm64")) else {"generic": _GENERIC}


@cache
def detect() -> Target:
    """The best target that this CPU runs."""
    known = known_targets()
    if "sse2" not in known:
        return next(iter(known.values()))
    has = llvm.get_host_cpu_features()
    if all(has.get(f) for f in ("avx512f", "avx512bw", "avx512vl", "avx512dq")):
        return known["avx512"]
    return known["avx2"] if has.get("avx2") and has.get("fma") else known["sse2"]


@cache
def cpu_model() -> str:
    """What tells this CPU from others that run the same code: LLVM's and the system's names."""
    found = [llvm.get_host_cpu_name()]
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        found += [next((line for line in file if line.startswith("model name")), "").strip()]
    return " ".join(found)


def current() -> Target:
    """The target to compile for: the environment variable's, or the one detected.

    Raises:
        ValueError: when GRAPHC_TARGET names no target of this architecture.
    """
    name = os.environ.get(VARIABLE, "")
    if not name:
        return detect()
    known = known_targets()
    if name not in known:
        raise ValueError(f"{VARIABLE}={name}: expected one of {', '.join(known)}")
    return known[name]
