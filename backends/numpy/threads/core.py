"""On which core a thread runs, and how it gets another one, where Linux is asked.

Linux may wake a thread on the core of the one that wakes it, and leaves both there for a second and longer although another core is idle,
as each sleeps while it waits for the other.  A job of 15 microseconds takes a millisecond then.
"""

from __future__ import annotations

from llvmlite import ir

from backends.numpy.emit.emitter import I8, I32, I64, Emitter, Value, i64
from backends.numpy.machine.processor import Processor

_MASK = 1024  # bytes that say which cores a thread may use, a bit each
_NOWHERE = -1


class Cores:
    """The function `prefix`_leave(core), and the number of a thread's core; nothing where the system is not Linux."""

    def __init__(self, module: ir.Module, prefix: str, cpu: Processor) -> None:
        self.known = "linux" in cpu.triple
        self._leave = self._emit_leave(Emitter(module, f"{prefix}_leave", [I64], internal=True)) if self.known else None

    def here(self, e: Emitter) -> Value:
        """The number of the core that the calling thread runs on."""
        return e.b.sext(e.call("sched_getcpu", I32), I64) if self.known else i64(_NOWHERE)

    def leave(self, e: Emitter, core: Value) -> None:
        """Moves the calling thread to another core where it runs on `core`; later it may run on any again."""
        if self.known:
            with e.b.if_then(e.b.icmp_signed("==", self.here(e), core)):
                e.b.call(self._leave, [core])

    def _emit_leave(self, e: Emitter) -> ir.Function:
        """Without `core` among the cores it may use, the thread is moved at once; then it may use it again, and stays where it is."""
        (core,) = e.arguments
        mask = e.b.alloca(I8, _MASK)
        e.clear(mask, i64(_MASK))
        own, size = ir.Constant(I32, 0), i64(_MASK)
        got = e.call("sched_getaffinity", I32, own, size, mask)
        with e.b.if_then(e.b.and_(e.b.icmp_signed("==", got, own), e.within(core, 8 * _MASK))):
            place = e.at(mask, core // 8)
            before = e.b.load(place, typ=I8)
            bit = e.b.shl(ir.Constant(I8, 1), e.b.trunc(core % 8, I8))
            e.b.store(e.b.and_(before, e.b.not_(bit)), place)
            e.call("sched_setaffinity", I32, own, size, mask)  # refused where it is the only one
            e.b.store(before, place)
            e.call("sched_setaffinity", I32, own, size, mask)
        e.finish()
        return e.function
