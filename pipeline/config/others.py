"""Config files that are not ours: those of `--config-dir`, `--config-path` and `hydra.searchpath`, which may come from anybody.

They describe experiments.  What works outside of one is asked for on the command line, or refused before Hydra does anything:
- settings of Hydra itself (logging, folders, variables of the environment, launchers, callbacks) but for the sweep that a file declares
- classes to be made (`_target_`), the store of the record (`tracking.uri`), where is written (`output`), what is imported (`extensions`),
  where a sweep trains (`sweep.engine`, `sweep.address`, `sweep.options`), which runs are worked on (`run`, `resume`, `rebuild`)
- what only a resolver knows (`${oc.env:...}`, `${hydra:...}`): `--allow-env NAME` lets files read a variable into the paths of the data
  and `tracking.uri`; its value is hidden wherever text leaves the program
What a file comes to is looked at where Hydra has composed it, whichever defaults, packages and options led there.
"""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.utils import setup_globals
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar_parser import parse

from pipeline.config.overrides import CONF, groups
from pipeline.errors import ConfigError
from pipeline.records import record
from pipeline.text import conceal

ALLOW = "--allow-env"
_OURS = ("mode", "runtime", "overrides", "job", "sweeper")  # what Hydra fills in itself, or a sweep is declared in; see `_hydra_parts`
SEARCHER = "hydra_plugins.caviar.search.SearchSweeper"
_HARMLESS = ("oc.select", "oc.dict.keys", "oc.dict.values", "oc.deprecated")  # they read the config alone
_PLACES = ("data.path", "data.test_path", "data.validation_path", "data.root", "tracking.uri")  # what a variable may give
# what is named on the command line alone: other machines, and runs that are worked on
_BY_NAME = ("tracking.uri", "output", "run", "resume", "rebuild", "sweep.engine", "sweep.address", "sweep.options")
_UNNAMED = (None, False, "local")  # what they are where nothing is named
_SHORTEST = 4  # letters of a value that can be told from other text
_MOST = 100_000  # entries of a file, each alias counted as what it stands for


@record
class Guard:
    """What the command line allows: the paths that it gives itself, and the variables that files may read."""

    given: tuple[str, ...]
    variables: tuple[str, ...]

    def gives(self, path: str) -> bool:
        """Whether the value at `path` is the command line's own."""
        return any(path == own or path.startswith((f"{own}.", f"{own}[")) for own in self.given)


_guard: ContextVar[Guard | None] = ContextVar("guard", default=None)  # while Hydra works on files that are not ours


def arguments_parser() -> ArgumentParser:
    """Hydra's flags, and `--allow-env`."""
    parser = get_args_parser()
    parser.add_argument(ALLOW, action="append", default=[], metavar="NAME", help="a variable that config files may read")
    return parser


@contextmanager
def guarded(argv: Sequence[str]) -> Iterator[list[str]]:
    """The arguments for Hydra; its configs are looked at while this lasts.  Raises ConfigError for what stands outside an experiment."""
    asked = arguments_parser().parse_intermixed_args(list(argv))
    plain = _without_allow(argv)
    given = {text.lstrip("+").partition("=")[0]: text.partition("=")[2] for text in asked.overrides}
    folders = [asked.config_dir, asked.config_path] if asked.config_path or asked.config_dir else []
    if not any(folders) and "hydra.searchpath" not in given:
        yield plain
        return
    for folder in filter(None, folders):
        if folder == asked.config_dir and not Path(folder).is_dir():
            raise ConfigError(at="--config-dir", got=folder, rule="is no folder", hint="give a folder of config files")
        _look_through(Path(folder))
    values = tuple(path for path in given if path not in groups())  # which option a group has says nothing of what is in it
    guard = Guard(given=values, variables=tuple(asked.allow_env))
    _check_hydra(asked.config_dir, asked.config_path, asked.config_name, asked.overrides, guard)
    conceal(_told(guard))
    token = _guard.set(guard)
    try:
        yield plain
    finally:
        _guard.reset(token)


def _told(guard: Guard) -> Iterator[str]:
    """The values of the variables that files may read."""
    for name in guard.variables:
        value = os.environ.get(name, "")
        if len(value) < _SHORTEST:
            rule = "is not set" if not value else f"its value has {len(value)} letters, too few to be hidden wherever text leaves"
            raise ConfigError(at=ALLOW, got=name, rule=rule, hint="give what the file reads on the command line")
        yield value


