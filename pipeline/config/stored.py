"""The config of a run folder, and that of a fork: its origin's, with what is asked laid over it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.config.overrides import ADDED_GROUPS, groups
from pipeline.data.storage.files import located
from pipeline.errors import ConfigError, PipelineError, RunError
from pipeline.extend.load import check
from pipeline.records import read
from pipeline.tracking.folder import CONFIG
from pipeline.tracking.run import find_run
from pipeline.tracking.settings import Tracking
from pipeline.tracking.store import locate

FORK = "fork"
_OF_THE_COMMAND = (
    "task",
    "run",
    "step",
    "resume",
    "output",
    "keep",
    "rebuild",
    "scope",
    "verify",
    "runs",
    "tracking",
)  # never those of the origin
_PATHS = ("path", "test_path", "validation_path", "root")


class _Once(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """Takes no name twice, of which the last would hold without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"{twice} is given twice", node.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def written_config(folder: Path) -> dict[str, Any]:
    """The config of a run folder as it stands there.  Raises RunError."""
    path = folder / CONFIG
    try:
        config = yaml.load(files.content(path).decode(), _Once)
    except FileNotFoundError:
        raise RunError(f"{files.shown(path)}: no such file; give the folder of a run") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise RunError(f"{files.shown(path)}: cannot be read ({' '.join(str(error).split())}); restore it from a copy") from error
    if not isinstance(config, dict):
        raise RunError(f"{files.shown(path)}: holds no config; restore it from a copy")
    return config


def stored_config(folder: Path) -> dict[str, Any]:
    """The resolved config of a run folder, its paths as they lead there from here; what it needs is loaded.  Raises RunError."""
    config = written_config(folder)
    if (of := _summed_up(config, folder)) is not None:
        raise RunError(f"{files.shown(folder)}: sums up a sweep, and has no network of its own; the sweep is in {files.shown(of)}")
    names = config.get("extensions")
    check(names if isinstance(names, list) else (), where=files.shown(folder))
    data = config.get("data")
    if isinstance(data, dict):
        config["data"] = data | {name: _placed(data[name], folder) for name in _PATHS if isinstance(data.get(name), str)}
    return config


def summed_up(folder: Path) -> Path | None:
    """The folder of the sweep that the run in `folder` sums up; None where it is no such run."""
    return _summed_up(written_config(folder), folder) if (folder / CONFIG).is_file() else None


def _summed_up(config: Mapping[str, Any], folder: Path) -> Path | None:
    """As it is written, or by the name of the sweep, from here or from a folder above the run's."""
    sweep = config.get("sweep")
    if not isinstance(sweep, dict) or not {"folder", "name"} & set(sweep):
        return None
    text = str(sweep.get("folder", f"runs/sweeps/{sweep.get('name')}"))
    return Path.cwd() / _placed(text, folder)


def _placed(text: str, folder: Path) -> str:
    """A relative path of a run: from a folder above the run's where the current one does not have it."""
    if located(text).is_absolute() or os.path.exists(text):
        return text
    return next((str(parent / text) for parent in folder.absolute().parents if os.path.exists(parent / text)), text)


def found(text: str, tracking: Tracking, *, at: str = "run") -> Path:
    """The run folder that `text` (the config's value `at`) names: a folder or an MLflow run id.  Raises RunError."""
    project = Path.cwd()
    try:
        store = locate(tracking, project)
    except PipelineError:
        store = None
    return find_run(text, project=project, store=store, at=at)


def with_origin(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A config whose task is fork: that of its origin, with the values of `config` at the paths of `overrides` (`path=value`).

    Any other config as it is.  Raises RunError, ConfigError.
    """
    if config.get("task") != FORK or config.get("run") is None:
        return dict(config)
    folder = found(str(config["run"]), read(Tracking, config.get("tracking") or {}, at="tracking"))
    known = {f.name for f in fields(Experiment)}
    before = stored_config(folder)
    result = {**deepcopy(dict(config)), **{name: value for name, value in before.items() if name in known}}
    result |= {name: config[name] for name in _OF_THE_COMMAND if name in config}
    if not any(text.startswith("tracking.experiment=") for text in overrides):
        result["tracking"] = dict(config.get("tracking") or {}) | _experiment(before)
    options = groups()
    asked = [text.partition("=") for text in overrides]
    for path, _, value in asked:
        if path in ADDED_GROUPS or path == "arm":
            hint = "give single values and options: optimizer=sgd optimizer.learning_rate=0.1"
            raise ConfigError(at=path, got=value, rule="a fork has the config of its origin", hint=hint)
        if path in options and path not in _OF_THE_COMMAND:
            result[path] = deepcopy(config[path])
    for path, _, value in asked:
        first = path.partition(".")[0]
        if path not in options and first in known and first not in _OF_THE_COMMAND:
            _put(result, config, path, value)
    return result


def _experiment(before: Mapping[str, Any]) -> dict[str, Any]:
    """Where the runs of the origin are recorded, and so its forks."""
    tracking = before.get("tracking")
    return {"experiment": tracking["experiment"]} if isinstance(tracking, dict) and "experiment" in tracking else {}


def _put(result: dict[str, Any], config: Mapping[str, Any], path: str, value: str) -> None:
    """The value of `config` at `path`, into `result`; where that has no such mapping, the whole of it."""
    to: Any = result
    source: Any = config
    *way, last = path.split(".")
    for name in way:
        inner = _at(to, name)
        if not isinstance(inner, dict | list):
            last = name
            break
        to, source = inner, _at(source, name)
    made = _at(source, last)
    place = int(last) if isinstance(to, list) and last.isdigit() else last
    if isinstance(to, list) and (not isinstance(place, int) or place >= len(to)):
        raise ConfigError(at=path, got=value, rule=f"the origin has {len(to)} of these", hint=f"give a number below {len(to)}")
    to[place] = deepcopy(made)


def _at(place: Any, name: str) -> Any:
    if isinstance(place, list):
        return place[int(name)] if name.isdigit() and int(name) < len(place) else None
    return place.get(name) if isinstance(place, dict) else None
