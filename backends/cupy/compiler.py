"""CUDA C to machine code of a GPU: NVRTC with the flags that hold the bits, and a cache on disk by the digest of all that decides it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from backends.folder import cache_folder, is_own, is_private

# no contraction beyond the fma that the source asks for; division and square root correctly rounded; all functions are the device's
FLAGS = ("-std=c++17", "-fmad=false", "-prec-div=true", "-prec-sqrt=true", "-default-device")
LIMIT = 64  # files that are kept; the ones not used for longest go first


def options(architecture: str, *, flushes: bool) -> tuple[str, ...]:
    """What NVRTC is told for `architecture`, say sm_90.  flushes: denormals of float32 are zero, in operands and results."""
    return (f"--gpu-architecture={architecture}", *FLAGS, f"-ftz={str(flushes).lower()}")


def compiled(nvrtc: Any, text: str, architecture: str, *, flushes: bool, more: tuple[str, ...] = ()) -> tuple[bytes, str, str]:
    """-> (machine code, PTX, the compiler's log); compute_90, say, has PTX alone.  nvrtc: `cupy.cuda.nvrtc`, which needs no device."""
    program = nvrtc.createProgram(text, "step.cu", [], [])
    try:
        nvrtc.compileProgram(program, [*options(architecture, flushes=flushes), *more])
        ptx = nvrtc.getPTX(program)
        text_of_ptx = ptx.decode() if isinstance(ptx, bytes) else str(ptx)
        code = bytes(nvrtc.getCUBIN(program)) if architecture.startswith("sm_") else b""
        return code, text_of_ptx, str(nvrtc.getProgramLog(program))
    except nvrtc.NVRTCError as error:
        raise AssertionError(f"generated CUDA does not compile: {nvrtc.getProgramLog(program)}") from error
    finally:
        nvrtc.destroyProgram(program)


class Cubins:
    """Machine code by key, in a folder that is ours alone; several processes may share it: files appear whole or not at all."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder("cubins")

    def get(self, nvrtc: Any, text: str, architecture: str, *, flushes: bool) -> bytes:
        """The machine code of `text`, from disk or made now."""
        decides = repr((nvrtc.getVersion(), options(architecture, flushes=flushes), text))
        key = hashlib.sha256(decides.encode()).hexdigest()[:40]
        with contextlib.suppress(OSError):
            if is_own(self.folder.stat()):
                for path in self.folder.glob(f"{key}-*.cubin"):
                    code = path.read_bytes()
                    if path.name == _name(key, code) and is_own(path.stat()):
                        os.utime(path)
                        return code
        code, _, _ = compiled(nvrtc, text, architecture, flushes=flushes)
        self._keep(key, code)
        return code

    def _keep(self, key: str, code: bytes) -> None:
        # a cache that cannot be written costs time, not the run
        with contextlib.suppress(OSError):
            if not is_private(self.folder):
                return
            handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
            with os.fdopen(handle, "wb") as file:
                file.write(code)
            os.replace(temporary, self.folder / _name(key, code))
            files = sorted(self.folder.glob("*.cubin"), key=lambda path: -path.stat().st_mtime)
            for path in files[LIMIT:]:
                path.unlink(missing_ok=True)


def _name(key: str, code: bytes) -> str:
    return f"{key}-{hashlib.sha256(code).hexdigest()[:40]}.cubin"
