"""Checkpoints: safetensors arrays and a JSON manifest with their digests; no pickle.

    checkpoints/step-00001420-3f2a9c01d5e7.safetensors     arrays: state/..., model/..., losses
    checkpoints/history.jsonl                              the metrics of each epoch, a line an epoch, only added to
    checkpoints/checkpoint.json                            where training stands; names the arrays of the last step and of the best
                                                           epoch (often one file) and the bytes of the history, with their sha256,
                                                           and holds its own

An arrays file is named after its content and never changed.  Renaming the manifest is the moment a checkpoint comes into being, and
arrays that it does not name are deleted only after it: whenever the process dies, the manifest on disk names whole files.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from pipeline import files
from pipeline.errors import ConfigError, RunError
from pipeline.recipe.plateau import Plateau
from pipeline.records import plain, read
from pipeline.training import history
from pipeline.training.facts import Facts
from pipeline.training.history import History

Array = npt.NDArray[Any]
State = Mapping[str, Array]
FORMAT = 2
READABLE = (1, FORMAT)  # the first holds the whole history in the manifest
MANIFEST = "checkpoint.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where training stands: with the state of the program, enough to go on as if it had never stopped.

    epoch     whole epochs trained; step, the steps done of the next one, and their losses [step]; seconds, spent on it so far
    spent     seconds since the command began, those of former commands included
    history   metrics of each epoch
    best      the value of the watched metric at epoch `best_epoch` (counted from 1; 0: none yet); waited, the epochs since
    plateau   where a schedule that watches the loss stands
    """

    epoch: int = 0
    step: int = 0
    losses: Array = field(default_factory=lambda: np.zeros(0))
    seconds: float = 0.0
    spent: float = 0.0
    history: History = field(default_factory=History)
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0
    plateau: Plateau = field(default_factory=Plateau)

    def steps(self, per_epoch: int) -> int:
        """Steps done in all."""
        return self.epoch * per_epoch + self.step


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a prediction needs besides the state: `arrays` of the preprocessing, and `facts` of the data."""

    arrays: State
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a checkpoint holds; `final` says whose weights are the result of the run."""

    state: State
    best_state: State | None
    stored: Stored
    progress: Progress
    final: Literal["last", "best"]

    @property
    def result(self) -> State:
        """The state that is the result of the run: of the best epoch under early stopping, else the last."""
        return self.best_state if self.final == "best" and self.best_state is not None else self.state


class Checkpoints:
    """Saves the checkpoints of one run under `folder`.

    every     least time between two saves that nobody asked for, in seconds; they take at most a twentieth of the time
    """

    def __init__(self, folder: Path, *, stored: Stored, final: Literal["last", "best"] = "last", every: float = 5.0) -> None:
        self.folder, self._stored, self._final, self._every = folder, stored, final, every
        self._due = time.monotonic() + every
        self._best: tuple[int, dict[str, Any] | None] = (0, None)
        self._history = history.Writer(folder)

    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() >= self._due

    def save(self, state: State, progress: Progress, best_state: State | None) -> Path:
        """Writes a checkpoint -> the manifest's path.  `best_state` belongs to `progress.best_epoch`.  Raises RunError."""
        start = time.monotonic()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = (error.strerror or "").lower()
            raise RunError(f"{files.shown(self.folder)}: cannot be made ({why}); check its parent folder") from error
        if best_state is not None and progress.best_epoch != self._best[0]:
            self._best = (progress.best_epoch, self._arrays(best_state, np.zeros(0)))
        manifest = {
            "format": FORMAT,
            "last": self._arrays(state, progress.losses),
            "best": self._best[1],
            "final": self._final,
            "progress": {key: getattr(progress, key) for key in Progress.__slots__ if key not in ("losses", "history", "plateau")},
            "plateau": asdict(progress.plateau),
            "history": self._history.write(progress.history),
            "model": plain(self._stored.facts),
        }
        path = self.folder / MANIFEST
        files.write(path, _text(manifest))
        self._sweep(manifest)
        end = time.monotonic()
        self._due = end + max(self._every, 20 * (end - start))
        return path

    def _arrays(self, state: State, losses: Array) -> dict[str, Any]:
        """Writes an arrays file, unless it is there -> its entry in the manifest."""
        groups = (("state/", state), ("model/", self._stored.arrays), ("", {"losses": losses}))
        arrays = {prefix + name: value for prefix, group in groups for name, value in group.items()}
        content = safetensors.numpy.save({name: np.ascontiguousarray(value).reshape(np.shape(value)) for name, value in arrays.items()})
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / f"step-{int(np.max(state.get('step', 0))):08d}-{digest[:12]}.safetensors"
        if not path.exists():
            files.write(path, content)
        return {"file": path.name, "bytes": len(content), "sha256": digest}

    def _sweep(self, manifest: Mapping[str, Any]) -> None:
        """Deletes what the manifest does not name: older arrays, and the remains of writes that a crash cut off."""
        named = {entry["file"] for entry in (manifest["last"], manifest["best"]) if entry}
        for path in self.folder.iterdir():
            if path.name.startswith(files.TEMPORARY) or (path.suffix == ".safetensors" and path.name not in named):
                path.unlink(missing_ok=True)


