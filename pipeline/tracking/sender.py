"""The sender: the process that writes MLflow, so that the training process neither imports MLflow nor waits for it.

    python -m pipeline.tracking.sender PID [again]      # PID is the training process; started by pipeline/tracking/outbox.py, not by hand

Each line on its standard input is a JSON object: {"folder": a run, "store": where to send it}, {"described": tags, "store": whose
experiment gets them} or {"uri": a store to make ready}; an empty line says: look at once.

It follows the journals, sends what is new, marks a run KILLED when the training process dies, makes good what earlier
runs beside it left behind, and ends when the input has ended and all is sent, or has failed for `PATIENCE` seconds after the end of a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import PipelineError, TrackingError
from pipeline.text import leaving
from pipeline.tracking.delivery import Clients, Delivery, advance_together
from pipeline.tracking.folder import SENT, read_info
from pipeline.tracking.journal import end_of, read_journal
from pipeline.tracking.lock import held
from pipeline.tracking.process import alive, here
from pipeline.tracking.repair import left_behind, mark_killed
from pipeline.tracking.store import Store, check, make_ready

TICK = 0.2  # seconds between two looks at the journals
REST = 10  # and at least so many times as long as the last one took: of many runs that train, a look takes its time
PATIENCE = 10.0  # seconds of trying after the end of a run, or of the training process
STUCK = 60.0  # seconds that one request may keep it after that: a server may answer letter by letter
DRAWING = 20.0  # seconds that the sender of a run that is just over may take for its figures
LOG = "sender.log"
TOGETHER = 64  # runs in one transaction: others who write the database wait for it


class Inbox:
    """Messages on a pipe; `ended` once the other side has closed it, `empty` when nothing was left to read at the last look.

    asked  whether somebody waits: a look is wanted at once
    """

    def __init__(self, file: int) -> None:
        self._file, self._rest, self.ended, self.empty, self.asked = file, b"", False, False, False
        self.beat = time.monotonic()  # of the last look: between two of them something is sent

    @property
    def waits(self) -> bool:
        """Whether a message is there."""
        return not self.ended and bool(select.select([self._file], [], [], 0.0)[0])

    def new(self, timeout: float) -> list[dict[str, Any]]:
        """Waits at most `timeout` seconds."""
        self.beat = time.monotonic()
        if self.ended:
            time.sleep(timeout)
            return []
        ready, _, _ = select.select([self._file], [], [], timeout)
        self.empty, self.asked = not ready, False
        if not ready:
            return []
        data = os.read(self._file, 65536)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.asked = b"" in lines
        return [json.loads(line) for line in lines if line]


class Round:
    """One run in the sender's care: tries, waits longer after each failure, gives up when nobody trains any more."""

    def __init__(self, delivery: Delivery, *, tries: int | None = None) -> None:
        self.delivery = delivery
        self.done = False
        self.sent = False  # whether what was new at this look went with that of others
        self._tries = tries  # how many failures end it; None: PATIENCE after the end
        self._wait, self._again, self._limit = TICK, 0.0, float("inf")
        self._closing = False
        self._rest: tuple[int, Iterator[None]] | None = None  # its model and its figures, of the journal as long as it was

    def due(self) -> bool:
        """Whether it is time for a try."""
        return not self.done and time.monotonic() >= self._again

    def look(self, *, orphaned: bool, closing: bool = True) -> None:
        """One try, if it is time for one.

        orphaned  the training process is dead, so a run without an end gets one
        closing   it has nothing more to send: what fails now is given up after PATIENCE, else a server that is away may come back
        """
        now, sent, self.sent = time.monotonic(), self.sent, False
        if closing and not self._closing:
            self._closing, self._again = True, 0.0
        if not self.due():
            return
        try:
            if not self.delivery.take():
                return  # another sender is still at it
            if orphaned and held(self.delivery.folder):
                self._close()  # gone on with by another process, which has a sender of its own
                return
            if orphaned:
                mark_killed(self.delivery.folder)
            if not sent:
                self.delivery.advance()
            self._wait, self._limit = TICK, float("inf")
            if self.delivery.sent.complete:
                self._close()
        except Exception as error:  # whatever a store, a network or a disk can raise: the journal keeps all, and we try again
            self._failed(error, now, ending=orphaned or _has_ended(self.delivery.folder))

    @property
    def undrawn(self) -> bool:
        """Whether only its model and its figures are left to do."""
        return self.due() and self.delivery.sent.ended and not self.delivery.news()

    @property
    def begun(self) -> bool:
        """Whether its model is there, and figures follow."""
        return self._rest is not None and self._rest[0] == self.delivery.sent.offset

    def draw(self) -> None:
        """Sends the model, or draws the next figure."""
        try:
            if self._rest is None or not self.begun:
                self._rest = self.delivery.sent.offset, self.delivery.rest()
            if next(self._rest[1], self) is self:
                self._close()
        except Exception as error:  # as above
            self._rest = None
            self._failed(error, time.monotonic(), ending=True)

    def _failed(self, error: Exception, now: float, *, ending: bool) -> None:
        self.delivery.remark(_sentence(error))
        self.delivery.lost()
        self._wait = min(self._wait * 2, 2.0 if ending else 30.0)
        self._again = now + self._wait
        if ending and self._closing:
            self._limit = min(self._limit, now + PATIENCE)
        if self._tries is not None:
            self._tries -= 1
        if now + self._wait > self._limit or self._tries == 0:
            with contextlib.suppress(OSError), (self.delivery.folder / LOG).open("a") as file:
                file.write(leaving("".join(traceback.format_exception(error))))
            self._close()

    def _close(self) -> None:
        self.delivery.release()
        self.done = True


