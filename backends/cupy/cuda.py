"""The current CUDA device, through CuPy: its memory, NVRTC, launches and graphs."""

from __future__ import annotations

from collections.abc import Sequence
from threading import RLock
from typing import Any

import numpy as np

from backends import Unavailable
from backends.contract import Array, Resident
from backends.cost import Machine, graphics
from backends.cupy.compiler import Cubins
from backends.cupy.device import Launches
from backends.cupy.source.piece import THREADS
from backends.cupy.source.program import Source

ON_CUDA = (2, 13)  # DLPack's kinds of devices: memory of a GPU, and memory that it shares with the host
HALF_AS_WIDE = ("sm_70", "sm_75", "sm_80")  # 64 multiply-adds a clock of float32 in a multiprocessor, elsewhere 128


class _Room:
    """A run of bytes of CuPy's pool."""

    def __init__(self, pointer: Any, size: int) -> None:
        self._pointer, self.address, self.size = pointer, int(pointer.ptr), size


class _Code:
    """The functions of two modules: of the rows, and of the step."""

    def __init__(self, stream: Any, functions: dict[str, Any], lock: Any) -> None:
        self.stream, self.functions, self._lock = stream, functions, lock

    def launch(self, kernel: str, blocks: tuple[int, int], arguments: Sequence[Any]) -> None:
        """Starts a kernel on the stream."""
        with self._lock, self.stream:
            self.functions[kernel](blocks, (THREADS,), tuple(arguments))


