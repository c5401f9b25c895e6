"""Writes the checkpoints of a run: a copy of the state is taken between two steps, and a thread writes it while the next ones run.

What is on disk, and why it is whole whenever the process dies, is said in `checkpoint.py`.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.numpy

from pipeline import files
from pipeline.errors import RunError, sentence
from pipeline.records import plain
from pipeline.training import checkpoint, history
from pipeline.training.checkpoint import MANIFEST, Array, Progress, State, Stored
from pipeline.training.settings import SECONDS, Saving

SHARE = 100  # the steps stand still for at most a hundredth of the time
WRITING = 20  # and the thread works for at most a twentieth of it


class Checkpoints:
    """Saves the checkpoints of one run under `folder`.

    every   least time between two saves that nobody asked for, in seconds; `settings` may count steps in its place
    """

    def __init__(
        self, folder: Path, *, stored: Stored, final: Literal["last", "best"] = "last", every: float = SECONDS,
        settings: Saving = Saving(),  # noqa: B008  # frozen
    ) -> None:  # fmt: skip
        self.folder, self._stored, self._final, self._settings = folder, stored, final, settings
        self._every = settings.every_seconds or every
        self._due = time.monotonic() + self._every
        self._best: tuple[State | None, dict[str, Any] | None] = (None, None)
        self._history = history.Writer(folder)
        self._written: dict[str, Any] | None = None
        self._steps = -1  # of the last save that was begun
        self._thread: threading.Thread | None = None
        self._result: Path | RunError | None = None

    def until(self, steps: int) -> int | None:
        """How many of the steps after `steps` come before the next save; None where the clock says when."""
        every = self._settings.every_steps
        return None if every is None else every - steps % every

    def due(self, steps: int) -> bool:
        """Whether it is time to save again, after so many steps in all."""
        every = self._settings.every_steps
        if every is not None:
            return steps % every == 0 and steps != self._steps
        return time.monotonic() >= self._due and (self._thread is None or not self._thread.is_alive())

    def begin(self, state: State, progress: Progress, best_state: State | None, *, since: float) -> None:
        """Lets a thread write a checkpoint; `finished` says what came of it.  The steps stand still since `since`, by time.monotonic.

        Nobody changes what is given any more.
        """
        self.wait()
        self._steps = int(np.max(state.get("step", 0)))
        self._thread = threading.Thread(target=self._try, args=(state, progress, best_state), name="checkpoint")
        self._thread.start()
        self._put_off(SHARE * (time.monotonic() - since))

    def finished(self) -> Path | RunError | None:
        """What came of a save, told once: its manifest's path, or why it could not be written; the former one is there then."""
        if self._thread is not None and self._thread.is_alive():
            return None
        result, self._result = self._result, None
        return result

    def wait(self) -> None:
        """Until the thread has written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def save(self, state: State, progress: Progress, best_state: State | None) -> Path:
        """Writes a checkpoint -> the manifest's path.  `best_state` belongs to `progress.best_epoch`.  Raises RunError."""
        self.wait()
        self._result = None
        return self._save(state, progress, best_state)

    def _try(self, state: State, progress: Progress, best_state: State | None) -> None:
        try:
            self._result = self._save(state, progress, best_state)
        except RunError as error:
            self._result = error
        except OSError as error:  # of what is tidied up after a write that failed
            self._result = RunError(f"{files.shown(self.folder)}: cannot be written ({sentence(error)})")

    def _save(self, state: State, progress: Progress, best_state: State | None) -> Path:
        start = time.monotonic()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = (error.strerror or "").lower()
            raise RunError(f"{files.shown(self.folder)}: cannot be made ({why}); check its parent folder") from error
        if best_state is not self._best[0]:
            self._best = (best_state, None if best_state is None else self._arrays(best_state, np.zeros(0)))
        entry = {"last": self._arrays(state, progress.losses), "best": self._best[1], **checkpoint.standing(progress)}
        manifest = {
            "format": checkpoint.FORMAT,
            **entry,
            "final": self._final,
            "kept": self._kept(int(np.max(state.get("step", 0)))),
            "history": self._history.write(progress.history),
            "model": plain(self._stored.facts),
        }
        path = self.folder / MANIFEST
        files.write(path, checkpoint.text(manifest))
        self._written = manifest
        self._sweep(manifest)
        self._put_off(WRITING * (time.monotonic() - start))
        return path

    def _put_off(self, seconds: float) -> None:
        self._due = max(self._due, time.monotonic() + max(self._every, seconds))

    def _kept(self, step: int) -> list[dict[str, Any]]:
        """The checkpoints before that of `step` that stay, the newest first; those of a future that was given up do not."""
        if self._written is None:
            self._written = checkpoint.written(self.folder)
        before = self._written
        if before is None or self._settings.keep == 1:
            return []
        former = [{name: before[name] for name in checkpoint.ENTRY if name in before}, *before.get("kept", [])]
        return [entry for entry in former if checkpoint.step_of(entry["last"]) < step][: self._settings.keep - 1]

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
        entries = [manifest, *manifest["kept"]]
        named = {entry[name]["file"] for entry in entries for name in ("last", "best") if entry[name]}
        for path in self.folder.iterdir():
            if path.name.startswith(files.TEMPORARY) or (path.suffix == ".safetensors" and path.name not in named):
                with suppress(OSError):  # the checkpoint is written: what cannot be deleted now, the next one deletes
                    path.unlink(missing_ok=True)
