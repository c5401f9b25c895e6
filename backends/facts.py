"""What of this machine the backends depend on, and what another would change."""

from __future__ import annotations

import importlib.metadata
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal

from backends import choose
from backends.folder import cache_folder

Fact = tuple[str, str, str]  # what, what is here, what it decides


def facts(threads: int | Literal["auto"]) -> Iterator[Fact]:
    """LLVM, the processor, its features and cores, CuPy, driver and GPU, and the folders of compiled code."""
    from llvmlite import binding  # noqa: PLC0415  # of the NumPy backend alone

    from backends.cupy.probe import available  # noqa: PLC0415  # imports cupy where it is there
    from backends.numpy.machine import processor  # noqa: PLC0415  # of the NumPy backend alone

    host, cores = processor.host(), processor.usable_cores()
    yield "LLVM", ".".join(map(str, binding.llvm_version_info)), "comes with llvmlite; kernels are compiled anew for another"
    fused = (
        "its bits are those of all that fuse multiply and add" if host.multiplies_and_adds else "it rounds each product: bits of its own"
    )
    yield "processor", f"{host.cpu}: {host.name} code, vectors of {host.vector_bytes * 8} bits", f"speed; {fused}"
    yield (
        "CPU features",
        ", ".join(processor.known()) or "none that kernels are made for",
        "AVX-512, AVX2 or NEON, and fma: which code is made",
    )
    yield "cores", f"{cores} usable, backend.threads={threads}", "speed; no bits"
    packages = (version(f"cupy-cuda{number}x") for number in (13, 12))
    yield "CuPy", next((found for found in packages if found), "not installed"), "backend=cupy"
    usable, reason = available()
    yield "NVIDIA driver", driver() or "none", "backend=cupy needs one of CUDA 13"
    yield "GPU", f"ok, {reason}" if usable else reason, "speed, which has not been measured; the bits are the CPU's (docs/bits.md)"
    kind, why = choose("auto")
    yield "backend=auto", kind, why
    for name, holds in (("kernels", "native code"), ("cubins", "code for GPUs")):
        yield f"cache of {holds}", held(cache_folder(name)), "may be removed: it is made anew"


def version(package: str) -> str | None:
    """Of an installed package; None where it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def driver() -> str | None:
    """The version of the NVIDIA driver, as its kernel module tells it; None without one."""
    with suppress(OSError):
        return Path("/sys/module/nvidia/version").read_text("ascii").strip()
    return None


def held(folder: Path) -> str:
    """How much lies in a folder; other processes may take files away meanwhile."""
    sizes = []
    for path in folder.rglob("*") if folder.is_dir() else ():
        with suppress(OSError):
            status = path.stat()
            sizes += [status.st_size] if stat.S_ISREG(status.st_mode) else []
    return f"{folder}, {len(sizes):,} files, {sum(sizes) / 2**20:,.1f} MiB"
