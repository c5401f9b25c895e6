"""A device that runs CUDA C on the CPU: the generated source itself, through `shim.h` and a C++ compiler."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backends.contract import Array, Resident
from backends.cost import Machine
from backends.cupy.source.program import ARGUMENTS, Source

HEADER = Path(__file__).with_name("shim.h")
FLAGS = (
    "-std=c++17",
    "-O1",
    "-shared",
    "-fPIC",
    "-Wl,-Bsymbolic",
    "-w",
    "-ffp-contract=off",
    "-mfma",
    "-fno-math-errno",
    "-fno-strict-aliasing",
)


def compiler() -> list[str] | None:
    """The command of a C++ compiler: the system's, or that of the ziglang wheel."""
    for name in ("g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    return [sys.executable, "-m", "ziglang", "c++"] if importlib.util.find_spec("ziglang") else None


class HostRoom:
    """Bytes of the host that stand for the device's."""

    def __init__(self, size: int) -> None:
        self.bytes = np.zeros(size + 64, np.uint8)
        self.address = -(-self.bytes.ctypes.data // 64) * 64
        self.size = size


class ShimCode:
    """A compiled source."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def launch(self, kernel: str, blocks: tuple[int, int], arguments: Sequence[Any]) -> None:
        """Runs a kernel."""
        given = [ctypes.c_int(int(a)) if isinstance(a, np.int32) else ctypes.c_longlong(int(a)) for a in arguments]
        getattr(self.library, f"launch_{kernel}")(ctypes.c_int(blocks[0]), ctypes.c_int(blocks[1]), *given)


class ShimDevice:
    """Runs kernels at once; a graph is the list of its launches.  change: what a test does to the source first."""

    name = "shim"

    def __init__(self, change: Callable[[str], str] = lambda text: text, flags: Sequence[str] = ()) -> None:
        self.change, self.flags = change, tuple(flags)

    def allocate(self, size: int) -> HostRoom:
        """Zeros."""
        return HostRoom(size)

    def upload(self, address: int, array: Array) -> None:
        """A copy."""
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def download(self, address: int, array: Array) -> None:
        """A copy."""
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def copy(self, target: int, source: int, size: int) -> None:
        """A copy."""
        ctypes.memmove(target, source, size)

    def clear(self, address: int, size: int) -> None:
        """Zeros."""
        ctypes.memset(address, 0, size)

    def pinned(self, size: int) -> Array:
        """Bytes of the host."""
        return np.zeros(size, np.uint8)

    def send(self, address: int, array: Array, free: Any) -> None:
        """A copy."""
        self.upload(address, array)

    def mark(self) -> None:
        """All is done."""

    def after(self, mark: Any) -> None:
        """All is done."""

    def reached(self, mark: Any) -> None:
        """All is done."""

    def borrow(self, x: Any) -> Resident | None:
        """What says that it lies on a device: its bytes are the host's."""
        told = getattr(x, "__cuda_array_interface__", None)
        if told is None:
            return None
        return Resident(address=told["data"][0], shape=told["shape"], dtype=str(np.dtype(told["typestr"])), owner=x)

    def first_not_finite(self, x: Resident) -> tuple[int, ...] | None:
        """As NumPy finds it."""
        array = np.empty(x.shape, x.dtype)
        self.download(x.address, array)
        wrong = np.argwhere(~np.isfinite(array))
        return tuple(map(int, wrong[0])) if len(wrong) else None

    def compile(self, source: Source) -> ShimCode:
        """By the C++ compiler, once for each source."""
        gathers = [k.name for k in source.kernels if k.gathers]
        steps = [k.name for k in source.kernels if not k.gathers]
        text = "\n".join(
            [
                HEADER.read_text(),
                *(["namespace rows {", source.gathers, *_launchers(gathers, False), "}", "#undef GIVEN"] if source.gathers else []),
                *(f"#undef {name}" for name in ("PRECISION", "FMA32", "FMA64", "SQRT", "RINT", "INLINE")),
                "namespace steps {",
                self.change(source.text),
                *_launchers(steps, source.flushes),
                'extern "C" void launch_advance(int, int, long long* clock, int steps) { advance(clock, steps); }',
                "}",
            ]
        )
        return ShimCode(_library(text, self.flags))

    def record(self, launches: Callable[[], None]) -> Callable[[], None]:
        """The launches themselves."""
        return launches

    def machine(self) -> Machine:
        """None to speak of."""
        raise AssertionError("the shim's times say nothing")

    def free(self) -> None:
        """Not known."""

    def timed(self, run: Callable[[], None]) -> None:
        """Runs it; a time would say nothing of a GPU."""
        run()


def _launchers(names: Sequence[str], flushes: bool) -> list[str]:
    arguments = ", ".join(name for _, name in ARGUMENTS)
    launched = f"shim::launch(x, y, {str(flushes).lower()}, [&] {{ %s({arguments}); }});"
    return [f'extern "C" void launch_{name}(int x, int y, GIVEN) {{ {launched % name} }}' for name in names]


def _library(text: str, flags: Sequence[str]) -> ctypes.CDLL:
    command = compiler()
    assert command is not None, "no C++ compiler"
    key = hashlib.sha256("\0".join((text, *FLAGS, *flags, *command)).encode()).hexdigest()[:32]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caviar" / "shim"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{key}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=folder) as made:
            source, library = Path(made) / "step.cpp", Path(made) / "step.so"
            source.write_text(text)
            done = subprocess.run([*command, *FLAGS, *flags, "-o", str(library), str(source)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr[:4000]
            library.replace(target)
    return ctypes.CDLL(str(target))