class CudaDevice:
    """All that is asked for happens in order on one stream; nothing but a download waits for the device.

    Several threads may ask: while one records a graph, what the others want of the stream waits.
    """

    def __init__(self, cubins: Cubins | None = None) -> None:
        import cupy  # noqa: PLC0415  # an optional heavy dependency: only who asks for this backend needs it

        self._cupy, self._cuda, self._cubins = cupy, cupy.cuda, cubins or Cubins()
        self._runtime = cupy.cuda.runtime
        properties = self._runtime.getDeviceProperties(self._runtime.getDevice())
        self.name = properties["name"].decode()
        self.architecture = f"sm_{properties['major']}{properties['minor']}"
        self.stream = cupy.cuda.Stream(non_blocking=True)  # one that may be captured
        self.copies = cupy.cuda.Stream(non_blocking=True)
        self._lock = RLock()

    def allocate(self, size: int) -> _Room:
        """Zeros."""
        with self._lock, self.stream:
            pointer = self._cuda.alloc(size)
            self.clear(pointer.ptr, size)
        return _Room(pointer, size)

    def upload(self, address: int, array: Array) -> None:
        """The array [...] from pageable memory: CUDA has taken a copy when this returns."""
        if array.nbytes:
            kind = self._runtime.memcpyHostToDevice
            with self._lock:
                self._runtime.memcpyAsync(address, array.ctypes.data, array.nbytes, kind, self.stream.ptr)

    def download(self, address: int, array: Array) -> None:
        """Into the array [...], after all before it."""
        with self._lock:
            if array.nbytes:
                kind = self._runtime.memcpyDeviceToHost
                self._runtime.memcpyAsync(array.ctypes.data, address, array.nbytes, kind, self.stream.ptr)
            self.stream.synchronize()

    def copy(self, target: int, source: int, size: int) -> None:
        """Within the device."""
        with self._lock:
            self._runtime.memcpyAsync(target, source, size, self._runtime.memcpyDeviceToDevice, self.stream.ptr)

    def clear(self, address: int, size: int) -> None:
        """Zeros."""
        with self._lock:
            self._runtime.memsetAsync(address, 0, size, self.stream.ptr)

    def pinned(self, size: int) -> Array:
        """Page-locked bytes [size], so that a copy from them is made while both sides work."""
        memory = self._cuda.alloc_pinned_memory(size)
        return np.frombuffer(memory, np.uint8, size)  # which keeps the memory

    def send(self, address: int, array: Array, free: Any) -> Any:
        """The array [...] on a stream of copies."""
        if free is not None:
            self.copies.wait_event(free)
        self._runtime.memcpyAsync(address, array.ctypes.data, array.nbytes, self._runtime.memcpyHostToDevice, self.copies.ptr)
        return self._marked(self.copies)

    def mark(self) -> Any:
        """An event of the stream."""
        with self._lock:
            return self._marked(self.stream)

    def after(self, mark: Any) -> None:
        """The stream waits."""
        with self._lock:
            self.stream.wait_event(mark)

    def reached(self, mark: Any) -> None:
        """The host waits."""
        mark.synchronize()

    def _marked(self, stream: Any) -> Any:
        event = self._cuda.Event(disable_timing=True)
        event.record(stream)
        return event

    def borrow(self, x: Any) -> Resident | None:
        """By `__cuda_array_interface__`, or by DLPack where its kind of device is CUDA's; a view that is not dense is copied there."""
        if hasattr(x, "__cuda_array_interface__"):
            array = self._cupy.asarray(x)
        elif hasattr(x, "__dlpack_device__") and x.__dlpack_device__()[0] in ON_CUDA:
            array = self._cupy.from_dlpack(x)
        else:
            return None
        if array.device.id != (own := self._runtime.getDevice()):
            reason = f"x lies on device {array.device.id}, and the program on {own}"
            raise Unavailable(kind="cupy", reason=reason, hint="move the rows there first")
        array = self._cupy.ascontiguousarray(array)
        self._runtime.deviceSynchronize()  # who made it may still be at it, on a stream of its own
        return Resident(address=int(array.data.ptr), shape=tuple(array.shape), dtype=str(array.dtype), owner=array)

    def first_not_finite(self, x: Resident) -> tuple[int, ...] | None:
        """By CuPy; a single number comes back."""
        if np.dtype(x.dtype).kind != "f" or not x.nbytes:
            return None
        wrong = ~self._cupy.isfinite(self._cupy.asarray(x))
        if not bool(wrong.any()):
            return None
        return tuple(int(i) for i in np.unravel_index(int(wrong.argmax()), x.shape))

    def compile(self, source: Source) -> _Code:
        """Machine code from the cache or from NVRTC."""
        functions: dict[str, Any] = {}
        names = {False: [k.name for k in source.kernels if not k.gathers], True: [k.name for k in source.kernels if k.gathers]}
        for gathers, text in ((False, source.text), (True, source.gathers)):
            if text:
                module = self._module(text, flushes=source.flushes and not gathers)
                functions |= {name: module.get_function(name) for name in names[gathers]}
                functions |= {} if gathers else {"advance": module.get_function("advance")}
        return _Code(self.stream, functions, self._lock)

    def record(self, launches: Launches) -> Launches:
        """A CUDA graph."""
        with self._lock:
            self.stream.begin_capture()
            try:
                launches()
            finally:
                graph = self.stream.end_capture()

        def replay() -> None:
            with self._lock:
                graph.launch(self.stream)

        return replay

    def machine(self) -> Machine:
        """By the attributes of the device."""
        runtime, device = self._runtime, self._runtime.getDevice()

        def attribute(name: str) -> int:
            return int(runtime.deviceGetAttribute(getattr(runtime, f"cudaDevAttr{name}"), device))

        return graphics(
            self.name, multiprocessors=attribute("MultiProcessorCount"), clock=1e3 * attribute("ClockRate"),
            lanes=64 if self.architecture in HALF_AS_WIDE else 128, double=attribute("SingleToDoublePrecisionPerfRatio"),
            bandwidth=2 * 1e3 * attribute("MemoryClockRate") * attribute("GlobalMemoryBusWidth") / 8, cache=attribute("L2CacheSize"),
        )  # fmt: skip

    def free(self) -> int:
        """What the driver has, and what CuPy's pool holds unused."""
        return int(self._runtime.memGetInfo()[0])

    def timed(self, run: Launches) -> float:
        """Between two events around all of it."""
        first, last = self._cuda.Event(), self._cuda.Event()
        first.record(self.stream)
        run()
        last.record(self.stream)
        last.synchronize()
        return float(self._cuda.get_elapsed_time(first, last)) / 1000

    def _module(self, text: str, *, flushes: bool) -> Any:
        code = self._cubins.get(self._cuda.nvrtc, text, self.architecture, flushes=flushes)
        module = self._cuda.function.Module()
        module.load(code)
        return module