def _without_allow(argv: Sequence[str]) -> list[str]:
    kept, skip = list[str](), False
    for word in argv:
        if skip or word.startswith(f"{ALLOW}="):
            skip = False
        elif word == ALLOW:
            skip = True
        else:
            kept.append(word)
    return kept


def check(config: object) -> None:
    """Whether a composed config, not yet resolved, holds what only the command line may ask for.  Raises ConfigError."""
    guard = _guard.get()
    if guard is None:
        return
    for path, value in _entries(OmegaConf.to_container(cast(Any, config), resolve=False), ""):
        if guard.gives(path) or path.startswith("hydra."):
            continue
        if path.rpartition(".")[2] == "_target_":
            raise _refused(path, value, "a config file makes no objects of classes", "leave it out")
        if value not in _UNNAMED and (at := _by_name(path)) is not None:
            raise _refused(path, value, "is named on the command line, not by a config file", f"give {at}={value} if that is meant")
        if path == "extension" and value is not None:
            raise _refused(path, value, "is named on the command line, not by a config file", "leave it out")
        if path.startswith("extensions."):
            rule = "a config file that may be of somebody else imports nothing"
            raise _refused("extensions", value, rule, f"give extensions=[{value}] on the command line if that is meant")
        if isinstance(value, str):
            _check_text(path, value, guard)


def _by_name(path: str) -> str | None:
    """The setting of the command line that `path` is, or lies in; also where an arm sets it."""
    arm = ".".join(path.split(".")[2:]) if path.startswith("arms.") else path
    return next((name for name in _BY_NAME if arm == name or arm.startswith(f"{name}.")), None)


def _check_text(path: str, text: str, guard: Guard) -> None:
    for name, argument in _resolvers(text):
        if name == "oc.env" and argument.partition(",")[0].strip() in guard.variables:
            if not path.endswith(_PLACES):
                hint = f"a variable may stand in {', '.join(_PLACES)}"
                raise _refused(path, text, "what a config file reads from the environment stands in no name or number", hint)
        elif name == "oc.env":
            variable = argument.partition(",")[0].strip()
            raise _refused(path, text, "a config file reads the environment", f"give {ALLOW} {variable} if that is meant")
        elif name not in _HARMLESS:
            raise _refused(path, text, f"a config file asks the resolver {name}", "write the value, or give it on the command line")


def _resolvers(text: str) -> Iterator[tuple[str, str]]:
    """(name, arguments) of each resolver that a text asks, nested ones too; a name that is itself made of parts as it is written."""
    if "${" not in text:
        return
    try:
        waiting: list[Any] = [parse(text)]
    except OmegaConfBaseException:
        return  # it is told where the config is resolved
    while waiting:
        node = waiting.pop()
        parts = list(getattr(node, "children", None) or ())
        waiting += parts
        if type(node).__name__ == "InterpolationResolverContext":
            yield parts[1].getText(), "".join(part.getText() for part in parts[3:-1])


def _refused(path: str, value: object, rule: str, hint: str) -> ConfigError:
    return ConfigError(at=path, got=value, rule=rule, hint=hint)


