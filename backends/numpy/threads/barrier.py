"""Barriers: counters in memory that threads add to, and wait at until they reach a number: spinning a little, then asleep.

A barrier is 16 bytes: arrivals so far, and the number of sleepers.  To give the core away (sched_yield) would do on a quiet machine,
but beside a busy process each such turn costs a whole time slice; a sleeper costs nothing and is woken at once.
"""

from __future__ import annotations

import sys

from llvmlite import ir

from backends.numpy.emit.emitter import I32, I64, POINTER, VOID, Emitter, Number, Value, i64
from backends.numpy.machine.processor import Processor

SPINS = 4000  # turns before a thread sleeps: 60 to 200 microseconds by processor, about as long as it takes to wake one
FUTEX = {"x86_64": 202, "aarch64": 98}  # the number of Linux' system call
_WAIT, _WAKE, _EVERYONE = 128, 129, 2**31 - 1  # both private to the process


class Barriers:
    """The functions `prefix`_wait(barrier, target) and `prefix`_wake(barrier); who waits takes `spins` turns before it sleeps."""

    def __init__(self, module: ir.Module, prefix: str, cpu: Processor, spins: int = SPINS) -> None:
        arch = cpu.triple.split("-")[0]
        self.spins = spins
        self.spins_gently = arch == "x86_64" or arch.startswith("i386")
        self.futex = FUTEX.get(arch) if "linux" in cpu.triple else None
        self._wait = self._emit_wait(Emitter(module, f"{prefix}_wait", [POINTER, I64], internal=True))
        self._wake = self._emit_wake(Emitter(module, f"{prefix}_wake", [POINTER], internal=True))

    def arrive(self, e: Emitter, barrier: Value) -> Number:
        """Adds one -> how many had come before."""
        return e.number(e.b.atomic_rmw("add", barrier, i64(1), "seq_cst"))

    def wake(self, e: Emitter, barrier: Value) -> None:
        """Wakes all who sleep at the barrier."""
        e.b.call(self._wake, [barrier])

    def wait(self, e: Emitter, barrier: Value, target: Value) -> None:
        """Returns when `target` have come."""
        e.b.call(self._wait, [barrier, target])

    def _emit_wake(self, e: Emitter) -> ir.Function:
        (barrier,) = e.arguments
        if self.futex is not None:
            asleep = e.b.load_atomic(e.at(barrier, 8), "seq_cst", 8, typ=I64)
            with e.b.if_then(e.b.icmp_unsigned(">", asleep, i64(0))):
                e.call("syscall", I64, i64(self.futex), barrier, i64(_WAKE), i64(_EVERYONE), i64(0))
        e.finish()
        return e.function

    def _emit_wait(self, e: Emitter) -> ir.Function:
        barrier, target = e.arguments
        sleepers = e.at(barrier, 8)
        look, wait, pause, give, out = (e.function.append_basic_block(n) for n in ("look", "wait", "pause", "give", "out"))
        before = e.b.block
        e.b.branch(look)
        e.b.position_at_end(look)
        turns = e.number(e.b.phi(I64))
        turns.add_incoming(i64(0), before)
        here = e.b.load_atomic(barrier, "seq_cst", 8, typ=I64)
        e.b.cbranch(e.b.icmp_unsigned(">=", here, target), out, wait)
        e.b.position_at_end(wait)
        more = turns + 1
        e.b.cbranch(turns < self.spins, pause, give)
        e.b.position_at_end(pause)
        if self.spins_gently:
            e.call("llvm.x86.sse2.pause", VOID)
        turns.add_incoming(more, e.b.block)
        e.b.branch(look)
        e.b.position_at_end(give)
        if self.futex is not None:
            # whoever comes after this look changes the counter, so that the call returns at once: no wake-up can be missed
            e.b.atomic_rmw("add", sleepers, i64(1), "seq_cst")
            seen = e.b.load_atomic(barrier, "seq_cst", 8, typ=I64)
            with e.b.if_then(e.b.icmp_unsigned("<", seen, target)):
                expected = e.b.zext(e.b.trunc(seen, I32), I64)
                e.call("syscall", I64, i64(self.futex), barrier, i64(_WAIT), expected, i64(0))  # 0: for as long as it takes
            e.b.atomic_rmw("sub", sleepers, i64(1), "seq_cst")
        elif sys.platform != "win32":
            e.call("sched_yield", I32)
        turns.add_incoming(more, e.b.block)
        e.b.branch(look)
        e.b.position_at_end(out)
        e.finish()
        return e.function