def _has_ended(folder: Path) -> bool:
    try:
        return end_of(read_journal(folder)) is not None
    except OSError:
        return True


def _sentence(error: Exception) -> str:
    """One line: MLflow's messages run over many."""
    first = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first.strip()[:300]}" if not isinstance(error, PipelineError) else str(error)


def run(inbox: Inbox, parent: int, *, first: bool = False) -> None:
    """Serves until there is nothing more to do.  `parent` is the id of the training process; first: it had no sender before."""
    clients = Clients()
    rounds: dict[Path, Round] = {}
    roots: set[tuple[Path, Store]] = set()
    backlog: list[tuple[Path, Store]] = []
    rested = 0.0
    while True:
        busy = backlog or any(not item.done for item in rounds.values())
        orphaned = os.getppid() != parent  # asked before the pipe is read: what a dead process has told lies in it already
        drawing = any(item.undrawn for item in rounds.values())
        for message in inbox.new(TICK if not drawing and (busy or not inbox.ended) else 0.0):
            _take(message, rounds, clients, first=first)
        start = time.monotonic()
        wanted = orphaned or inbox.ended or inbox.asked or start >= rested
        if wanted and not orphaned:
            _together([item for item in rounds.values() if not item.done], clients)
        for folder, item in rounds.items() if wanted else ():
            item.look(orphaned=orphaned, closing=orphaned or inbox.ended)
            for root in (folder.parent, Path.cwd() / "runs") if item.delivery.sent.run_id else ():
                if (root, item.delivery.store) not in roots:
                    roots.add((root, item.delivery.store))
                    known = {*rounds, *(path for path, _ in backlog)}
                    backlog += [(lost, item.delivery.store) for lost in left_behind(root, item.delivery.store) if lost not in known]
        if wanted:
            rested = time.monotonic() + REST * (time.monotonic() - start)
        # Figures come last, one at a time: of any other run the status is more urgent, and models are rows.
        undrawn = sorted((item for item in rounds.values() if item.undrawn), key=lambda item: item.begun or not item.delivery.models)
        if undrawn and not inbox.waits:
            undrawn[0].draw()
        elif backlog:
            repair(*backlog.pop(0), clients)  # one between two looks: a long backlog does not hold up the runs of today
        if (inbox.ended or (orphaned and inbox.empty)) and not backlog and all(item.done for item in rounds.values()):
            return