def _entries(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of each entry that is no mapping and no list."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _entries(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _entries(inner, f"{path}.{place}")
    else:
        yield path, value


def _look_through(folder: Path) -> None:
    """Each file before Hydra reads it: its defaults list is resolved there at once, and aliases are written out."""
    for file in sorted([*folder.rglob("*.yaml"), *folder.rglob("*.yml")]):
        try:
            content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        except (OSError, ValueError, RecursionError, yaml.YAMLError):
            continue  # Hydra says what is wrong with it, where it is used
        at = str(file.relative_to(folder))
        if _count(content, {}) > _MOST:
            raise ConfigError(at=at, got=f"{file.stat().st_size} bytes", rule=f"stands for more than {_MOST:,} values", hint="write fewer")
        defaults = content.get("defaults") if isinstance(content, dict) else None
        for path, value in _entries(defaults, f"{at}: defaults"):
            if "${" in f"{path}{value}" and ":" in f"{value}".partition("${")[2] + path.partition("${")[2]:
                raise _refused(path, value, "a defaults list asks no resolver", "write the option")


def _count(value: Any, known: dict[int, int]) -> int:
    """The entries that a value has once every alias is written out."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST + 1  # of one that holds itself
        known[id(value)] = 1 + sum(_count(inner, known) for inner in (value.values() if isinstance(value, dict) else value))
    return known[id(value)]


def _check_hydra(folder: str | None, main: str | None, name: str | None, overrides: Sequence[str], guard: Guard) -> None:
    """Whether Hydra itself would be set up as without the files, but for what the command line says."""
    found = _loaded(main or str(CONF), folder, name or "config", overrides)
    theirs = _hydra_parts(found)
    own = [text for text in overrides if text.lstrip("+~").startswith(("hydra.", "hydra/"))]
    _check_launcher([place for place in (folder, main) if place], name or "config", found["hydra"]["runtime"]["choices"], guard)
    try:
        ours = _hydra_parts(_loaded(str(CONF), None, "config", own))
    except HydraException:
        at, _, value = next(text for text in own if "/" in text.partition("=")[0]).lstrip("+").partition("=")
        raise _refused(at, value, "an option of these config files would set up Hydra itself", "use one that Hydra has") from None
    sweeper = found["hydra"]["sweeper"]
    searches = sweeper.get("_target_") == SEARCHER  # a search is declared as a grid is, in more words
    for path in sorted({*theirs, *ours}):
        got = theirs.get(path)
        if searches and path.startswith("hydra.sweeper."):
            continue
        if got != ours.get(path) and not guard.gives(path):
            hint = f"give {path}=... on the command line if that is meant"
            raise _refused(path, got, "a config file would set up Hydra itself, not an experiment", hint)
    for path, value in _entries({name: sweeper.get(name) for name in ("params", "space")}, "hydra.sweeper"):
        if "$" in f"{path}{value}" and not guard.gives(path):  # they are read twice, as a config and as overrides
            raise _refused(path, value, "the values of a sweep are written out", "give them on the command line")


def _check_launcher(folders: Sequence[str], name: str, choices: Mapping[str, Any], guard: Guard) -> None:
    """That no file in use asks for a launcher: the defaults list of ours, which is read first, would overrule it without a word."""
    used = [name, *(f"{group}/{option}" for group, option in choices.items() if isinstance(option, str))]
    for file in (Path(folder, f"{each}.yaml") for folder in folders for each in used):
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) if file.is_file() else None
        defaults = content.get("defaults") if isinstance(content, dict) else None
        for entry in defaults if isinstance(defaults, list) else ():
            for key, value in entry.items() if isinstance(entry, dict) else ():
                asks = key.removeprefix("override").strip().lstrip("/") == "hydra/launcher"
                if asks and value not in ("stacked", choices.get("hydra/launcher")) and not guard.gives("hydra/launcher"):
                    hint = f"give hydra/launcher={value} on the command line if that is meant"
                    raise _refused("hydra/launcher", value, "a config file would set up Hydra itself, not an experiment", hint)


def _hydra_parts(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of Hydra by path, without those that follow from the command line, and the sweep that is declared."""
    hydra = dict(config.get("hydra") or {})
    job, sweeper = dict(hydra.get("job") or {}), dict(hydra.get("sweeper") or {})
    parts = {name: value for name, value in hydra.items() if name not in _OURS}
    parts["job"] = {name: value for name, value in job.items() if name not in ("name", "override_dirname", "id", "num", "config_name")}
    parts["sweeper"] = {name: value for name, value in sweeper.items() if name != "params"}
    return dict(_entries(parts, "hydra"))


def _loaded(main: str, folder: str | None, name: str, overrides: Iterable[str]) -> dict[str, Any]:
    """What Hydra composes, nothing of it resolved or obeyed.  Raises HydraException."""
    setup_globals()
    path = create_config_search_path(f"file://{Path(main).absolute()}")
    if folder is not None:
        path.prepend(provider="command-line", path=f"file://{Path(folder).absolute()}", anchor=SearchPathQuery(provider="schema"))
    loader = ConfigLoaderImpl(config_search_path=path)
    config = loader.load_configuration(config_name=name, overrides=list(overrides), run_mode=RunMode.RUN, validate_sweep_overrides=False)
    return cast("dict[str, Any]", OmegaConf.to_container(config, resolve=False))
