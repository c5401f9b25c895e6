"""The threads of this process beside the calling one: they wait in native code, so that to hand them a part costs a microsecond."""

# T threads
from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import cache

from llvmlite import ir

from backends.numpy.emit.emitter import I64, POINTER, VOID, Emitter, Module, i64
from backends.numpy.machine.cache import ObjectCache, key, ready
from backends.numpy.machine.memory import address, aligned_bytes
from backends.numpy.machine.processor import Processor, host
from backends.numpy.threads.barrier import Barriers
from backends.numpy.threads.core import Cores

# the bytes of a thread's station: the barrier of jobs given, the barrier of jobs done, and the job: a function, its argument, a part, the
# core of who gave it; each in a cache line of its own
_GIVEN, _DONE, _WORK, STATION = 0, 64, 128, 192
PART = 4  # numbers that say which part of a job: member, members, team, teams
IDLE = 2**14  # turns that a thread without a job takes before it sleeps, a quarter of a millisecond: the next call may come at once
AGAIN, TRIES = 1024, 8  # runs after which the slower way is tried again, and how often: the first try wakes a thread
_JOB = ir.FunctionType(VOID, [POINTER, *[I64] * PART]).as_pointer()
Part = ctypes.c_int64 * PART
ALONE = (Part * 1)(Part(0, 1, 0, 1))


