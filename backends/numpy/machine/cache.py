"""Object code, made once: LLVM modules to machine code, kept on disk under the digest of all that decides it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
from llvmlite import ir

from backends.folder import cache_folder, is_own, is_private
from backends.numpy.machine.processor import Processor

LIMIT = 256 * 2**20  # bytes kept on disk; the files not used for longest go first
TIDY = 2**22  # bytes that a process adds before it looks again whether the folder is within its limit, as there may be many files
PACKAGE = Path(__file__).parents[1]  # all of it decides what the code is
_CHECK = 32  # bytes of the sha256 in front of each object


@cache
def source_digest() -> str:
    """The digest of this package's own source and of the compiler's version."""
    digest = hashlib.sha256(f"{llvmlite.__version__} {llvm.llvm_version_info}".encode())
    for path in sorted([*PACKAGE.rglob("*.py"), *PACKAGE.parent.glob("*.py")]):  # with what backends share
        digest.update(path.read_bytes())
    return digest.hexdigest()


def key(processor: Processor, *parts: object) -> str:
    """The name under which object code is kept."""
    text = repr((processor, parts, source_digest()))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def compile_object(processor: Processor, build: Callable[[], ir.Module]) -> bytes:
    """Machine code of the module that `build` makes."""
    machine = processor.machine()
    text = build()
    text.triple = processor.triple
    text.data_layout = str(machine.target_data)
    module = llvm.parse_assembly(str(text))
    optimize(module, machine)
    return bytes(machine.emit_object(module))


def optimize(module: llvm.ModuleRef, machine: llvm.TargetMachine) -> None:
    """LLVM's clean-up passes; vectorisation is ours, so its own is off."""
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_vectorization = options.slp_vectorization = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


def _checksum(name: str, code: bytes) -> bytes:
    return hashlib.sha256(b"\0".join((name.encode(), source_digest().encode(), code))).digest()


class ObjectCache:
    """Objects by key, in `folder`.  Several processes may share it: files appear whole or not at all.

    The checksum of a file covers its name and the source that made it: a file under another's name is not run.  A folder that others can
    write is not used.
    """

    def __init__(self, folder: Path | None = None, limit: int = LIMIT) -> None:
        self.folder = folder or cache_folder("kernels")
        self.limit = limit
        self._added = TIDY  # the first that a process adds makes it look

    def get(self, name: str, processor: Processor, build: Callable[[], ir.Module]) -> bytes:
        """The object `name`, from disk or made now.  A damaged file is made anew, with a note."""
        path = self.folder / f"{name}.o"
        with contextlib.suppress(OSError):
            data = self._read(path)
            if _checksum(name, data[_CHECK:]) == data[:_CHECK]:
                os.utime(path)
                return data[_CHECK:]
            print(f"note: the cached kernel {path} was damaged and is made anew", file=sys.stderr)
        code = compile_object(processor, build)
        self._keep(path, _checksum(name, code) + code)
        self._added += len(code)
        if self._added >= TIDY:
            self._added = 0
            self.prune()
        return code

    def _read(self, path: Path) -> bytes:
        """Raises OSError for what is not there, or not ours alone."""
        if not is_own(self.folder.stat()):
            raise PermissionError
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not (is_own(status) and stat.S_ISREG(status.st_mode)):
                raise PermissionError
            return file.read()

    def _keep(self, path: Path, data: bytes) -> None:
        # a cache that cannot be written (read-only home, full disk) costs time, not the run
        with contextlib.suppress(OSError):
            if not is_private(self.folder):  # what others wrote in it before: each file is looked at when it is read
                return
            handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(temporary, path)
            except OSError:
                os.unlink(temporary)
                raise

    def prune(self) -> None:
        """Removes the files not used for longest until the folder is within its limit."""
        with contextlib.suppress(OSError):
            with os.scandir(self.folder) as entries:
                found = [(entry.stat(), entry.path) for entry in entries if entry.name.endswith(".o")]
            files = sorted(((stat.st_mtime, stat.st_size, path) for stat, path in found), reverse=True)
            total = 0
            for _, size, file in files:
                total += size
                if total > self.limit:
                    Path(file).unlink(missing_ok=True)


_loaded: dict[str, tuple[llvm.ExecutionEngine, int]] = {}
_linking = threading.Lock()  # two threads may need one object at once


def load(symbol: str, code: bytes, processor: Processor) -> int:
    """The address of `symbol` in the object `code`; each object is loaded once a process and may be called from later ones.

    An engine for each: the parts of one object lie together then, and what calls another goes through a 64-bit address.  Many objects in
    one engine come to lie more than 2 GiB apart in a large process, further than their jumps reach.
    """
    with _linking:
        if symbol not in _loaded:
            engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), processor.machine())
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
            engine.finalize_object()
            address = engine.get_function_address(symbol)
            llvm.add_symbol(symbol, address)
            _loaded[symbol] = (engine, address)
        return _loaded[symbol][1]


def loaded(symbol: str) -> int | None:
    """The address of `symbol` where its object is in this process already."""
    return _loaded[symbol][1] if symbol in _loaded else None


def ready(symbol: str, build: Callable[[], ir.Module], processor: Processor, objects: ObjectCache) -> int:
    """The address of `symbol`: loaded already, from disk, or compiled now from the module that `build` makes."""
    address = loaded(symbol)
    return address if address is not None else load(symbol, objects.get(symbol, processor, build), processor)
