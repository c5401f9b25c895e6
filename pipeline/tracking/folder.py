"""Run folders: one for each run, never used again.

runs/2026-11-21_04-35-58_bn/
  config.yaml      the resolved config
  run.json         what the run is: uid, name, process, where it is tracked
  journal.jsonl    what happened (pipeline/tracking/journal.py)
  mlflow.json      what MLflow has of it: run id, bytes of the journal sent (written by the sender)
  log.txt          what the terminal showed, for people
  checkpoints/
  figures/         where pictures were drawn
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from pipeline import files
from pipeline.errors import ConfigError, PipelineError, RunError
from pipeline.records import read, record
from pipeline.text import hidden
from pipeline.tracking.journal import FILE as JOURNAL
from pipeline.tracking.journal import unwritable, whole_length
from pipeline.tracking.lock import FILE as LOCK
from pipeline.tracking.lock import held
from pipeline.tracking.log import FILE as LOG
from pipeline.tracking.process import Process
from pipeline.tracking.store import artifacts_of

CONFIG, INFO, SENT = "config.yaml", "run.json", "mlflow.json"
_SQLITE = "sqlite:///"


@record
class Origin:
    """What a fork was made of: the run of `folder`, `uid` and `run_id` (of MLflow, empty without it), after `step` steps; `taken` of it."""

    folder: str
    uid: str
    step: int
    taken: str
    run_id: str = ""


@record
class RunInfo:
    """The unchanging facts of a run.  `created` is milliseconds since 1970; uri is None for a run that is not tracked."""

    uid: str
    name: str
    created: int
    process: Process
    uri: str | None = None
    experiment: str = "default"
    artifacts: str | None = None
    sweep: str | None = None
    origin: Origin | None = None


def new_run_folder(root: Path | str = "runs", *, name: str = "run", path: Path | str | None = None) -> Path:
    """Makes an empty run folder: `path` itself, or a new one of `root` named by the time and `name`.

    Raises RunError if `path` exists already or the folder cannot be made.
    """
    if path is not None:
        return _explicit(Path(path).absolute())
    word = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "run"
    stem = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{word}"
    for count in range(1, 10_000):
        folder = Path(root).absolute() / (stem if count == 1 else f"{stem}_{count}")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir()  # the one atomic step: of two runs that start at once, each gets its own
            return folder
        except FileExistsError:
            if not folder.parent.is_dir():
                raise RunError(f"{files.shown(folder.parent)}: is a file, but run folders are made in it; move it away") from None
        except OSError as error:
            raise unwritable(folder, error) from error
    raise RunError(f"{root}: 9999 runs were started in this very second; choose another folder with output=...")


def _explicit(folder: Path) -> Path:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
    except FileExistsError:
        if _never_began(folder):
            return folder
        raise RunError(
            f"output = {files.shown(folder)}: exists already, and a run folder is never used twice; "
            f"choose another, or continue the run in it with resume={files.shown(folder)}"
        ) from None
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def _never_began(folder: Path) -> bool:
    """Whether nothing but what `fill` and the journal's first line leave behind lies there, and no whole line: a run killed at once.

    A folder of the user, also an empty one, is not ours to fill: ours has its lock.
    """
    if not folder.is_dir() or not (folder / LOCK).exists() or held(folder):
        return False
    rest = {path.name for path in folder.iterdir()} - {CONFIG, INFO, LOCK, JOURNAL, f".{INFO}"}
    return whole_length(folder) == 0 and all(name.startswith(f".{INFO}.") for name in rest)


def fill(folder: Path, info: RunInfo, config: str) -> None:
    """Writes config.yaml and run.json.  Raises RunError, and then the folder is gone again: nothing half-written stays."""
    try:
        _write(folder / CONFIG, config)
        write_info(folder, info)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise unwritable(folder, error) from error


def write_info(folder: Path, info: RunInfo) -> None:
    """Writes run.json; raises OSError.

    No credentials stand in it, and a database of the project by its way from the folder: a project that is moved keeps its runs.
    """
    told = asdict(info)
    if info.uri is not None and info.uri.startswith(_SQLITE):
        database = Path(info.uri.removeprefix(_SQLITE))
        if folder.absolute().is_relative_to(database.parent):
            told |= {"uri": _SQLITE + os.path.relpath(database, folder.absolute()), "artifacts": None}
    elif info.uri is not None:
        told["uri"] = hidden(info.uri)
    replace_text(folder / INFO, json.dumps(told, indent=1) + "\n")


def read_info(folder: Path) -> RunInfo:
    """Raises RunError if this is no run folder, or what stands for one of its files is none (`check_folder`)."""
    check_folder(folder)
    try:
        info = read(RunInfo, json.loads(files.content(folder / INFO)), at=str(folder / INFO))
        if re.fullmatch(r"[0-9a-f]{32}", info.uid) is None:  # it becomes the name of a folder and part of a question to a store
            raise ConfigError(at="uid", got=info.uid, rule="is no id of 32 hexadecimal digits")
        if info.uri is not None and info.uri.startswith(f"{_SQLITE}.."):
            database = os.path.normpath(folder.absolute() / info.uri.removeprefix(_SQLITE))
            return replace(info, uri=f"{_SQLITE}{database}", artifacts=artifacts_of(Path(database), info.experiment))
        return info
    except FileNotFoundError:
        raise RunError(
            f"{files.shown(folder)}: is no run folder (it has no {INFO}); give the folder of a run or its MLflow run id"
        ) from None
    except (OSError, ValueError, RecursionError, PipelineError) as error:
        raise RunError(f"{files.shown(folder / INFO)}: cannot be read ({error})") from error


def check_folder(folder: Path) -> None:
    """Whether what is read and written in a run folder are files in it: no pipes, no links to elsewhere.  Raises RunError."""
    kept = folder / "checkpoints"
    arrays = (kept / name for name in os.listdir(kept)) if kept.is_dir() else ()
    for path in (*(folder / name for name in (INFO, CONFIG, JOURNAL, SENT, LOCK, LOG, "test.safetensors")), *arrays):
        files.check_kept(path, inside=folder)


def run_folders(root: Path) -> Iterator[Path]:
    """Every run folder in `root`; those of a sweep lie one or two levels further down."""
    for pattern in (f"*/{INFO}", f"*/*/{INFO}", f"*/*/*/{INFO}"):
        for path in sorted(root.glob(pattern)):
            yield path.parent


def replace_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Writes a small file so that a reader sees the old or the new text, never a part; durable: a power cut does not take it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(partial, text, durable=durable)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _write(path: Path, text: str, *, durable: bool = True) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        if durable:
            file.flush()
            files.sync(file.fileno())
