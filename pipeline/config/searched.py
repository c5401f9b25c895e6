"""What a search is asked on the command line and in `hydra.sweeper`: its parameters, what all its trials have in common, its seeds.

    'optimizer.learning_rate=tag(log,interval(1e-4,1))'    or   'optimizer.learning_rate=log(1e-4,1)'
    'optimizer.beta1=tag(one_minus,interval(0.9,0.999))'   or   'optimizer.beta1=one_minus(0.9,0.999)'
    'architecture.layers.0.units=tag(log,int(interval(16,512)))', 'training.batch_size=range(16,65,16)', 'activation=relu,tanh'
    'a=tag(zip,choice(1,2))' 'b=tag(zip,choice(3,4))'      go together
    'optimizer.beta1={kind:one_minus,low:0.9,high:0.999,when:{optimizer:adam}}'     only where another has a value

What the command line gives takes the place of what a space in YAML, `hydra.sweeper.space`, says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from pipeline.config.overrides import every_fold, forgiving, parsed
from pipeline.config.words import as_written
from pipeline.errors import ConfigError, nearest
from pipeline.records import plain, record
from pipeline.search.models import check_library
from pipeline.search.parameters import ALIASES, Parameter, checked, parameter
from pipeline.search.points import corners
from pipeline.search.settings import AT, REPEATS, Search, read_search
from pipeline.search.spaces import SPACES, Choice, Value

_TEXT = re.compile(r"\s*(\w+)\s*\((.*)\)\s*", re.DOTALL)
_SCALES = {"linear": "linear", "log": "log", "one_minus": "one_minus", "int": "integer", "integer": "integer"}
_ELSEWHERE = {
    "zip": "tag the parameters that go together: a=tag(zip,choice(1,2)) b=tag(zip,choice(3,4))",
    "seeds": f"give {AT}.repeats=8, or seed=0,1,2,3",
    "repeats": f"give {AT}.repeats=8, or seed=0,1,2,3",
    "ablate": "give +sweep=ablate, and the values of each factor, that of the baseline first",
    "when": "a condition is a key: '{kind: log, low: 0.1, high: 1, when: {optimizer: adam}}'",
}


@record
class Asked:
    """A search as it is asked for.

    keys     path -> as Hydra is given it, with its +
    common   the overrides that all trials have
    repeats  the overrides of each run of a point: its seed
    fixed    parameters of the space that the command line gives one value
    """

    search: Search
    parameters: tuple[Parameter, ...]
    keys: Mapping[str, str]
    common: tuple[str, ...]
    repeats: tuple[tuple[str, ...], ...]
    fixed: tuple[str, ...] = ()

    def texts(self, point: Mapping[str, Value], repeat: int) -> tuple[str, ...]:
        """The overrides of run `repeat` of a point."""
        return (*self.common, *(f"{self.keys[path]}={value}" for path, value in point.items()), *self.repeats[repeat])

    def corners(self) -> list[tuple[str, ...]]:
        """Jobs in which every value of every choice is met once."""
        return [self.texts(point, 0) for point in corners(self.parameters)]

    def described(self) -> dict[str, Any]:
        """What makes two searches the same, for the journal."""
        settings = {name: value for name, value in plain(self.search).items() if name not in ("space", "params")}
        return {**settings, "space": [each.said for each in self.parameters], "runs": [" ".join(own) for own in self.repeats]}


def searched(given: Mapping[str, Any], overrides: Sequence[str], *, ours: bool = True, folds: object = None) -> Asked:
    """`hydra.sweeper` and the overrides of the command line as a search, while Hydra is at work.  Raises ConfigError.

    ours   paths are those of our configs, not of another application
    folds  how many the config says, see `every_fold`
    """
    search = read_search(given)
    check_library(search.method)
    spaces: dict[str, Parameter] = {}
    keys: dict[str, str] = {}
    for path, space in search.space.items():
        keys[path] = _key(path) if ours else path
        spaces[path] = parameter(path, _in_hydra(space), at=f"{AT}.space.{path}")
    common: dict[str, str] = {}
    fixed = []
    for override in _parsed([*(f"{key}={value}" for key, value in every_fold(search.params, overrides, folds).items()), *overrides]):
        path, found = as_written(override.key_or_group), _space(override)
        assert override.input_line is not None
        keys[path] = override.input_line.partition("=")[0]
        if found is not None:
            common.pop(path, None)
            spaces[path] = found
            continue
        if path in spaces:
            fixed.append(path)
            del spaces[path]
        common[path] = override.input_line
    known = {path: text.partition("=")[2] for path, text in common.items()}
    spaces = {path: made for path, each in spaces.items() if (made := _where(each, known)) is not None}
    keys.setdefault("seed", _key("seed") if ours else "seed")
    if search.repeats is not None and "seed" in common:
        raise ConfigError(at=f"{AT}.repeats", got=search.repeats, rule=f"seed = {known['seed']} is given too", hint="leave one out")
    repeats = _repeats(search, spaces, keys)
    if not any(path not in REPEATS for path in spaces) and not (search.method == "grid" and len(repeats) > 1):
        factors = "the values of factors, that of the baseline first: normalization=batch,none activation=relu,tanh"
        ranges = "a range or values: 'optimizer.learning_rate=log(1e-4,1)' activation=relu,tanh"
        hint = f"give {factors if search.method == 'ablate' else ranges}"
        raise ConfigError(at=f"{AT}.method", got=search.method, rule="there is nothing to search", hint=hint)
    parameters = checked([each for path, each in spaces.items() if path not in REPEATS])
    return Asked(
        search=search, parameters=parameters, keys=keys, common=tuple(common.values()), repeats=repeats, fixed=tuple(dict.fromkeys(fixed))
    )


def _where(each: Parameter, known: Mapping[str, str]) -> Parameter | None:
    """A parameter where the values that the command line fixes are `known`; None where they rule it out."""
    if any(known[path] not in values for path, values in each.when.items() if path in known):
        return None
    return replace(each, when={path: values for path, values in each.when.items() if path not in known})


def is_range(text: str) -> bool:
    """Whether the value of an override is a range, which only a search can walk."""
    value = text.partition("=")[2]
    found = _TEXT.fullmatch(value.strip("'\""))
    of_ours = found is not None and found[1] != "choice" and (found[1] in SPACES or (found[1] in ALIASES and value[:1] in "'\""))
    return of_ours or "interval(" in value


def goes_together(text: str) -> bool:
    """Whether an override has values that go together with those of others, which only a search does."""
    return "zip" in text and any(str(tag).startswith("zip") for tag in getattr(parsed(text).value(), "tags", ()))


def _parsed(texts: Sequence[str]) -> list[Override]:
    loader = GlobalHydra.instance().config_loader() if GlobalHydra.instance().is_initialized() else None  # knows what glob(*) stands for
    try:
        found = OverridesParser.create(config_loader=loader).parse_overrides(list(texts))
    except HydraException as error:
        raise ConfigError(at="overrides", got=" ".join(texts), rule=str(error).splitlines()[0]) from None
    return [override for override in found if not override.key_or_group.startswith("hydra")]


def _space(override: Override) -> Parameter | None:
    """The parameter that an override asks to be searched; None where it gives one value."""
    path, value = as_written(override.key_or_group), override.value()
    if not override.is_sweep_override():
        if isinstance(value, dict) and "when" in value:
            return parameter(path, _in_hydra(_unquoted(value)), at=path)
        text = value.text if isinstance(value, QuotedString) else value
        found = _TEXT.fullmatch(text) if isinstance(text, str) else None
        if found is not None and found[1] in _ELSEWHERE:
            raise ConfigError(at=path, got=text, rule=f"{found[1]} is not written here", hint=_ELSEWHERE[found[1]])
        if found is not None and (found[1] in SPACES or found[1] in ALIASES):
            return parameter(path, text, at=path)
        return None
    tags = sorted(getattr(value, "tags", ()))
    if isinstance(value, IntervalSweep):
        return parameter(path, _interval(value, tags, path), at=path)
    together = [tag for tag in tags if tag.startswith("zip")]
    if others := [tag for tag in tags if tag not in together]:
        hint = "scales are for interval(low,high); values that go together have the tag zip"
        raise ConfigError(at=path, got=f"tag({','.join(others)},...)", rule="is no tag of values", hint=hint)
    if isinstance(value, RangeSweep):
        ends = _steps(value)
        if ends is not None and not together:
            return parameter(path, ends, at=path)
    if isinstance(value, ChoiceSweep):
        value.shuffle = False  # in an order of its own each time, a search that goes on would be another
    texts = list(override.sweep_string_iterator())
    if not texts:
        got = override.input_line.partition("=")[2] if override.input_line else ""
        raise ConfigError(at=path, got=got, rule="matches nothing", hint="a glob finds the options of a group")
    return Parameter(path=path, space=Choice(values=tuple(map(str, texts))), zip=together[0] if together else "")


def _unquoted(value: Any) -> Any:
    """What Hydra's grammar reads, without its quotes."""
    if isinstance(value, dict):
        return {str(_unquoted(key)): _unquoted(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_unquoted(entry) for entry in value]
    return value.text if isinstance(value, QuotedString) else value


def _interval(value: IntervalSweep, tags: Sequence[str], path: str) -> dict[str, Any]:
    if unknown := [tag for tag in tags if tag not in _SCALES]:
        raise ConfigError(at=path, got=f"tag({unknown[0]},...)", rule="no scale", hint=nearest(unknown[0], _SCALES))
    kinds = {_SCALES[tag] for tag in tags}
    whole = "integer" in kinds or isinstance(value.start, int)
    scales = kinds - {"integer"} or {"linear"}
    if len(scales) > 1 or (whole and "one_minus" in scales):
        raise ConfigError(at=path, got=f"tag({','.join(tags)},...)", rule="one scale at a time", hint="leave one out")
    scale, low, high = scales.pop(), value.start, value.end
    kind = {"linear": "integer", "log": "log_integer"}[scale] if whole else scale
    if whole and (low != int(low or 0) or high != int(high or 0)):
        raise ConfigError(at=path, got=f"{low} to {high}", rule="whole numbers lie between whole numbers", hint="give whole ends")
    return {"kind": kind, "low": int(low or 0) if whole else low, "high": int(high or 0) if whole else high}


def _steps(value: RangeSweep) -> dict[str, Any] | None:
    """A range with its last value as the end; None where it has fewer than two values, or falls."""
    numbers = list(value.range())
    if len(numbers) < 2 or numbers[0] > numbers[-1]:
        return None
    if all(isinstance(number, int) for number in numbers):
        return {"kind": "integer", "low": numbers[0], "high": numbers[-1], "step": numbers[1] - numbers[0]}
    return {"kind": "linear", "low": float(numbers[0]), "high": float(f"{numbers[-1]:.12g}"), "step": float(value.step)}


def _repeats(search: Search, spaces: Mapping[str, Parameter], keys: dict[str, str]) -> tuple[tuple[str, ...], ...]:
    """The runs of a point: each of the seeds and folds that are given."""
    given = {path: spaces[path] for path in REPEATS if path in spaces}
    for path, each in given.items():
        if not isinstance(each.space, Choice) or each.zip or each.when:
            hint = f"give seed=0,1,2,3, or {AT}.repeats=4"
            raise ConfigError(
                at=path, got=each.said.partition(": ")[2], rule="each point is run with every seed, which is no range", hint=hint
            )
    if search.repeats is not None:
        if "seed" in given:
            listed = ",".join(map(str, cast(Choice, given["seed"].space).values))
            raise ConfigError(at=f"{AT}.repeats", got=search.repeats, rule=f"seed = {listed} is given too", hint="leave one out")
        given["seed"] = Parameter(path="seed", space=Choice(values=tuple(range(search.repeats))))
    runs: list[tuple[str, ...]] = [()]
    for path, each in given.items():
        values = dict.fromkeys(map(str, cast(Choice, each.space).values))  # a seed counts once
        runs = [(*run, f"{keys[path]}={value}") for run in runs for value in values]
    return tuple(runs)


def _key(path: str) -> str:
    """A path as Hydra is given it.  Raises ConfigError for one that begins with no known word."""
    return forgiving([f"{path}=x"], several=True)[0].partition("=")[0]


def _in_hydra(space: object) -> object:
    """A space whose values, where it lists any, are text as it stands behind the = of an override."""
    if isinstance(space, list | tuple):
        return [_text(value) for value in space]
    if isinstance(space, Mapping) and isinstance(space.get("values"), list | tuple):
        return {**space, "values": [_text(value) for value in space["values"]]}
    return space


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_text, value))}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, str) and not re.fullmatch(r"[\w./-]+", value):
        return json.dumps(value)
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
