"""Runs that are sent home while they train, from a node that does not see the folder of the project.

A letter is what has happened since the one before it: whole lines of the journal of the order, and of run folders what has changed, as a
tar file.  A run is sent when it begins, when it ends or pauses, and every few seconds while it trains; what was sent of it is as much as a
process that is killed leaves on a disk: it goes on from there.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.records import record
from pipeline.sweeps.engines.orders import Order
from pipeline.tasks.trained import CHECKPOINTS
from pipeline.tracking.journal import FILE as JOURNAL
from pipeline.training.checkpoint import MANIFEST

RUNS = "runs"
LOOK = 0.25  # seconds between two looks at the journal of the order
OFTEN, SHARE = 5.0, 0.05  # seconds between two letters about a run that trains, which take at most this share of the time
OF_THE_SENDER = ("mlflow.json", "sender.log", ".lock")  # files of a run folder that only the machine of the project writes
TRIES = 3

Stamp = tuple[int, int]  # of a file: when it was written, its bytes


@record
class Letter:
    """Lines of the journal of an order; what has changed of run folders; run folder -> all its files, of those that are told of."""

    lines: bytes = b""
    runs: bytes = b""
    kept: Mapping[str, tuple[str, ...]]


class Correspondent:
    """Sends, while entered, what an order in the folder of `order` comes to; `send` is called in a thread of its own, and last at the end.

    begun  the bytes that the journal of the order had before
    """

    def __init__(self, order: Order, send: Callable[[Letter], None], *, begun: int) -> None:
        self._order, self._send, self._read = order, send, begun
        self._sent: dict[Path, Stamp] = {path: _stamp(path) for path in _files(Path(order.project) / RUNS)}
        self._training: dict[str, str] = {}  # trial -> run folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Correspondent:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._write(every=True)

    def _watch(self) -> None:
        due = time.monotonic() + OFTEN
        while not self._over.wait(LOOK):
            began = time.monotonic()
            self._write(every=began >= due)
            if began >= due:
                now = time.monotonic()
                due = now + max(OFTEN, (now - began) / SHARE)

    def _write(self, *, every: bool) -> None:
        """Sends a letter, if there is something to tell; every: also of the runs that train."""
        with self._order.path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        lines = text[: text.rfind(b"\n") + 1]
        self._read += len(lines)
        told = self._told(lines) | (set(self._training.values()) if every else set())
        runs, kept = self._packed(sorted(told))
        if lines or runs:
            self._send(Letter(lines=lines, runs=runs, kept=kept))

    def _told(self, lines: bytes) -> set[str]:
        """The run folders that the lines begin or end."""
        told = set()
        for line in lines.splitlines():
            event = json.loads(line)
            if event["event"] == "run":
                self._training[event["trial"]] = event["folder"]
                told.add(event["folder"])
            elif event["event"] == "end" and event["trial"] in self._training:
                told.add(self._training.pop(event["trial"]))
        return told

    def _packed(self, folders: Sequence[str]) -> tuple[bytes, dict[str, tuple[str, ...]]]:
        """What has changed of the run folders since it was sent, as a tar file, empty where nothing has; and all their files."""
        root, text = Path(self._order.project), io.BytesIO()
        kept: dict[str, tuple[str, ...]] = {}
        with tarfile.open(fileobj=text, mode="w") as tar:
            for folder in folders:
                stamps, contents = _whole(root / folder, self._sent)
                if not contents:
                    continue
                for path, content in contents.items():
                    info = tarfile.TarInfo(str(path.relative_to(root)))
                    info.size, info.mtime = len(content), stamps[path][0] // 10**9
                    tar.addfile(info, io.BytesIO(content))
                self._sent.update({path: stamps[path] for path in contents})
                kept[Path(folder).name] = tuple(str(path.relative_to(root / folder)) for path in stamps)
        return (text.getvalue() if kept else b""), kept


def _whole(folder: Path, sent: dict[Path, Stamp]) -> tuple[dict[Path, Stamp], dict[Path, bytes]]:
    """The files of a run folder, and what those hold that were not sent as they are, of one moment.

    The checkpoint is read before the journal, which then tells at least as much.  What is written meanwhile waits for the next letter.
    """
    for _ in range(TRIES):
        stamps = {path: _stamp(path) for path in _files(folder)}
        changed = [path for path, stamp in stamps.items() if sent.get(path) != stamp]
        changed.sort(key=lambda path: path.name == JOURNAL)
        try:
            contents = {path: path.read_bytes() for path in changed}
        except FileNotFoundError:  # arrays that are no longer needed
            continue
        if {path for path in _files(folder / CHECKPOINTS) if stamps.get(path) != _stamp(path)}:
            continue
        return stamps, contents
    aside = {path: sent[path] for path in _files(folder / CHECKPOINTS) if path in sent}
    rest = {path: _stamp(path) for path in _files(folder) if folder / CHECKPOINTS not in path.parents}
    return {**aside, **rest}, {path: path.read_bytes() for path, stamp in rest.items() if sent.get(path) != stamp}


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in OF_THE_SENDER and not path.name.startswith(files.TEMPORARY):
            yield path


def _stamp(path: Path) -> Stamp:
    try:
        status = path.stat()
    except FileNotFoundError:
        return (0, -1)
    return status.st_mtime_ns, status.st_size


class Received:
    """What letters about an order make in the folder of the project: its run folders beside the others, its journal longer.

    known  run folders that went out with the order, by name: they are written over; a new one gets a name that is free here
    """

    def __init__(self, order: Order, known: Sequence[str]) -> None:
        self._order, self._names = order, {name: name for name in known}

    def take(self, letter: Letter) -> None:
        """Puts the files in their places, then the lines into the journal: what it tells of is there."""
        said, runs = letter.lines, Path(self._order.project) / RUNS
        with _arrived(letter.runs, Path(self._order.project)) as folders:
            for folder in folders:
                if folder.name not in self._names:
                    self._names[folder.name] = _free(runs, folder.name)
                _put(folder, runs / self._names[folder.name], letter.kept[folder.name])
        for name, own in self._names.items():
            said = said.replace(f'"{RUNS}/{name}"'.encode(), f'"{RUNS}/{own}"'.encode())
        with self._order.path.open("ab") as file:
            file.write(said)


def _free(runs: Path, name: str) -> str:
    """A name that no run here has, from now on that of a folder."""
    count = 1
    while True:
        own = name if count == 1 else f"{name}_{count}"
        try:
            (runs / own).mkdir()
            return own
        except FileExistsError:
            count += 1


def _put(folder: Path, place: Path, kept: Sequence[str]) -> None:
    """Moves the files that came to their places, the manifest of the checkpoints last; then those go that are kept no longer.

    A journal is added to, as it was where it comes from: who reads it here goes on where he was.
    """
    came = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.name == MANIFEST)
    for path in came:
        own = place / path.relative_to(folder)
        own.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jsonl" and own.exists():
            before, text = own.read_bytes(), path.read_bytes()
            if text.startswith(before):
                with own.open("ab") as file:
                    file.write(text[len(before) :])
                continue
        path.replace(own)
    stays = {place / name for name in kept}
    for path in _files(place / CHECKPOINTS):
        if path not in stays:
            path.unlink()


@contextmanager
def _arrived(runs: bytes, project: Path) -> Iterator[list[Path]]:
    """The run folders of a tar file, on the disk of the project, gone afterwards."""
    if not runs:
        yield []
        return
    (project / RUNS).mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".arriving-", dir=project / RUNS) as name:
        extract(runs, Path(name))
        yield sorted((Path(name) / RUNS).glob("*"))


def packed(root: Path, paths: Sequence[Path]) -> bytes:
    """The files at `paths` below `root` as a tar file; empty without any."""
    if not any((root / path).exists() for path in paths):
        return b""
    text = io.BytesIO()

    def ours(info: Any) -> Any:
        return None if Path(info.name).name in OF_THE_SENDER else info

    with tarfile.open(fileobj=text, mode="w") as tar:
        for path in paths:
            tar.add(root / path, arcname=str(path), filter=ours)
    return text.getvalue()


def extract(text: bytes, root: Path) -> None:
    """The files of a tar file, below `root`."""
    if text:
        with tarfile.open(fileobj=io.BytesIO(text)) as tar:
            tar.extractall(root, filter="data")
