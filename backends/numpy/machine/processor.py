"""The processor that kernels are made for, and the cores that a run may use."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm

MOST_ROWS = 16  # of a tile: more would not hide more latency
LANES = 16  # logical lanes of element-wise code: LLVM splits them where the machine is narrower, so bits do not depend on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """vector_bytes    width of a vector register
    registers       vector registers that a tile may use: all, but on plain x86-64 those for the rounded products
    tile_vectors    most vectors side by side in a tile of a convolution
    """

    name: str
    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    tile_vectors: int

    def tile_rows(self, vectors: int) -> int:
        """Rows of a tile that is `vectors` wide: its sums, a row of the right operand and one number of the left fill the registers."""
        return min(MOST_ROWS, (self.registers - 1) // vectors - 1)

    @property
    def multiplies_and_adds(self) -> bool:
        """Whether x * y + z is one instruction, rounded once."""
        return self.name != "plain"

    def machine(self) -> llvm.TargetMachine:
        """LLVM's description of this processor."""
        target = llvm.Target.from_triple(self.triple)
        return target.create_target_machine(cpu=self.cpu, features=self.features, opt=3, reloc="pic", codemodel="default")


@cache
def _initialize() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def avx512() -> Processor:
    """An AVX-512 machine; its code can be compiled and read anywhere."""
    _initialize()
    return Processor(name="AVX-512", triple=_x86(), cpu="icelake-server", features="", vector_bytes=64, registers=32, tile_vectors=4)


def _x86() -> str:
    triple = llvm.get_process_triple()
    return str(triple) if triple.startswith("x86_64") else "x86_64-unknown-linux-gnu"


@cache
def host() -> Processor:
    """This machine."""
    _initialize()
    features = llvm.get_host_cpu_features()
    has = {name for name, on in features.items() if on}
    flat = features.flatten()
    triple, cpu = llvm.get_process_triple(), llvm.get_host_cpu_name()
    if "avx512f" in has and "avx512vl" in has:
        return Processor(name="AVX-512", triple=triple, cpu=cpu, features=flat, vector_bytes=64, registers=32, tile_vectors=4)
    if "avx2" in has and "fma" in has:
        return Processor(name="AVX2", triple=triple, cpu=cpu, features=flat, vector_bytes=32, registers=16, tile_vectors=2)
    if triple.startswith(("aarch64", "arm64")):
        return Processor(name="NEON", triple=triple, cpu=cpu, features=flat, vector_bytes=16, registers=32, tile_vectors=4)
    return Processor(name="plain", triple=triple, cpu=cpu, features=flat, vector_bytes=16, registers=12, tile_vectors=2)


def known() -> tuple[str, ...]:
    """The features of this machine that decide which code is made."""
    _initialize()
    return tuple(name for name in ("avx512f", "avx512vl", "avx2", "fma", "neon") if llvm.get_host_cpu_features().get(name))


def avx2() -> Processor:
    """An AVX2 machine without AVX-512, to run or inspect its code on any x86-64 with AVX2."""
    _initialize()
    return Processor(name="AVX2", triple=_x86(), cpu="haswell", features="", vector_bytes=32, registers=16, tile_vectors=2)


def plain() -> Processor:
    """The oldest x86-64, without fused multiply-add."""
    _initialize()
    return Processor(name="plain", triple=_x86(), cpu="x86-64", features="", vector_bytes=16, registers=12, tile_vectors=2)


def neon() -> Processor:
    """A 64-bit Arm machine; its code can be compiled and read anywhere."""
    _initialize()
    return Processor(
        name="NEON", triple="aarch64-unknown-linux-gnu", cpu="generic", features="+neon", vector_bytes=16, registers=32, tile_vectors=4
    )


def usable_cores() -> int:
    """Cores this process may use: its affinity, further limited by the control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass
    return cores
