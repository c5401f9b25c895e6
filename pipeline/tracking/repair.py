"""Runs whose process is gone without a word (kill -9, a power cut) are marked KILLED."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import RunError
from pipeline.text import hidden
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import read_info, run_folders
from pipeline.tracking.journal import End, Journal, end_of, read_journal
from pipeline.tracking.lock import take
from pipeline.tracking.process import alive, here
from pipeline.tracking.store import Store

LOST = "the training process ended without a word (killed, or the machine stopped)"


def left_behind(root: Path, store: Store) -> Iterator[Path]:
    """Run folders of `root` with something to make good: their process is dead, and MLflow does not have the whole journal.

    Only those of `store`: a run folder may come from anybody, and name a server of theirs.
    """
    for folder in run_folders(root):
        try:
            sent, info = read_sent(folder), read_info(folder)
            ours = info.uri is not None and hidden(info.uri) == store.shown
            if ours and not sent.complete and here(info.process) and not alive(info.process):
                yield folder
        except RunError:
            continue  # a folder that another program half-removed is none of ours


def mark_killed(folder: Path) -> bool:
    """Ends the journal of a dead run with KILLED, unless it has an end or is gone on with by another process -> whether it did."""
    lock = take(folder)
    if lock is None:
        return False
    with lock:
        if end_of(read_journal(folder)) is not None:
            return False
        with contextlib.closing(Journal(folder)) as journal:
            journal.write(End(status="KILLED", message=LOST), durable=True)
    return True
