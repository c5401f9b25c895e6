"""The configs of the jobs of a sweep.

Hydra takes some 40 ms to compose a config.  Jobs whose overrides differ in plain values only share one composition: their configs are
copies of it with the values put in, by the rule that Hydra itself follows, one override after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any, Protocol, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import files
from pipeline.config.compose import explained, laid_out, resolved, sweep_params
from pipeline.config.overrides import every_fold, parsed, plain_value, planned, shown
from pipeline.config.searched import Asked, goes_together, is_range, searched
from pipeline.config.sweep_settings import SweepSettings, taken_out
from pipeline.errors import ConfigError
from pipeline.records import record

Plain = dict[str, Any]


def jobs_of(common: object, overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """The jobs that the overrides and the config ask for, while Hydra is at work.  Raises PipelineError."""
    for text in overrides:
        path, _, value = text.lstrip("+").partition("=")
        if is_range(text):
            hint = "give hydra/sweeper=search hydra.sweeper.trials=64 too"
            raise ConfigError(at=path, got=value, rule="a grid has values, and this is a range", hint=hint)
        if goes_together(text):
            rule = "the plain grid has every combination, and this goes together with others"
            raise ConfigError(at=path, got=value, rule=rule, hint="give hydra/sweeper=search hydra.sweeper.method=grid too")
    try:
        jobs = planned(every_fold(sweep_params(), overrides, _folds(common)), overrides)
    except HydraException as error:
        raise explained(error) from None
    if not jobs:
        path, _, value = next(text for text in overrides if "glob(" in text).lstrip("+").partition("=")
        raise ConfigError(at=path, got=value, rule="matches nothing", hint="a glob finds the options of a group")
    return jobs


def _folds(common: object) -> object:
    return OmegaConf.select(cast(DictConfig, common), "data.split.folds")


def asked_search(common: object, overrides: Sequence[str]) -> Asked | None:
    """The search that is asked for, while Hydra is at work; None for a grid.  Raises ConfigError."""
    if _plugin("sweeper") != "search":
        return None
    given = OmegaConf.to_container(HydraConfig.get().sweeper, resolve=True)
    return searched(cast("dict[str, Any]", given), overrides, folds=_folds(common))


def check_folders() -> None:
    """Whether Hydra is asked to make folders for runs, which make their own.  Raises ConfigError."""
    written = cast("dict[str, Any]", OmegaConf.to_container(cast(Any, HydraConfig.get()), resolve=False))  # what is in it may not be known
    for at, folder in (("hydra.sweep.subdir", written["sweep"]["subdir"]), ("hydra.run.dir", written["run"]["dir"])):
        if folder not in (".", "${hydra.job.num}"):
            if at == "hydra.run.dir":
                with suppress(OSError, OmegaConfBaseException):  # not empty: it was there before
                    Path(HydraConfig.get().run.dir).rmdir()
            hint = "leave it out; output=... gives one run a folder"
            raise ConfigError(at=at, got=folder, rule="each run makes a folder of its own in runs/", hint=hint)


def launcher() -> str:
    """The launcher of Hydra that is asked for: stacked, also where Hydra is not at work, or the name of another."""
    return _plugin("launcher") if HydraConfig.initialized() else "stacked"


def sweeper() -> str:
    """The sweeper of Hydra that is asked for: basic, or the name of another."""
    return _plugin("sweeper")


def _plugin(kind: str) -> str:
    return str(HydraConfig.get().runtime.choices.get(f"hydra/{kind}"))


def chosen_folder(default: str) -> Path | None:
    """`hydra.sweep.dir`, where somebody has chosen one: it is not what begins with `default` in `conf/config.yaml`.

    Raises ConfigError.
    """
    whole = cast(Any, HydraConfig.instance().cfg)
    written = cast("dict[str, Any]", OmegaConf.to_container(whole.hydra.sweep, resolve=False))["dir"]
    if str(written).strip() == "":
        raise ConfigError(at="hydra.sweep.dir", got="", rule="names no folder", hint="give one; hydra.sweep.dir=. is this one")
    return None if str(written).startswith(default) else Path(whole.hydra.sweep.dir)


def save_whole(common: DictConfig, path: Path) -> None:
    """Writes the config that the jobs have in common, Hydra's own part with it."""
    files.write(path, OmegaConf.to_yaml(OmegaConf.merge(HydraConfig.instance().cfg, common)))


@record
class Composed:
    """What Hydra makes of a job: its plain config before its arm is laid over it, and what it says of its sweep."""

    config: Plain
    asked: tuple[str, ...]
    sweep: SweepSettings

    def plain(self) -> Plain:
        """The config that is run.  Raises ConfigError."""
        return laid_out(self.config, self.asked)


