"""The parameters of a search, each a config path with its space; written as `log(1e-4, 1)`, as a mapping with a kind, or as a list.

Parameters of one `zip` go together: the k-th value of each at a time.  One with a `when` exists where others have the values it names.
A value is text as it stands behind the = of an override, or a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from pipeline.errors import ConfigError, nearest
from pipeline.records import read_kind, record, setting
from pipeline.search.spaces import SPACES, Choice, Space, Value, check, count, said

Point = Mapping[str, Value]  # path -> value, of the parameters that exist in it
ASIDE = ("when", "zip")  # what stands beside the fields of a space
ALIASES = {
    "uniform": "linear",
    "loguniform": "log",
    "log_uniform": "log",
    "one_minus_log": "one_minus",
    "int": "integer",
    "randint": "integer",
    "log_int": "log_integer",
    "range": "integer",
    "stepped": "linear",
    "categorical": "choice",
}


@record
class Parameter:
    """A config path that is searched.

    space  its values
    zip    the name that parameters share whose values go together; empty for one by itself
    when   path -> the values of another parameter, as text, with which this one exists
    """

    path: str
    space: Space
    zip: str = ""
    when: Mapping[str, tuple[str, ...]] = setting({})

    def exists(self, point: Point) -> bool:
        """Whether it does beside the values of those before it."""
        return all(path in point and str(point[path]) in values for path, values in self.when.items())

    @property
    def said(self) -> str:
        """In one line: optimizer.momentum: one_minus(0.5, 0.99) when optimizer=momentum."""
        more = f" with {self.zip}" if self.zip else ""
        when = " and ".join(f"{path}={','.join(values)}" for path, values in self.when.items())
        return f"{self.path}: {said(self.space)}{more}{f' when {when}' if when else ''}"


def parameter(path: str, given: object, *, at: str) -> Parameter:
    """The parameter that `given` describes; `at` is where it is written.  Raises ConfigError."""
    if isinstance(given, str):
        given = _of_text(given, at)
    if isinstance(given, Sequence) and not isinstance(given, str):
        given = {"kind": "choice", "values": list(given)}
    if not isinstance(given, Mapping):
        hint = "write log(1e-4, 1), a list of values, or a mapping with a kind"
        raise ConfigError(at=at, got=given, rule="is no space of values", hint=hint)
    kind = given.get("kind")
    if kind is None and given:
        inner = next(iter(given))
        hint = f"a path within it is written {path}.{inner}, and a mapping of a space has a kind: {{kind: log, low: 1e-4, high: 1}}"
        raise ConfigError(at=at, got=given, rule="has no kind", hint=hint)
    if isinstance(kind, str) and kind in ALIASES:
        raise ConfigError(at=f"{at}.kind", got=kind, rule="unknown kind", hint=f"did you mean {ALIASES[kind]}?")
    space = read_kind(SPACES, {key: value for key, value in given.items() if key not in ASIDE}, at=at)
    check(space, at)
    return Parameter(path=path, space=space, zip=str(given.get("zip") or ""), when=_when(given.get("when"), at))


def checked(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """The parameters, those with a condition after what they depend on.  Raises ConfigError for what cannot be."""
    known = {each.path: each for each in parameters}
    for each in parameters:
        at = f"hydra.sweeper.space.{each.path}"
        for path, values in each.when.items():
            if path not in known or path == each.path:
                others = [name for name in known if name != each.path]
                hint = nearest(path, others) if others else "search that too"
                raise ConfigError(at=f"{at}.when", got=path, rule="is no other parameter of the search", hint=hint)
            _check_values(known[path], values, f"{at}.when.{path}")
    for name in dict.fromkeys(each.zip for each in parameters if each.zip):
        sizes = {each.path: count(each.space) for each in parameters if each.zip == name}
        if len(sizes) < 2 or None in sizes.values() or len(set(sizes.values())) > 1:
            told = ", ".join(f"{path} has {'a range' if size is None else size}" for path, size in sizes.items())
            rule = "values that go together are of two parameters or more, as many of each"
            raise ConfigError(at="zip", got=name, rule=f"{rule}: {told}")
    return _ordered(parameters)


def point_of(parameters: Sequence[Parameter], values: Mapping[str, Value]) -> Point:
    """Those of the values whose parameters exist."""
    point: dict[str, Value] = {}
    for each in parameters:
        if each.exists(point):
            point[each.path] = values[each.path]
    return point


def axes(parameters: Sequence[Parameter]) -> dict[str, list[Parameter]]:
    """What varies by itself: a parameter under its path, those that go together under their name."""
    found: dict[str, list[Parameter]] = {}
    for each in parameters:
        found.setdefault(f"zip {each.zip}" if each.zip else each.path, []).append(each)
    return found


def _ordered(parameters: Sequence[Parameter]) -> tuple[Parameter, ...]:
    made: list[Parameter] = []
    left = list(parameters)
    while left:
        ready = [each for each in left if all(path in [done.path for done in made] for path in each.when)]
        if not ready:
            at = f"hydra.sweeper.space.{left[0].path}.when"
            raise ConfigError(at=at, got=list(left[0].when), rule="the conditions close a circle", hint="leave one out")
        made += ready
        left = [each for each in left if each not in ready]
    return tuple(made)


def _check_values(other: Parameter, values: Sequence[str], at: str) -> None:
    if not isinstance(other.space, Choice):
        raise ConfigError(at=at, got=",".join(values), rule=f"{other.path} is no choice", hint="conditions name values of a choice")
    known = [_text(value) for value in other.space.values]
    for value in values:
        if value not in known:
            raise ConfigError(at=at, got=value, rule=f"no value of {other.path}", hint=nearest(value, known))


def _when(given: object, at: str) -> dict[str, tuple[str, ...]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(at=f"{at}.when", got=given, rule="must be a mapping of paths to values", hint="write when: {optimizer: momentum}")
    listed = {str(path): value if isinstance(value, list | tuple) else [value] for path, value in given.items()}
    return {path: tuple(map(_text, values)) for path, values in listed.items()}


def _of_text(text: str, at: str) -> dict[str, Any] | list[Any]:
    """`log(1e-4, 1)` as {kind: log, low: 0.0001, high: 1.0}; `sgd,adam` as a list."""
    found = re.fullmatch(r"\s*(\w+)\s*\((.*)\)\s*", text, re.DOTALL)
    if found is None:
        return [_read(word) for word in text.split(",")]
    name, words = found[1], [_read(word) for word in found[2].split(",") if word.strip()]
    if name not in SPACES:
        hint = f"did you mean {ALIASES[name]}({found[2]})?" if name in ALIASES else nearest(name, SPACES)
        raise ConfigError(at=at, got=text, rule="unknown kind of space", hint=hint)
    names = [field.name for field in fields(SPACES[name])]
    if names == ["values"]:
        return {"kind": name, "values": words}
    if len(words) > len(names) or len(words) < 2:
        raise ConfigError(at=at, got=text, rule=f"takes {', '.join(names)}", hint=f"write {name}({', '.join(names)})")
    return {"kind": name, **dict(zip(names, words, strict=False))}


def _read(word: str) -> Any:
    """A number where the word is one."""
    word = word.strip()
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return {"null": None, "true": True, "false": False}.get(word, word.strip("'\""))


def _text(value: object) -> str:
    return {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