def exists(folder: Path) -> bool:
    """Whether `folder` (a run's checkpoints) holds a checkpoint."""
    return (folder / MANIFEST).exists()


def load(folder: Path) -> Checkpoint:
    """Reads and checks the checkpoint of `folder` (a run's checkpoints).  Raises RunError that names the damaged or missing file."""
    try:
        return _loaded(folder)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, safetensors.SafetensorError) as error:
        # its digest is right, so somebody wrote it so
        raise _damaged(folder / MANIFEST, f"holds what no version of the pipeline writes ({type(error).__name__})") from error


def _loaded(folder: Path) -> Checkpoint:
    manifest = _manifest(folder / MANIFEST)
    last = _read_arrays(folder, manifest["last"])
    best = None if manifest["best"] is None else last if manifest["best"] == manifest["last"] else _read_arrays(folder, manifest["best"])
    told = _history(folder, manifest["history"])
    before = {"spent": manifest["progress"]["seconds"] + sum(values.get("time/epoch_s", 0.0) for values in told)}  # of the first format
    return Checkpoint(
        state=_group(last, "state/"),
        best_state=None if best is None else _group(best, "state/"),
        stored=Stored(arrays=_group(last, "model/"), facts=_facts(folder / MANIFEST, manifest["model"])),
        progress=Progress(
            **(before | manifest["progress"]),
            plateau=Plateau(**manifest.get("plateau", {})),
            history=told,
            losses=last["losses"],
        ),
        final=manifest["final"],
    )


def _history(folder: Path, entry: Any) -> History:
    if isinstance(entry, list):
        return History(entry)
    path = folder / history.FILE
    if not path.exists():
        raise _damaged(path, f"is missing, and {MANIFEST} names it")
    content = _content(path)[: entry["bytes"]]
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _damaged(path, f"damaged, its sha256 is not the one that {MANIFEST} names")
    return history.parse(content)


def _facts(path: Path, model: object) -> Facts:
    try:
        return read(Facts, model, at="model")
    except ConfigError as error:
        raise RunError(f"{files.shown(path)}: {error}; use the version of the pipeline that wrote it") from error


def _read_arrays(folder: Path, entry: Mapping[str, Any]) -> dict[str, Array]:
    path = folder / Path(str(entry["file"])).name  # of this folder, whatever a manifest of somebody else says
    if not path.exists():
        raise _damaged(path, f"is missing, and {MANIFEST} names it")
    content = _content(path)
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _damaged(path, f"damaged, its sha256 is not the one that {MANIFEST} names")
    arrays: dict[str, Array] = safetensors.numpy.load(content)
    return arrays


def _group(arrays: State, prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _text(manifest: Mapping[str, Any]) -> str:
    """The manifest as JSON whose first key is the sha256 of the rest."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    return json.dumps({"sha256": digest, **manifest}, indent=1) + "\n"


def _manifest(path: Path) -> dict[str, Any]:
    content = _content(path)
    try:
        text = content.decode()
        manifest: dict[str, Any] = json.loads(text)
        del manifest["sha256"]
        whole = text == _text(manifest)
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise _damaged(path, "damaged, its text is not the one that was written")
    if manifest.get("format") not in READABLE:
        which = f"format {manifest.get('format')}, this version reads {FORMAT}"
        raise RunError(f"{files.shown(path)}: {which}; use the version of the pipeline that wrote it")
    return manifest


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"{files.shown(path)}: no such file; give the folder of a run that has saved a checkpoint") from None
    except OSError as error:
        why = (error.strerror or "").lower()
        raise RunError(f"{files.shown(path)}: cannot be read ({why}); check the folder and its permissions") from error


def _damaged(path: Path, what: str) -> RunError:
    again = f"delete {files.shown(path.parent)} and resume to train again from the start"
    return RunError(f"{files.shown(path)}: {what}; restore it from a copy, or {again}")
