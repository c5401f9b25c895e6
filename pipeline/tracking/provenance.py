"""What a run was made from, as parameters and tags: its config flattened, the state of the code, the versions, the process."""

from __future__ import annotations

import getpass
import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.text import leaving
from pipeline.tracking.process import this_process

# Parts of the config that say where and how a run is kept, not what it is.
ASIDE = ("task", "run", "resume", "output", "format", "rebuild", "scope", "verify", "runs", "tracking")
LONGEST_PARAM, LONGEST_TAG = 6000, 8000  # of MLflow's SQL store, which cuts what is longer without a word


def flatten(config: Mapping[str, Any], *, aside: Sequence[str] = ASIDE) -> dict[str, str]:
    """The config as one level of parameters: mappings and lists of mappings by dotted path, lists of values as JSON.

    {"optimizer": {"beta1": 0.9}, "layers": [{"units": 3}], "steps": ["center"]} -> optimizer.beta1 0.9, layers.0.units 3, steps ["center"]
    """
    found: dict[str, str] = {}
    for name, value in config.items():
        if name not in aside:
            found.update(_section(name, json.dumps(value, default=str)))
    return found


@lru_cache(maxsize=1024)  # the trials of a sweep differ in few sections
def _section(name: str, written: str) -> tuple[tuple[str, str], ...]:
    """The parameters of a section of a config, given as JSON."""
    return tuple(_walk(json.loads(written), name))


def _walk(value: Any, path: str) -> Iterable[tuple[str, str]]:
    prefix = f"{path}." if path else ""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _walk(item, f"{prefix}{key}")
    elif isinstance(value, (list, tuple)) and any(isinstance(item, (Mapping, list, tuple)) for item in value):
        for index, item in enumerate(value):
            yield from _walk(item, f"{prefix}{index}")
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, default=str)


def provenance(*, seed: int | None = None, command: Sequence[str] | None = None, code: Path | None = None) -> dict[str, str]:
    """Tags that say who made the run, with which code and versions.  `code` is the checkout (default: the one this package lies in)."""
    process = this_process()
    tags = {
        "pipeline.host": process.host,
        "pipeline.pid": str(process.pid),
        "mlflow.source.name": "python -m pipeline",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": _user(),
        "pipeline.command": shlex.join(map(leaving, sys.orig_argv if command is None else command)),
        "pipeline.version": _version("caviar-pipeline"),
        "pipeline.python": platform.python_version(),
        "pipeline.numpy": np.__version__,
        "pipeline.platform": f"{platform.system()} {platform.machine()}",
    }
    if seed is not None:
        tags["pipeline.seed"] = str(seed)
    return tags | (_own_git() if code is None else _git(code))


@cache
def _user() -> str:
    """Who runs it; a container may know no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


@cache  # what a process runs is what it has loaded, not what its files are later
def _own_git() -> dict[str, str]:
    return _git(Path(__file__).resolve().parents[2])


def _git(checkout: Path) -> dict[str, str]:
    """Commit and whether files differ from it; nothing for code that does not lie in a checkout of its own."""
    if not (checkout / ".git").exists():
        return {}
    command = ["git", "-C", str(checkout), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, timeout=3, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return {}
    commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid ")), "(initial)")
    if commit == "(initial)":
        return {}
    dirty = any(not line.startswith("#") for line in lines)
    return {"pipeline.commit": commit, "pipeline.dirty": str(dirty).lower(), "mlflow.source.git.commit": commit}