class ThreadPool:
    """Threads that run functions f(argument, member, members, team, teams) beside the caller, one job at a time."""

    def __init__(self, processor: Processor, objects: ObjectCache) -> None:
        serve, share = (_native(emit, processor, objects) for emit in (_serve, _share))
        self._serve = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(serve)
        self._share = ctypes.CFUNCTYPE(None, ctypes.c_int64, *[ctypes.c_void_p] * 3, ctypes.c_int64)(share)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._room, self._stations = aligned_bytes(0), 0

    def run(self, function: int, argument: int, parts: ctypes.Array[ctypes.Array[ctypes.c_int64]]) -> None:
        """function(argument, *part) for each of the parts [T], the first by the caller; returns when all are done.

        While the pool does a job for another thread, the caller does its own alone.
        """
        if len(parts) > 1 and self._lock.acquire(blocking=False):
            try:
                if len(self._threads) < len(parts) - 1:
                    self._end()
                    self._start(len(parts) - 1)
                self._share(function, argument, self._stations, parts, len(parts))
            finally:
                self._lock.release()
        else:
            self.alone(function, argument)

    def alone(self, function: int, argument: int) -> None:
        """The whole job by the caller."""
        self._share(function, argument, None, ALONE, 1)

    def shut_down(self) -> None:
        """Ends the threads; a later job gets others."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        count = len(self._threads) + 1
        self._share(0, None, self._stations, (Part * count)(), count)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _start(self, others: int) -> None:
        self._room = aligned_bytes(others * STATION)
        self._stations = address(self._room)
        for number in range(others):
            # a daemon: the end of the process does not wait for it, but tells it to end (see `pool`)
            station = self._stations + number * STATION
            thread = threading.Thread(target=self._serve, args=(station,), name=f"caviar-{number + 1}", daemon=True)
            thread.start()
            self._threads.append(thread)


class Choice:
    """Whether threads share a short job: as its last runs were quicker; the other way is tried at first and again now and then.

    Both ways give the same bits.  Where another process is at work, to wait for a thread that has no core takes longer than the job.
    """

    def __init__(self) -> None:
        self._seconds = {way: deque[float](maxlen=TRIES) for way in (False, True)}  # of the last runs, alone and together
        self._runs = 0
        self._quicker = False

    def together(self) -> bool:
        """What to do now."""
        turn = self._runs % AGAIN
        self._runs += 1
        if self._runs <= 2 * TRIES:
            return turn >= TRIES
        if turn % TRIES == 0:
            alone, shared = (sorted(seconds)[len(seconds) // 2] if seconds else 0.0 for seconds in self._seconds.values())
            self._quicker = shared < alone
        return self._quicker != (turn < TRIES)

    def took(self, together: bool, seconds: float) -> None:
        """Notes how long a run took."""
        self._seconds[together].append(seconds)


@cache
def pool() -> ThreadPool:
    """The thread pool of this process; a forked one has its own, as threads are not forked."""
    made, process = ThreadPool(host(), ObjectCache()), os.getpid()

    def end() -> None:
        if os.getpid() == process:
            made.shut_down()

    atexit.register(end)
    return made


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)


def _native(emit: Callable[[Module, str, Processor], None], processor: Processor, objects: ObjectCache) -> int:
    symbol = f"pool{emit.__name__}_{key(processor)}"

    def build() -> ir.Module:
        module = Module(symbol, processor)
        emit(module, symbol, processor)
        return module

    return ready(symbol, build, processor, objects)


def _serve(module: Module, symbol: str, processor: Processor) -> None:
    """serve(station): does the jobs given at the station, one after another, until one without a function comes."""
    barriers, cores = Barriers(module, symbol, processor, IDLE), Cores(module, symbol, processor)
    e = Emitter(module, symbol, [POINTER])
    (station,) = e.arguments
    given, done, job = e.at(station, _GIVEN), e.at(station, _DONE), e.at(station, _WORK)
    before, wait, work, out = e.b.block, *(e.function.append_basic_block(n) for n in ("wait", "work", "out"))
    e.b.branch(wait)
    e.b.position_at_end(wait)
    jobs = e.b.phi(I64)
    jobs.add_incoming(i64(0), before)
    number = e.number(jobs) + 1
    barriers.wait(e, given, number)
    function, argument = e.load_number(job), e.b.load(e.at(job, 8), typ=POINTER)
    part = [e.b.load(e.at(job, 8 * (2 + n)), typ=I64) for n in range(PART)]
    e.b.cbranch(function == 0, out, work)
    e.b.position_at_end(work)
    cores.leave(e, e.load_number(e.at(job, 8 * (2 + PART))))
    e.b.call(e.b.inttoptr(function, _JOB), [argument, *part])
    barriers.arrive(e, done)
    barriers.wake(e, done)
    jobs.add_incoming(number, e.b.block)
    e.b.branch(wait)
    e.b.position_at_end(out)
    e.finish()


def _share(module: Module, symbol: str, processor: Processor) -> None:
    """share(function, argument, stations, parts, T): gives parts 1 to T - 1 to the stations, does part 0, waits for the others.

    Without a function it returns when all are told to end.
    """
    barriers, cores = Barriers(module, symbol, processor), Cores(module, symbol, processor)
    e = Emitter(module, symbol, [I64, POINTER, POINTER, POINTER, I64])
    function, argument, stations, parts, count = e.arguments
    others = count - 1
    core = cores.here(e)
    with e.loop(0, others) as n:
        station = e.at(stations, n * STATION)
        part = e.at(parts, (n + 1) * (8 * PART))
        for place, value in ((0, function), (1, argument), (2 + PART, core)):
            e.b.store(value, e.at(station, _WORK + 8 * place))
        for place in range(PART):
            e.b.store(e.b.load(e.at(part, 8 * place), typ=I64), e.at(station, _WORK + 8 * (2 + place)))
        barriers.arrive(e, e.at(station, _GIVEN))
        barriers.wake(e, e.at(station, _GIVEN))
    with e.b.if_then(function != 0):
        e.b.call(e.b.inttoptr(function, _JOB), [argument, *(e.b.load(e.at(parts, 8 * place), typ=I64) for place in range(PART))])
        with e.loop(0, others) as n:
            station = e.at(stations, n * STATION)
            given = e.b.load_atomic(e.at(station, _GIVEN), "seq_cst", 8, typ=I64)
            barriers.wait(e, e.at(station, _DONE), given)
    e.finish()
