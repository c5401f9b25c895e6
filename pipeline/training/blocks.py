"""The rows of the next steps, made ready by a thread while the steps before them run.

Rows in memory are handed over as they are: native code gathers them itself, from bytes too. Other rows come in blocks of whole steps, the
one that trains and the one that the thread makes; of raw rows in a file it only sees to it that their pages are in memory when the gather
takes them from there. How the steps are cut into blocks changes no bit.
"""

# N rows, S steps of an epoch, B batch size
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.data.prepared import Rows
from pipeline.rows import Streamed

Array = npt.NDArray[Any]
Order = npt.NDArray[np.int64]
BLOCK_BYTES = 2**23  # of x
SHARED_ROWS = 2**17  # an order of no more rows is kept for the next training that asks for it


@dataclass(frozen=True, kw_only=True)
class Feed:
    """What one call of the program takes: rows, and the order [s, B] of s steps over them."""

    x: Array | Streamed
    y: Array | Streamed
    weight: Array | None
    order: Order


def order_of(seed: int, epoch: int, rows: int) -> Order:
    """The order of the rows in an epoch [N], not to be changed: trials of one seed that train together have one."""
    return (_shared_order if rows <= SHARED_ROWS else _shared_order.__wrapped__)(seed, epoch, rows)


@lru_cache(maxsize=64)
def _shared_order(seed: int, epoch: int, rows: int) -> Order:
    order = random.permutation(seed, random.ORDER, epoch, rows)
    order.flags.writeable = False
    return order


class Blocks:
    """Feeds for the steps of each epoch.

    order_of   epoch -> row numbers [steps, batch]
    epochs     how many there are at most, None where that is not known: the first block of the next one is read while this one ends
    """

    def __init__(self, part: Rows, order_of: Callable[[int], Order], *, epochs: int | None, steps: int, batch: int) -> None:
        self._part, self._order_of, self._epochs, self._steps = part, order_of, epochs, steps
        self._order: tuple[int, Order] | None = None
        self._ready: dict[tuple[int, int], Future[Feed]] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._size = steps
        if isinstance(part.x, Streamed) and (part.x.mapped or not part.x.raw):
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rows")
            self._size = max(1, BLOCK_BYTES // (batch * part.x.row_bytes))

    def feed(self, epoch: int, step: int, count: int) -> Feed:
        """The steps of `epoch` from `step` on: `count` of them, or fewer where a block or the epoch ends."""
        if self._thread is None:
            part = self._part
            return Feed(x=part.x, y=part.targets, weight=part.weight, order=self._epoch(epoch)[step : step + count])
        block, first = divmod(step, self._size)
        wanted, following = (epoch, block), self._after(epoch, block)
        for key in (wanted, *following):
            if key not in self._ready:
                self._ready[key] = self._thread.submit(self._made, *key)
        self._ready = {key: self._ready[key] for key in (wanted, *following)}
        whole = self._ready[wanted].result()
        return Feed(x=whole.x, y=whole.y, weight=whole.weight, order=whole.order[first : first + count])

    def close(self) -> None:
        """Ends the thread; a block that is being read is waited for."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _after(self, epoch: int, block: int) -> tuple[tuple[int, int], ...]:
        """The block that follows, if any does."""
        if (block + 1) * self._size < self._steps:
            return ((epoch, block + 1),)
        return ((epoch + 1, 0),) if self._epochs is None or epoch + 1 < self._epochs else ()

    def _made(self, epoch: int, block: int) -> Feed:
        order = self._epoch(epoch)[block * self._size : (block + 1) * self._size]
        part, wanted = self._part, order.reshape(-1)
        assert isinstance(part.x, Streamed)
        if part.x.raw:
            rows, place = wanted, np.arange(len(wanted))
        else:
            read = np.argsort(wanted)  # a file is read forward, whatever the order of the rows
            place = np.empty_like(read)
            place[read] = np.arange(len(read))
            rows = wanted[read]
        x = part.x.part(rows)
        if isinstance(x, Streamed) and x.mapped:
            x.touch()
        weight = None if part.weight is None else part.weight[rows]
        return Feed(x=x, y=part.targets[rows], weight=weight, order=place.reshape(order.shape))

    def _epoch(self, epoch: int) -> Order:
        """The order of `epoch`; asked for by one thread only, and one epoch after the other."""
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, self._order_of(epoch))
        return self._order[1]