def _together(items: Sequence[Round], clients: Clients) -> None:
    """Sends at once what many runs have to say; what does not go so, each tries by itself."""
    ready = [item for item in items if item.due() and item.delivery.take() and item.delivery.news()]
    for store in {item.delivery.store for item in ready}:
        own = [item for item in ready if item.delivery.store == store]
        for first in range(0, len(own), TOGETHER) if len(own) > 1 else ():
            some = own[first : first + TOGETHER]
            with contextlib.suppress(Exception):  # each run meets the same fault, and has a place to say so
                if not advance_together([item.delivery for item in some], clients):
                    return
                for item in some:
                    item.sent = True


def _take(message: dict[str, Any], rounds: dict[Path, Round], clients: Clients, *, first: bool) -> None:
    if "uri" in message:
        with contextlib.suppress(Exception):  # the run that needs it will fail in the same way, and has a place to say so
            make_ready(message["uri"])
    elif "described" in message:
        with contextlib.suppress(Exception):  # an address that opens less: no reason to hold up a run
            store = Store(**message["store"])
            client, experiment_id = clients.get(store)
            client.describe(experiment_id, message["described"])
    elif "folder" in message:
        with contextlib.suppress(PipelineError):  # a folder that was removed at once
            folder = Path(message["folder"])
            if folder in rounds:  # it was told of before, and has more to say
                rounds[folder].delivery.release()
            known = folder in rounds or (folder / SENT).exists()
            rounds[folder] = Round(Delivery(folder, clients, store=Store(**message["store"]), first=first and not known))


def repair(folder: Path, store: Store, clients: Clients) -> None:
    """Marks KILLED, and sends, what a dead run of our store left behind.  One try; the next start is the next one."""
    with contextlib.suppress(PipelineError):
        item = Round(Delivery(folder, clients, store=store.of(read_info(folder).experiment)), tries=1)
        item.look(orphaned=True)
        while item.undrawn:
            item.draw()
        item.delivery.release()


def sync(folder: Path, *, store: Store | None = None, rebuild: bool = False, clients: Clients | None = None) -> Delivery:
    """Sends now, in this process, what is missing of a run, or with `rebuild` all of it, to `store` instead of the run's own if given.

    Raises TrackingError if the store refuses, RunError if `folder` is no tracked run.
    """
    delivery = Delivery(folder, clients or Clients(), store=store, draws=True)
    check(delivery.store)
    end = time.monotonic() + DRAWING
    while not delivery.take():
        if time.monotonic() < end:
            time.sleep(0.05)
            continue
        raise TrackingError(f"run = {files.shown(folder)}: another process is sending it just now; try again when it is done")
    try:
        if here(delivery.info.process) and not alive(delivery.info.process):
            mark_killed(folder)
        if rebuild:
            delivery.again()
        delivery.advance()
        if delivery.sent.ended:
            delivery.finish()
    finally:
        delivery.release()
    return delivery


def _watch(inbox: Inbox, parent: int) -> None:
    """Ends this process when a store has kept it for longer than its patience after the training is over: the journals keep all."""
    pipe = select.poll()
    pipe.register(0, select.POLLHUP)
    while True:
        time.sleep(1.0)
        over = os.getppid() != parent or any(event & select.POLLHUP for _, event in pipe.poll(0))
        if not over:
            inbox.beat = time.monotonic()
        elif time.monotonic() - inbox.beat > STUCK:
            os._exit(1)


def main() -> None:
    """Serves the training process whose id is the first argument; the second says that another did so before."""
    parent = int(sys.argv[1])
    with contextlib.suppress(OSError):
        os.nice(5)  # a core that the training wants is the training's
    inbox = Inbox(0)
    threading.Thread(target=_watch, args=(inbox, parent), daemon=True).start()
    run(inbox, parent, first=len(sys.argv) < 3)
    os._exit(0)  # all is written and committed: unloading MLflow would cost a waiting parent a tenth of a second


if __name__ == "__main__":
    main()