class Composing(Protocol):
    """Who has the configs of a sweep's jobs."""

    def of(self, job: Sequence[str]) -> Composed:
        """The config of a job by its overrides.  Raises PipelineError."""


class Configs:
    """The configs of a sweep's jobs; made while Hydra is at work, which has composed `common`, what they have in common."""

    def __init__(self, common: object) -> None:
        loader, whole = GlobalHydra.instance().config_loader(), cast(DictConfig, HydraConfig.instance().cfg)
        self._load: Callable[[list[str]], DictConfig] = lambda texts: loader.load_sweep_config(whole, texts)
        self._composed: dict[tuple[str, ...], Plain | None] = {}
        self._common = cast(DictConfig, OmegaConf.create(OmegaConf.to_container(cast(DictConfig, common), resolve=False)))
        self._common_texts = _others(cast("list[str]", OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)))

    def of(self, job: Sequence[str]) -> Composed:
        """The config of a job by its overrides.  Raises PipelineError."""
        try:
            config, sweep = taken_out(self._plain(job))
            return Composed(config=config, asked=shown(job), sweep=sweep)
        except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
            raise explained(error) from None

    def check(self, jobs: Sequence[Sequence[str]]) -> SweepSettings:
        """Whether every option that a job chooses is one, by one job of each -> what the sweep is told.  Raises PipelineError."""
        met: set[str] = set()
        told = SweepSettings()
        for job in jobs:
            options = {text for text in job if plain_value(text) is None}
            if not options <= met or not met:
                met |= options
                try:
                    _, told = taken_out(self._plain(job))
                except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
                    raise explained(error) from None
        return told

    def _plain(self, job: Sequence[str]) -> Plain:
        values = [plain_value(text) for text in job]
        shared = tuple(text if value is None else value[0] for text, value in zip(job, values, strict=True))
        given = [value for value in values if value is not None]
        if shared not in self._composed:
            config = self._common if self._is_common(job, given) else self._compose(job)
            self._composed[shared] = resolved(config) if _is_plain(config) and not _hidden(job) else None
            if self._composed[shared] is None or config is not self._common:
                return resolved(config if config is not self._common else self._compose(job))
        base = self._composed[shared]
        put = None if base is None else _put(base, given)
        return resolved(self._compose(job)) if put is None else put

    def _is_common(self, job: Sequence[str], given: Sequence[tuple[str, Any]]) -> bool:
        """Whether a job differs from what all have in common in plain values alone, each in place of another."""
        return _others(job) == self._common_texts and all(OmegaConf.select(self._common, path) is not None for path, _ in given)

    def _compose(self, job: Sequence[str]) -> DictConfig:
        return _without_hydra(self._load(list(job)))


def _without_hydra(config: DictConfig) -> DictConfig:
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    plain.pop("hydra")
    return OmegaConf.create(plain)


def _others(texts: Sequence[str]) -> list[str]:
    """The overrides that put no plain value."""
    return [text for text in texts if plain_value(text) is None]


def _is_plain(config: DictConfig) -> bool:
    """Whether no value of the config is made from another."""
    return "${" not in OmegaConf.to_yaml(config, resolve=False)


def _hidden(job: Sequence[str]) -> bool:
    """Whether an override that is no plain value touches a path at or above or below one that is."""
    paths = [value[0] for text in job if (value := plain_value(text)) is not None]
    others = [parsed(text).key_or_group for text in job if plain_value(text) is None and "." in text.partition("=")[0]]
    return any(f"{a}.".startswith(f"{b}.") or f"{b}.".startswith(f"{a}.") for a in paths for b in others)


def _put(base: Mapping[str, Any], values: Sequence[tuple[str, Any]]) -> Plain | None:
    """`base` with the values at their paths, what lies beside these shared with it; None where a path leads through what is no mapping."""
    config = dict(base)
    for path, value in values:
        *above, name = path.split(".")
        place: Any = config
        for key in above:
            place = _own(place, key)
        if not isinstance(place, dict) or isinstance(place.get(name), dict):
            return None
        place[name] = deepcopy(value)
    return config


def _own(place: Any, key: str) -> Any:
    """A copy, put in its place, of what lies at `key` of a mapping or at that number of a list; None where no mapping and no list does."""
    at: Any = int(key) if isinstance(place, list) and key.isdigit() and int(key) < len(place) else key
    inner = place[at] if isinstance(place, list) and isinstance(at, int) else place.get(at) if isinstance(place, dict) else None
    if not isinstance(inner, dict | list):
        return None
    place[at] = inner.copy()
    return place[at]
