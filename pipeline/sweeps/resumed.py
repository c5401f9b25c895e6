"""What `resume=` asks of a sweep: which one goes on, and with what it was begun; what is no sweep is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from pipeline import files
from pipeline.config.overrides import parsed
from pipeline.config.stored import summed_up
from pipeline.config.words import quoted
from pipeline.errors import ConfigError, RunError
from pipeline.sweeps.journal import FILE, SweepJournal, is_sweep
from pipeline.text import HIDDEN
from pipeline.tracking.folder import INFO

HOW = ("sweep.", "hydra/launcher=", "hydra.launcher.")  # overrides that say how the trials of a sweep are run, not which
MORE = "hydra.sweeper.trials="  # what a search that goes on may ask for besides
NOTHING = ("", "null")  # what no run is named by


def sweep_to_resume(overrides: Sequence[str]) -> Path | None:
    """The folder of the sweep that `resume=FOLDER` asks to go on with; None where it is asked for none."""
    asked = _asked(overrides)
    return sweep_at(asked[-1]) if asked else None


def whole_names(overrides: Sequence[str]) -> list[str]:
    """The overrides, a `resume=` that names a folder with a comma or a blank in quotes: it is one name."""
    return [f"resume={quoted(asked[0])}" if (asked := _asked([text])) and Path(asked[0]).exists() else text for text in overrides]


def sweep_at(text: str) -> Path | None:
    """The folder of the sweep that is named by it, by its journal, or by the run that sums it up; None where it is no sweep."""
    folder = Path(text)
    folder = folder.parent if folder.name == FILE else folder
    if is_sweep(folder):
        return folder
    of = summed_up(folder)
    return of if of is not None and is_sweep(of) else None


def of_one(folder: Path) -> Path:
    """The folder of a run, or of the sweep that it sums up.  Raises RunError where that is gone."""
    of = summed_up(folder)
    if of is None or is_sweep(of):
        return of or folder
    raise RunError(
        f"{files.shown(folder)}: sums up the sweep of {files.shown(of)}, where there is none any more; give the folder of the sweep"
    )


def check_resumed(overrides: Sequence[str]) -> None:
    """Whether a sweep may be made of `resume=`, where that names no sweep.  Raises ConfigError."""
    given = next((text for text in reversed(overrides) if text.lstrip("+").partition("=")[0] == "resume"), None)
    named = [] if given is None else _named(given)
    if any(sweep_at(name) is not None for name in named):
        raise ConfigError(at="resume", got=", ".join(named), rule="one sweep goes on at a time", hint="give one folder")
    for name in named:
        _check_run(name)
    if given is not None and given.partition("=")[2].strip("'\"") == "":
        raise ConfigError(at="resume", got="", rule="names nothing", hint="give the folder of a sweep, or of a run")
    if not named:
        return
    others = [text for text in overrides if text is not given and parsed(text).is_sweep_override()]
    if others:
        rule = "a run goes on once, and this sweep asks for it several times"
        hint = f"fork it: task=fork run={named[0]} {others[0].lstrip('+')}"
        raise ConfigError(at="resume", got=", ".join(named), rule=rule, hint=hint)
    if len(named) == 1:
        raise ConfigError(at="resume", got=named[0], rule="is one run, and no sweep", hint="leave out -m to go on with it")


def asked_then(folder: Path, overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """The flags and overrides that a sweep was begun with, and how it is run now.  Raises ConfigError where other values are given."""
    how = [text for text in overrides if text.lstrip("+").startswith((*HOW, MORE))]
    with closing(SweepJournal(folder, project=Path.cwd())) as journal:
        if not journal.head:
            rule = "the sweep was stopped before its first line was written"
            raise ConfigError(at="resume", got=files.shown(folder), rule=rule, hint="begin it with its own command")
        if journal.head.get("overrides") is None:
            hint = "go on from Python: pipeline.sweep(..., folder=...) with the same config and space"
            raise ConfigError(at="resume", got=files.shown(folder), rule="the sweep was begun from Python, which has its config", hint=hint)
        begun = [text for text in journal.head.get("overrides", ()) if not (text.startswith(MORE) and any(t.startswith(MORE) for t in how))]
        flags = list(journal.head.get("flags", ()))
    again = {_path(text) for text in begun if HIDDEN in text}  # what had a password that no file keeps
    for text in overrides:
        path, _, value = text.lstrip("+").partition("=")
        if path not in ("resume", "extensions", *again) and text not in how:
            raise ConfigError(at=path, got=value, rule="a sweep goes on with the values that it was begun with", hint="leave it out")
    given = {_path(text): text for text in overrides if _path(text) in again}
    for text in begun:
        if _path(text) in again - set(given):
            hint = f"give {_path(text)}=... again with them"
            raise ConfigError(at=_path(text), got=text.partition("=")[2], rule="no file keeps credentials", hint=hint)
    return flags, [*(given.get(_path(text), text) for text in begun), *how]


def _path(override: str) -> str:
    return override.lstrip("+").partition("=")[0]


def _asked(overrides: Sequence[str]) -> list[str]:
    """The values of `resume=`, as text."""
    asked = [text.partition("=")[2].strip("'\"") for text in overrides if text.lstrip("+").startswith("resume=")]
    return [value for value in asked if value not in NOTHING]


def _named(text: str) -> list[str]:
    """The runs that an override `resume=` names: one, or several of a sweep."""
    override = parsed(text)
    if not override.is_sweep_override():
        return _asked([text])
    return [str(value).strip("'\"") for value in override.sweep_string_iterator()]


def _check_run(name: str) -> None:
    folder = Path(name)
    if not folder.exists() and not re.fullmatch("[0-9a-f]{32}", name):
        raise ConfigError(at="resume", got=name, rule="there is no such folder", hint="give the folder of a sweep, or of a run")
    if folder.exists() and not (folder / INFO).is_file():
        rule = f"is neither the folder of a sweep (it has no {FILE}) nor that of a run (it has no {INFO})"
        raise ConfigError(at="resume", got=name, rule=rule, hint="give runs/sweeps/NAME, as the sweep was told")
    if folder.exists() and summed_up(folder) is not None:
        rule = f"sums up the sweep of {files.shown(summed_up(folder) or folder)}, where there is none any more"
        raise ConfigError(at="resume", got=name, rule=rule, hint="give the folder of the sweep")
