"""The overrides of a command line, made forgiving where Hydra is needlessly strict.

- `experiment=bn` becomes `+experiment=bn`: groups that the defaults list does not hold need the + in Hydra.
- `a.b=1` and `+a.b=1` become `++a.b=1`, so that an unknown key reaches `spec`, which names it and its nearest neighbour,
  and an optional key that an option file does not list needs no +.
- What Hydra has no letters for is quoted for it: see `words`.
- What cannot be read, several values without -m, and a group set to null are one-line errors that name the override.

Overrides of `hydra.*` stay as they are.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache, lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, QuotedString, RangeSweep
from hydra.errors import HydraException

from pipeline.config.experiment import Experiment
from pipeline.config.synonyms import KEYS, OPTIONS
from pipeline.config.words import as_hydra, as_written
from pipeline.errors import ConfigError, nearest
from pipeline.extend.declared import KINDS as EXTENSIONS
from pipeline.extend.load import left_out

CONF = Path(__file__).resolve().parents[2] / "conf"
ADDED_GROUPS = ("experiment", "sweep")  # groups that the defaults list does not hold


def groups() -> dict[str, list[str]]:
    """The groups of `conf/` and their options."""
    own = _own_options()
    return {name: sorted({*options, *own.get(name, ())}) for name, options in _shipped().items()}


@cache
def _shipped() -> Mapping[str, tuple[str, ...]]:
    folders = (folder for folder in sorted(CONF.iterdir()) if folder.is_dir() and folder.name != "hydra")
    return {folder.name: tuple(file.stem for file in folder.glob("*.yaml")) for folder in folders}


def _own_options() -> dict[str, dict[str, dict[str, Any]]]:
    """group -> option -> its content, of the kinds of extensions that are chosen as the option of a group."""
    sources = {kind: {"defaults": ["digits"], "kind": kind} for family, kind in EXTENSIONS if family == "data source"}
    steps = {kind: {"defaults": ["standardize"], "steps": [kind]} for family, kind in EXTENSIONS if family == "preprocessing step"}
    return {"data": sources, "preprocessing": steps}


def offer() -> None:
    """Lets Hydra know the options that extensions bring."""
    for group, options in _own_options().items():
        for name, content in options.items():
            ConfigStore.instance().store(group=group, name=name, node=content)


def parsed(text: str) -> Override:
    """One override.  Raises ConfigError."""
    key, equals, value = text.partition("=")
    if not equals and not key.startswith("~"):
        name = key.lstrip("+")
        if "/" not in key and "@" not in key and name.partition(".")[0] not in _root(groups()):
            raise ConfigError(at=name, got="(missing)", rule="unknown key", hint=_nearest_path(name, _root(groups())))
        raise ConfigError(at=key, got="(missing)", rule="has no value", hint=f"write {key}=...")
    try:
        return OverridesParser.create().parse_override(text)
    except HydraException:
        hint = f"quote it twice, once for the shell: '{key}=\"...\"'"
        raise ConfigError(at=key, got=value, rule="cannot be read", hint=hint) from None


def forgiving(texts: Sequence[str], *, several: bool) -> list[str]:
    """The overrides as Hydra is given them; `several`: a key may have several values (a sweep).  Raises ConfigError."""
    offer()
    known = groups()
    made = [_forgiving(text, known, several=several) for text in [*texts, *_kind_of_data(texts)]]
    for group in ADDED_GROUPS:
        several_of = [text.partition("=")[2] for text in made if text.startswith(f"+{group}=")]
        if len(several_of) > 1:
            raise ConfigError(at=group, got=",".join(several_of), rule="takes one option at a time", hint="give one of them")
    return made


def given_twice(texts: Sequence[str]) -> list[str]:
    """A sentence for each path that has several values, one after another: Hydra takes the last; mappings are put together."""
    values: dict[str, list[str]] = {}
    for text in texts:
        override = parsed(text)
        if override.type != OverrideType.DEL and (override.is_sweep_override() or not isinstance(override.value(), dict)):
            values.setdefault(as_written(override.get_key_element().lstrip("+")), []).append(text.partition("=")[2])
    others = {path: list(dict.fromkeys(value for value in given if value != given[-1])) for path, given in values.items()}
    return [f"{path} is given more than once: {values[path][-1]} holds, not {', '.join(left)}" for path, left in others.items() if left]


def _kind_of_data(texts: Sequence[str]) -> list[str]:
    """`data=table` and the like where a path or a query is given and nothing says what data it is: the default, digits, has neither."""
    given = _given(texts)
    path, chosen = given.get("data.path", ""), {"data", "data.kind", "experiment", "run", "resume"}
    if chosen & given.keys() or any(text.startswith(("--", "~data")) for text in texts):
        return []
    if "data.query" in given:
        return ["data=sql"]
    if not path or path == "null":
        return []
    name = os.path.expanduser(path.strip("\"'"))
    return ["data=image_folder" if os.path.isdir(name) else "data=npz" if name.lower().endswith(".npz") else "data=table"]


def _forgiving(text: str, known: dict[str, list[str]], *, several: bool) -> str:
    given = text.partition("=")[2]
    text = as_hydra(text)
    override = parsed(text)
    key = override.key_or_group
    if key == "run" and not several and (override.is_sweep_override() or isinstance(override.value(), list)):
        hint = f"task=compare runs=[{given.strip('[]')}] sets several side by side"
        raise ConfigError(at=key, got=given, rule="takes one run", hint=hint)
    if override.is_sweep_override() and not several:
        hint = "add -m for a sweep, or write [a,b] for a list"
        if key not in known and _of_words(override.value()):
            hint += f"; one word with a comma is quoted twice: '{key}=\"...\"'"
        raise ConfigError(at=as_written(key), got=given, rule="one run takes one value", hint=hint)
    if override.is_sweep_override() and several and (key == "sweep" or key.startswith(("sweep.", "hydra.", "hydra/"))):
        listed = f"write {key}=[{given}] for a list, or " if key in ("sweep.metric", "sweep.direction") else ""
        hint = f"{listed}give one of them; one word with a comma is quoted twice: '{key}=\"...\"'"
        raise ConfigError(at=key, got=given, rule="one sweep takes one value", hint=hint)
    if not _holds_any(override.value()):
        raise ConfigError(at=as_written(key), got=given, rule="is a range without a number", hint="range(0,3) is 0, 1, 2")
    if override.type == OverrideType.DEL and key.partition(".")[0] in _root(known) - {"hydra"} and not key.startswith("data.columns."):
        raise ConfigError(at=text, got="(removed)", rule="nothing can be taken out of a config", hint=_instead_of_removing(key, known))
    if key.startswith("hydra.sweeper.params"):  # Hydra itself breaks on them
        hint = f"write {key.removeprefix('hydra.sweeper.params').lstrip('.') or 'seed'}=... on the command line"
        raise ConfigError(at=as_written(key), got=given, rule="is read in config files", hint=hint)
    if key.startswith("hydra.") or "/" in key or override.package is not None or override.type == OverrideType.DEL:
        return text
    bare = text.lstrip("+")
    if key in known:
        value = override.value()
        each = value.list if isinstance(value, ChoiceSweep) else [value]
        if not all(_of_options(one) for one in each):
            hint = f"write {key}=OPTION {key}.KEY=VALUE; the options are {', '.join(known[key])}"
            raise ConfigError(at=as_written(key), got=given, rule="a group takes the name of an option", hint=hint)
        if any(one in (None, "") for one in each) and key not in ADDED_GROUPS:
            raise ConfigError(at=as_written(key), got=None, rule="a group needs an option", hint=f"use one of {', '.join(known[key])}")
        return f"+{bare}" if key in ADDED_GROUPS else bare
    root = _root(known)
    if key.partition(".")[0] not in root:
        raise ConfigError(at=as_written(key), got=given, rule="unknown key", hint=_nearest_path(key, root))
    if given.startswith("="):
        raise ConfigError(at=as_written(key), got=given, rule="has one = too many", hint=f"write {as_written(key)}{given}")
    return f"++{bare}"


def _holds_any(value: object) -> bool:
    """Whether a value, if it is a range of numbers, holds one."""
    try:
        return not isinstance(value, RangeSweep) or next(iter(value.range()), None) is not None
    except (ValueError, StopIteration):  # of step 0; of no number
        return False


def _of_options(value: object) -> bool:
    """Whether a value is no mapping, and, if it is a list, holds nothing but words."""
    return not isinstance(value, dict) and (not isinstance(value, list) or all(isinstance(one, str | QuotedString) for one in value))


def without_dashes(flag: str) -> str | None:
    """The override that `--experiment=bn` or `--lr=0.1` means; None for a flag that means none."""
    name, equals, value = flag.removeprefix("--").partition("=")
    path = KEYS.get(name.replace("-", "_"), name)
    if not flag.startswith("--") or name == "hydra" or path.partition("=")[0].partition(".")[0] not in _root(groups()):
        return None
    return f"{path}={value if equals else '...'}"


def _instead_of_removing(key: str, known: dict[str, list[str]]) -> str:
    if "none" in known.get(key, ()):
        return f"write {key}=none"
    return f"choose another option of {key}" if key in known else f"write {key}=VALUE; without it the default holds"


def _of_words(value: object) -> bool:
    """Whether commas part words, which may be one word with commas."""
    return isinstance(value, ChoiceSweep) and all(isinstance(one, str | QuotedString) for one in value.list)


def _root(known: Iterable[str]) -> set[str]:
    """The first words of paths: more than `spec` knows, which never sees the groups that are added."""
    return {*known, *(f.name for f in fields(Experiment)), "hydra"}


def _nearest_path(key: str, root: set[str]) -> str:
    """`did you mean X?` for the first word of a path; the rest stays."""
    if key in KEYS:
        return f"did you mean {KEYS[key]}?"
    root = root - {"hydra"}
    first, dot, rest = key.partition(".")
    said = nearest(first, root)
    return f"{said[:-1]}{dot}{rest}?" if said.endswith("?") else said


def asks_for_several(texts: Sequence[str], folder: str | None = None) -> bool:
    """Whether `texts` ask for a sweep: by hydra.mode, by the group `sweep`, or by an experiment whose file says so.

    Tasks but train look at one config.  folder: that of the user's own files (--config-dir); its experiments go before ours.
    """
    given = _given(texts)
    if "hydra.mode" in given:
        return given["hydra.mode"] == "MULTIRUN"
    return given.get("task", "train") == "train" and _declares_sweep(given, folder)


def as_one_run(texts: Sequence[str], folder: str | None = None) -> list[str]:
    """What Hydra has to be told beside `texts`, which ask for no sweep, where the experiment declares one."""
    given = _given(texts)
    return ["hydra.mode=RUN"] if "hydra.mode" not in given and _declares_sweep(given, folder) else []


def _given(texts: Sequence[str]) -> dict[str, str]:
    """path -> value."""
    return {text.partition("=")[0].strip().lstrip("+"): text.partition("=")[2].strip() for text in texts}


def _declares_sweep(given: dict[str, str], folder: str | None) -> bool:
    if "sweep" in given or given.get("hydra/sweeper", "basic") != "basic":
        return True
    name = Path("experiment", f"{given.get('experiment')}.yaml")
    file = next((place / name for place in (*([Path(folder)] if folder else ()), CONF) if (place / name).is_file()), None)
    if file is None:
        return False
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False  # Hydra reads the file again, and says what is wrong with it
    hydra = config.get("hydra") if isinstance(config, dict) else None
    return isinstance(hydra, dict) and hydra.get("mode") == "MULTIRUN"


def planned(params: Mapping[str, str], overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """The jobs of a sweep, each as its overrides, as Hydra, being at work, makes them of `hydra.sweeper.params` and the overrides."""
    texts = [*(f"{key}={value}" for key, value in params.items()), *overrides]
    loader = GlobalHydra.instance().config_loader()  # knows what glob(*) stands for
    found = OverridesParser.create(config_loader=loader).parse_overrides(texts)
    swept = [override for override in found if not override.key_or_group.startswith("hydra")]
    (jobs,) = BasicSweeper.split_arguments(swept, None)
    return [tuple(re.sub("=(True|False)$", lambda found: found[0].lower(), text) for text in job) for job in jobs]  # as they are written


def every_fold(params: Mapping[str, str], overrides: Sequence[str], said: object = None) -> dict[str, str]:
    """`params` of a sweep over every fold, with as many as the overrides say there are; any other as they are.  Raises ConfigError.

    said  how many the config says without `params`: what an experiment or a data set asks for is meant more than the number of a sweep
    """
    folds, fold = "data.split.folds", "data.split.fold"
    own, given = {key.lstrip("+"): key for key in params}, values_of(overrides)
    if said is not None:
        given = {folds: str(said), **given}
    if not {folds, fold} <= own.keys() or folds not in given or fold in given:
        return dict(params)
    count = str(params[own[folds]])
    if not count.isdecimal() or str(params[own[fold]]) != ",".join(map(str, range(int(count)))):  # some of them
        return dict(params)
    if not given[folds].isdecimal():
        hint = f"give {folds}=3 or another number, or choose the folds: {fold}=0,1,2"
        raise ConfigError(at=folds, got=given[folds], rule="the sweep is over every fold of one number", hint=hint)
    return {**params, own[folds]: given[folds], own[fold]: ",".join(map(str, range(int(given[folds]))))}


def values_of(job: Sequence[str]) -> dict[str, str]:
    """Path -> value of the overrides of a job."""
    return _given(job)


def without_several(overrides: Sequence[str]) -> list[str]:
    """Those of the overrides that give one value: what all jobs of a sweep have in common."""
    return [text for text in overrides if not parsed(text).is_sweep_override()]


def plain_value(text: str) -> tuple[str, Any] | None:
    """(path, value) of an override that puts a plain value into the config, whatever else is in it; None for any other."""
    override = _parsed_once(text)
    if override.type != OverrideType.FORCE_ADD or override.package is not None or "/" in override.key_or_group:
        return None
    value = override.value()
    entries = value if isinstance(value, list) else [value]
    if any(not isinstance(entry, (int, float, str, type(None))) or (isinstance(entry, str) and _is_special(entry)) for entry in entries):
        return None
    return override.key_or_group, value


@lru_cache(maxsize=4096)  # the jobs of a sweep are made of few overrides
def _parsed_once(text: str) -> Override:
    return parsed(text)


def _is_special(word: str) -> bool:
    """Whether OmegaConf reads more than a word in it."""
    return "${" in word or word == "???"


def shown(texts: Sequence[str]) -> tuple[str, ...]:
    """Overrides as a person writes them: without + and ++."""
    return tuple(as_written(text.lstrip("+")) for text in texts)


def check_quoted(texts: Sequence[str]) -> None:
    """Refuses words behind an override that the shell has cut off it: data.target=Monatliche Miete.  Raises ConfigError."""
    known = _root(groups())
    for place, text in enumerate(texts[1:], start=1):
        behind = list(takewhile(lambda word: "=" not in word and word[:1] not in "~-", texts[place:]))
        if not behind or "=" not in texts[place - 1] or text.partition(".")[0] in known | KEYS.keys():
            continue
        if len(behind) > 1 or not _nearest_path(text, known).endswith("?"):
            key, _, value = texts[place - 1].partition("=")
            whole = shlex.quote(" ".join((texts[place - 1], *behind)))
            raise ConfigError(at=key, got=value, rule=f"is followed by {' '.join(behind)}", hint=f"if that belongs to it give {whole}")


def unknown_option(missing: str, options: Sequence[str] | None) -> ConfigError:
    """The error for `group/option` where the group has no such option."""
    group, _, option = missing.partition("/") if missing.startswith("data/") else missing.rpartition("/")
    if group == "data" and (Path(option).suffix or os.path.exists(option)):
        whole = shlex.join([text for text in (*_kind_of_data([f"data.path={option}"]), f"data.path={option}") if text])
        return ConfigError(at=group, got=option, rule="names a kind of data, not a file", hint=f"give {whole}")
    ours = OPTIONS.get(group, {}).get(option.lower())
    if ours is not None:
        return ConfigError(at=group, got=option, rule="unknown option", hint=f"here it is {group}={ours}")
    hints = [nearest(option, options) if options else "", left_out()]
    return ConfigError(at=group or "config", got=option, rule="unknown option", hint="; ".join(filter(None, hints)))
