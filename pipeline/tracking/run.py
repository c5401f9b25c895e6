"""Finds a run again: its folder, by that, by its MLflow run id (or the head of it), or its page's address; and its store."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backends.folder import cache_folder, is_private
from pipeline import files
from pipeline.errors import RunError, TrackingError
from pipeline.text import hidden
from pipeline.tracking import models
from pipeline.tracking.client import open_client
from pipeline.tracking.delivery import read_sent
from pipeline.tracking.folder import INFO, RunInfo, check_folder, run_folders
from pipeline.tracking.journal import unwritable
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import Store, check, connect, locate

SHORTEST = 6  # letters of a run id that are enough, if only one run begins with them


def find_run(
    text: str, *, project: Path, roots: Sequence[Path | str] = ("runs", "multirun"), store: Store | None = None, at: str = "run"
) -> Path:
    """The run folder; `at` is the config path that named it.

    Looks at the path, then at the run folders of `roots`, then asks `store`, which imports MLflow unless it is a file of known tables;
    a run whose folder is gone is fetched from there.

    Raises RunError, or TrackingError if the store has to be asked and refuses.
    """
    folder = (project / text).absolute()
    if folder.is_dir():
        check_folder(folder)
    if (folder / INFO).is_file():
        return folder
    if folder.exists():
        raise RunError(f"{at} = {text}: is no run folder (it has no {INFO}); give the folder of a run or its MLflow run id")
    run_id = _run_id(text)
    if not run_id:
        raise RunError(f"{at} = {text}: there is no such folder, and it is no MLflow run id; give the folder of a run or its MLflow run id")
    found = [path for root in roots for path in run_folders(project / root) if read_sent(path).run_id.startswith(run_id)]
    if len(found) > 1:
        raise RunError(
            f"{at} = {text}: {len(found)} runs begin so ({', '.join(path.name for path in found[:4])}); give more letters of the id"
        )
    if found:
        return found[0]
    if store is None or len(run_id) < 32:
        where = " and ".join(str(root) for root in roots)
        raise RunError(f"{at} = {text}: no run in {where} has this id; give the folder of a run or its whole MLflow run id")
    return _ask(text, run_id, store, at, project)


def own(info: RunInfo, settings: Tracking, project: Path, *, at: str) -> Store | None:
    """The store that a run is tracked in, if it is the one that `settings` name.  `at` names the run in the config.

    What a run folder says may come from anybody: another address is asked only when the user names it.  Raises TrackingError.
    """
    if info.uri is None:
        return None
    store = locate(replace(settings, kind="mlflow", experiment=info.experiment), project)
    assert store is not None
    if hidden(info.uri) == store.shown:
        return store
    named = hidden(info.uri)
    hint = f"give tracking.uri={named} if that is meant, or the tracking.uri of another, or tracking=none"
    raise TrackingError(f"{at}: is tracked in {named}, which is not the store of this project; {hint}")


def _run_id(text: str) -> str:
    """The hexadecimal id in `text`: an id, its head, runs:/ID or http://.../runs/ID?..."""
    whole = re.search(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", text)
    if whole:
        return whole.group()
    return text if len(text) >= SHORTEST and re.fullmatch(r"[0-9a-f]+", text) else ""


def _ask(text: str, run_id: str, store: Store, at: str, project: Path) -> Path:
    check(store)
    client, _ = open_client(store)
    tags = client.tags(run_id)
    if tags is None:
        raise RunError(f"{at} = {text}: {store.shown} has no such run; give the folder of a run or another tracking.uri")
    folder = tags.get("pipeline.folder")
    if folder is None:
        raise RunError(f"{at} = {text}: is a run of MLflow, but not one of this program; give another")
    if (Path(folder) / INFO).is_file():
        return Path(folder)
    target = project / "runs" / Path(folder).name if at == "resume" else _kept(run_id)
    if not (target / INFO).is_file():
        _fetch(store, run_id, target, told=f"{at} = {text}: its folder {files.shown(Path(folder))} is not on this machine any more", at=at)
    return target


def _kept(run_id: str) -> Path:
    """Where a run that a store gave back lies: in the cache, so that it is fetched once.  Raises RunError."""
    folder = cache_folder("runs")
    try:
        private = is_private(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    if not private:
        raise RunError(f"{folder}: others can write there; set XDG_CACHE_HOME to a folder of your own")
    return folder / run_id


def _fetch(store: Store, run_id: str, target: Path, *, told: str, at: str) -> None:
    """Gets the run from its store: its model, or all that a training goes on with.  Raises RunError where the store has it not."""
    client, _ = connect(store)
    lacks = "checkpoints; tracking.checkpoints=true sends them" if at == "resume" else "model; tracking.model=best sends it"
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with models.fetched(client, store.uri, run_id, resumable=at == "resume") as found:
            if found is None:
                raise RunError(f"{told}, and {store.shown} has no {lacks}; give another run")
            partial.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(found, partial)
            partial.rename(target)
    except OSError as error:
        raise RunError(f"{told}, and what {store.shown} has of it cannot be written to {files.shown(target)} ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
