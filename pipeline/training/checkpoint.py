"""Checkpoints: safetensors arrays and a JSON manifest with their digests; no pickle.

    checkpoints/step-00001420-3f2a9c01d5e7.safetensors     arrays: state/..., model/..., losses
    checkpoints/history.jsonl                              the metrics of each epoch, a line an epoch, only added to
    checkpoints/checkpoint.json                            where training stands; names the arrays of the last step and of the best
                                                           epoch (often one file) and the bytes of the history, with their sha256,
                                                           and holds its own; then the same of the checkpoints before it that are kept

An arrays file is named after its content and never changed.  Renaming the manifest is the moment a checkpoint comes into being, and
arrays that it does not name are deleted only after it: whenever the process dies, the manifest on disk names whole files.
`saving.py` writes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from pipeline import files
from pipeline.data.storage.memory import memory_bytes
from pipeline.errors import ConfigError, RunError
from pipeline.recipe.plateau import Plateau
from pipeline.records import read
from pipeline.training import history
from pipeline.training.facts import Facts
from pipeline.training.history import History

Array = npt.NDArray[Any]
State = Mapping[str, Array]
FORMAT = 3
READABLE = (1, 2, FORMAT)  # the first holds the whole history in the manifest, the second one checkpoint
ENTRY = ("last", "best", "progress", "plateau", "best_plateau")  # what is written of each checkpoint
MANIFEST = "checkpoint.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where training stands: with the state of the program, enough to go on as if it had never stopped.

    epoch     whole epochs trained; step, the steps done of the next one, and their losses [step]; seconds, spent on it so far
    spent     seconds since the command began, those of former commands included
    history   metrics of each epoch
    best      the value of the watched metric at epoch `best_epoch` (counted from 1; 0: none yet); waited, the epochs since
    plateau   where a schedule that watches the loss stands; best_plateau, where it stood after epoch `best_epoch`
    callbacks what those of extensions keep;  stopped, why one of them ended the training, empty: none did
    restored  how often training went back after it diverged; slowed, what the learning rate is multiplied by since then
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
    best_plateau: Plateau = field(default_factory=Plateau)
    restored: int = 0
    slowed: float = 1.0
    callbacks: Mapping[str, Any] = field(default_factory=dict)
    stopped: str = ""

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


def result_alone(folder: Path, target: Path) -> Facts:
    """Makes `target` a checkpoint that holds the result of the run and no more, its arrays the same file -> facts.  Raises RunError."""
    manifest = _manifest(folder / MANIFEST)
    entry = manifest["best"] if manifest["final"] == "best" and manifest["best"] else manifest["last"]
    target.mkdir(parents=True)
    names = [Path(str(entry["file"])).name, *([history.FILE] if (folder / history.FILE).exists() else [])]
    for name in names:
        try:
            os.link(folder / name, target / name)
        except OSError:
            shutil.copyfile(folder / name, target / name)
    alone = {key: value for key, value in manifest.items() if key != "kept"} | {"last": entry, "best": None, "final": "last"}
    (target / MANIFEST).write_text(text(alone), encoding="utf-8")
    return _facts(folder / MANIFEST, manifest["model"])


def exists(folder: Path) -> bool:
    """Whether `folder` (a run's checkpoints) holds a checkpoint."""
    return (folder / MANIFEST).exists()


def load(folder: Path, *, step: int | None = None) -> Checkpoint:
    """Reads and checks the checkpoint of `folder` (a run's checkpoints): the last one, or that of `step`.

    Raises RunError that names the damaged or missing file, or the steps that there are.
    """
    try:
        return _loaded(folder, step)
    except (
        KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError, OSError, safetensors.SafetensorError
    ) as error:  # fmt: skip
        # its digest is right, so somebody wrote it so
        raise _damaged(folder / MANIFEST, f"holds what no version of the pipeline writes ({type(error).__name__})") from error


def _loaded(folder: Path, step: int | None) -> Checkpoint:
    manifest = _manifest(folder / MANIFEST)
    told = _history(folder, manifest["history"])
    stored = manifest["last"] if step is None else _of_step(manifest, step)
    entry = next((one for one in (manifest, *manifest.get("kept", [])) if one["last"] == stored), None)
    arrays = _read_arrays(folder, stored)
    if entry is None:  # the best epoch of one: nothing of the epochs after it
        entry = next(one for one in (manifest, *manifest.get("kept", [])) if one["best"] == stored)
        progress, best = _at_best(_progress(entry, told, arrays)), stored
    else:
        progress, best = _progress(entry, told, arrays), entry["best"]
    best_arrays = None if best is None else arrays if best == stored else _read_arrays(folder, best)
    return Checkpoint(
        state=_group(arrays, "state/"),
        best_state=None if best_arrays is None else _group(best_arrays, "state/"),
        stored=Stored(arrays=_group(arrays, "model/"), facts=_facts(folder / MANIFEST, manifest["model"])),
        progress=progress,
        final=manifest["final"],
    )


def _progress(entry: Mapping[str, Any], told: History, arrays: State) -> Progress:
    before = {"spent": entry["progress"]["seconds"] + sum(values.get("time/epoch_s", 0.0) for values in told)}  # of the first format
    return Progress(
        **(before | entry["progress"]),
        plateau=Plateau(**entry.get("plateau", {})),
        best_plateau=Plateau(**entry.get("best_plateau", {})),
        history=History(told[: entry["progress"]["epoch"]]) if "history" not in entry else told,
        losses=arrays["losses"],
    )


def _at_best(now: Progress) -> Progress:
    """Where training stood after the best epoch."""
    epoch, history = now.best_epoch, History(now.history[: now.best_epoch])
    before = replace(now, epoch=epoch, step=0, losses=np.zeros(0), seconds=0.0, waited=0, history=history, plateau=now.best_plateau)
    return replace(before, callbacks={}, stopped="")


def _of_step(manifest: Mapping[str, Any], step: int) -> Any:
    """The arrays that are those of `step`: of a checkpoint if there is one, else of a best epoch."""
    entries = (manifest, *manifest.get("kept", []))
    there = [entry[name] for name in ("last", "best") for entry in entries if entry[name]]
    found = next((entry for entry in there if step_of(entry) == step), None)
    if found is None:
        steps = ", ".join(map(str, sorted({step_of(entry) for entry in there})))
        hint = "training.checkpoints.keep and training.checkpoints.every_steps keep more of a run"
        raise RunError(f"step = {step}: the run has checkpoints of step {steps}; give one of these ({hint})")
    return found


def step_of(entry: Mapping[str, Any]) -> int:
    """The step of an arrays file, as its name says."""
    return int(str(entry["file"]).split("-")[1])


def standing(progress: Progress) -> dict[str, Any]:
    """What the manifest says of where training stands."""
    apart = {"losses", "history", "plateau", "best_plateau", *(name for name in ("callbacks", "stopped") if not getattr(progress, name))}
    return {
        "progress": {key: getattr(progress, key) for key in Progress.__slots__ if key not in apart},
        "plateau": asdict(progress.plateau),
        "best_plateau": asdict(progress.best_plateau),
    }


def written(folder: Path) -> dict[str, Any] | None:
    """The manifest that lies in `folder`, if a whole one does."""
    try:
        return _manifest(folder / MANIFEST)
    except RunError:
        return None


def _history(folder: Path, entry: Any) -> History:
    if isinstance(entry, list):
        return History(entry)
    path = folder / history.FILE
    if not path.exists():
        raise _damaged(path, f"is missing, and {MANIFEST} names it")
    content = _content(path, files.LONGEST)[: entry["bytes"]]
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _damaged(path, f"damaged, its sha256 is not the one that {MANIFEST} names")
    return history.parse(content)


def _facts(path: Path, model: object) -> Facts:
    try:
        found = read(Facts, model, at="model")
        if (found.classes is None) == (found.targets is None):
            raise ConfigError(at="model.classes", got=found.classes, rule="a model has classes or targets")
        return found
    except ConfigError as error:
        raise RunError(f"{files.shown(path)}: {error}; use the version of the pipeline that wrote it") from error


def _read_arrays(folder: Path, entry: Mapping[str, Any]) -> dict[str, Array]:
    path = folder / Path(str(entry["file"])).name  # of this folder, whatever a manifest of somebody else says
    if not path.exists():
        raise _damaged(path, f"is missing, and {MANIFEST} names it")
    content = _content(path, min(int(entry.get("bytes", files.LONGEST)), memory_bytes()))
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise _damaged(path, f"damaged, its sha256 is not the one that {MANIFEST} names")
    arrays: dict[str, Array] = safetensors.numpy.load(content)
    return arrays


def _group(arrays: State, prefix: str) -> dict[str, Array]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def text(manifest: Mapping[str, Any]) -> str:
    """The manifest as JSON whose first key is the sha256 of the rest."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    return json.dumps({"sha256": digest, **manifest}, indent=1) + "\n"


def _manifest(path: Path) -> dict[str, Any]:
    content = _content(path)
    try:
        found = content.decode()
        manifest: dict[str, Any] = json.loads(found)
        del manifest["sha256"]
        whole = found == text(manifest)
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise _damaged(path, "damaged, its text is not the one that was written")
    if manifest.get("format") not in READABLE:
        which = f"format {manifest.get('format')}, this version reads {FORMAT}"
        raise RunError(f"{files.shown(path)}: {which}; use the version of the pipeline that wrote it")
    return manifest


def _content(path: Path, most: int = files.MOST) -> bytes:
    try:
        return files.content(path, most=most)
    except FileNotFoundError:
        raise RunError(f"{files.shown(path)}: no such file; give the folder of a run that has saved a checkpoint") from None
    except OSError as error:
        why = (error.strerror or "").lower()
        raise RunError(f"{files.shown(path)}: cannot be read ({why}); check the folder and its permissions") from error


def _damaged(path: Path, what: str) -> RunError:
    again = f"delete {files.shown(path.parent)} and resume to train again from the start"
    return RunError(f"{files.shown(path)}: {what}; restore it from a copy, or {again}")
