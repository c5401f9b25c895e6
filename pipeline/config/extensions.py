"""The extensions that the user asks for: on the command line, in a config of his own, and those of installed packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.errors import ConfigError
from pipeline.extend import load

AT = "extensions"
_OF_A_FOLDER = ("run", "resume")  # what these name may come from anybody: its extensions are allowed one by one


def begin(overrides: Sequence[str]) -> None:
    """Imports what a command names, and what is installed where it works on no folder of a run.  Raises PipelineError.

    It comes before Hydra, which must know the options that extensions bring.
    """
    given = {text.lstrip("+").partition("=")[0]: text.partition("=")[2].strip() for text in overrides}
    load.use(_names(given.get(AT, "")))
    load.use(_names(given.get("extension", "")), at="extension")
    if all(given.get(name, "null") in ("null", "") for name in _OF_A_FOLDER):
        load.use_installed()


def own(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config of the user's own, its extensions imported, each as its module.  Raises PipelineError."""
    names = config.get(AT)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        return dict(config)  # the reader of the config says what is wrong with it
    return {**config, AT: list(load.use(names))}


def _names(text: str) -> list[str]:
    """The names of `[a,b]`, also quoted.  Raises ConfigError."""
    bare = text.strip("'\"").strip()
    if bare in ("", "null"):
        return []
    if bare.startswith("[") != bare.endswith("]") or ("," in bare and not bare.startswith("[")):
        raise ConfigError(at=AT, got=text, rule="must be a list", hint=f"write {AT}=[{bare.strip('[]')}]")
    return [name.strip().strip("'\"") for name in bare.strip("[]").split(",") if name.strip()]
