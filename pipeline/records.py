"""Frozen records read from plain config data, strictly, and written back to it.

A record is a frozen, keyword-only dataclass that stands beside the code it configures. Its fields carry their rule:

    @record
    class Momentum:
        learning_rate: float = setting(0.01, above=0)
        convention: Literal["classic", "ema"] = setting("classic")

`read(Momentum, {"learning_rate": 0.1}, at="optimizer")` checks names, types and rules and names the path of what it rejects.
A `Family` is a table from `kind` to record, and to the rule that says what the record stands for; `read_kind` picks by the `kind` key.
`plain(record)` is the way back: `read(type(r), plain(r), at="") == r`.
"""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields, is_dataclass
from typing import Any, Generic, Literal, NoReturn, TypeVar, Union, cast, dataclass_transform, get_args, get_origin

from pipeline.errors import ConfigError, nearest

MOST = 2**63 - 1  # of a whole number, as arrays hold it

T = TypeVar("T")
Rule = TypeVar("Rule")


@dataclass(frozen=True)
class PerRecord(Generic[Rule]):
    """The rule of a record whose fields decide it, as those of a formula do."""

    make: Callable[[Any], Rule]


@dataclass(frozen=True, eq=False, repr=False)
class Family(Mapping[str, type[T]], Generic[T, Rule]):
    """The records that one config key may hold: a mapping from kind to record, with the rule of each.

    name  what one of them is called
    rows  kind -> (record, rule); None for a record that asks for nothing: no activation, no normalization.  A row may be added
          from outside: a layer of one's own
    """

    name: str
    rows: dict[str, tuple[type[T], Rule | PerRecord[Rule] | None]]

    def __getitem__(self, kind: str) -> type[T]:
        return self.rows[kind][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def kind_of(self, record: T) -> str:
        """What a config calls `record`."""
        return next(kind for kind, (record_type, _) in self.rows.items() if record_type is type(record))

    def rule(self, record: T) -> Rule:
        """What `record` stands for."""
        rule = self.rows[self.kind_of(record)][1]
        assert rule is not None, f"{self.name} {self.kind_of(record)} has no rule"
        return rule.make(record) if isinstance(rule, PerRecord) else rule


def setting(
    default: Any = MISSING,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
    kinds: Family[Any, Any] | None = None,
    names: Collection[str] | None = None,
) -> Any:
    """A field with its rule: bounds for a number (`above` and `below` exclusive), the family of its record, or the words it may be.

    The bounds, and the family, hold for each entry of a list or a mapping.
    """
    metadata = {"above": above, "least": least, "below": below, "most": most, "kinds": kinds, "names": names}
    if isinstance(default, (list, dict)):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass_transform(frozen_default=True, kw_only_default=True)  # `setting` reads as a default: its own is not a keyword
def record(cls: type[T]) -> type[T]:
    """A frozen, keyword-only dataclass.

    Its methods are not made of text, as `dataclass(frozen=True)` makes them, but for its __init__, and that when it is first called: there
    are hundreds of records, and a command uses few of them.
    """
    made: Any = dataclass(init=False, repr=False, eq=False, kw_only=True)(cls)
    compared = tuple(f.name for f in fields(made) if f.compare)
    shown = tuple(f.name for f in fields(made) if f.repr)

    def first(self: Any, **given: Any) -> None:
        made.__init__ = _initializer(made)
        made.__init__(self, **given)

    def values(self: Any) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in compared])

    methods = {
        "__init__": first,
        "__repr__": lambda self: f"{type(self).__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in shown])})",
        "__eq__": lambda self, other: values(self) == values(other) if type(self) is type(other) else NotImplemented,
        "__hash__": lambda self: hash(values(self)),
        "__setattr__": _frozen,
        "__delattr__": _frozen,
    }
    for name, method in methods.items():
        if name not in cls.__dict__ or (name == "__hash__" and cls.__dict__[name] is None):
            setattr(made, name, method)
    return cast("type[T]", made)


def _initializer(made: type) -> Callable[..., None]:
    """The __init__ of a record: a keyword for each field."""
    known = fields(made)
    given: dict[str, Any] = {"_missing": MISSING}
    words, lines = [], []
    for f in known:
        if f.default_factory is not MISSING:
            given[f"_make_{f.name}"] = f.default_factory
            words.append(f"{f.name}=_missing")
            lines.append(f" _own[{f.name!r}] = _make_{f.name}() if {f.name} is _missing else {f.name}")
            continue
        if f.default is not MISSING:
            given[f"_default_{f.name}"] = f.default
        words.append(f.name if f.default is MISSING else f"{f.name}=_default_{f.name}")
        lines.append(f" _own[{f.name!r}] = {f.name}")
    last = [" self.__post_init__()"] if hasattr(made, "__post_init__") else []
    head = f"def __init__(self{', *, ' if words else ''}{', '.join(words)}):"
    exec("\n".join([head, " _own = self.__dict__", *lines, *last]), given)
    return cast("Callable[..., None]", given["__init__"])


def _frozen(self: object, name: str, *value: object) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}" if value else f"cannot delete field {name!r}")


def read(record_type: type[T], data: object, *, at: str) -> T:
    """Reads `data` (a plain mapping) as `record_type`; `at` is its config path.  Raises ConfigError."""
    if not isinstance(data, Mapping):
        hint = f"give {', '.join(names(record_type))}" if at else "give what pipeline.compose([...]) returns, or nested dicts"
        raise ConfigError(at=at or "config", got=data, rule="must be a mapping", hint=hint)
    owner: type = record_type
    known, types_of, as_it_is = _fields(owner), _types(owner), _as_it_is(owner)
    for key in data:
        if key not in known:
            raise ConfigError(at=_join(at, str(key)), got=data[key], rule="unknown key", hint=_instead(str(key), known))
    values: dict[str, Any] = {}
    for name, f in known.items():
        if name in data:
            value = data[name]
            if as_it_is[name](value):
                values[name] = value.copy() if type(value) is dict else value
            else:
                values[name] = _value(value, types_of[name], f.metadata, at=_join(at, name))
        elif f.default is MISSING and f.default_factory is MISSING:
            raise ConfigError(at=_join(at, name), got="(missing)", rule="has no value", hint=f"give {_join(at, name)}=...")
    return record_type(**values)


def read_kind(table: Family[T, Any], data: object, *, at: str) -> T:
    """Reads the record that `data["kind"]` names in `table`; a bare word is a kind with its defaults.  Raises ConfigError."""
    if isinstance(data, str):
        if data not in table:
            raise ConfigError(at=at, got=data, rule="unknown kind", hint=_nearest_kind(data, table))
        data = {"kind": data}
    if not isinstance(data, Mapping):
        raise ConfigError(at=at, got=data, rule="must be a mapping with a kind", hint=f"the kinds are {', '.join(sorted(table))}")
    if "kind" not in data:
        raise ConfigError(at=_join(at, "kind"), got="(missing)", rule="has no value", hint=f"use one of {', '.join(sorted(table))}")
    kind = data["kind"]
    if not isinstance(kind, str) or kind not in table:
        raise ConfigError(at=_join(at, "kind"), got=kind, rule="unknown kind", hint=_nearest_kind(str(kind), table))
    rest = {key: value for key, value in data.items() if key != "kind"}
    _refuse_keys_of_others(table, kind, rest, at=at)
    return read(table[kind], rest, at=at)


def _nearest_kind(kind: str, table: Family[T, Any]) -> str:
    return nearest(kind, table) if table else f"no {table.name} is loaded: give extensions=[MODULE] of one that declares it"


def plain(value: object) -> Any:
    """`value` (a record, or what a record holds) as dicts, lists, words and numbers; a record of a family gets its `kind` first."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain_field(getattr(value, name), f.metadata.get("kinds")) for name, f in _fields(type(value)).items()}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(entry) for entry in value]
    return value


def _plain_field(value: object, kinds: Family[Any, Any] | None) -> Any:
    if kinds is None or value is None:
        return plain(value)
    if isinstance(value, tuple):
        return [_plain_field(entry, kinds) for entry in value]
    if isinstance(value, Mapping):
        return {key: _plain_field(entry, kinds) for key, entry in value.items()}
    return {"kind": kinds.kind_of(value), **plain(value)}


def _refuse_keys_of_others(table: Mapping[str, type], kind: str, rest: Mapping[Any, object], *, at: str) -> None:
    """Says which other kinds have a key that this one lacks: `optimizer.beta1` with sgd is no typing mistake."""
    own = names(table[kind])
    for key, got in rest.items():
        others = [name for name, other in table.items() if key in names(other)]
        if key not in own and others:
            raise ConfigError(at=_join(at, str(key)), got=got, rule=f"{kind} has no such key", hint=f"it belongs to {', '.join(others)}")


def _instead(key: str, known: Mapping[str, object]) -> str:
    return nearest(key, known) if known else "there are no keys here"


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


@functools.cache  # a journal has thousands of lines
def _types(record_type: type) -> dict[str, Any]:
    return typing.get_type_hints(record_type)


@functools.cache
def _as_it_is(record_type: type) -> dict[str, Callable[[Any], bool]]:
    """Field by field, whether `_value` would give back the very value: the quick way for the thousands of lines of a journal."""
    types_of = _types(record_type)
    ruled = {name: any(rule is not None for rule in f.metadata.values()) for name, f in _fields(record_type).items()}
    return {name: _never if ruled[name] else _same(types_of[name]) for name in types_of if name in ruled}


def _same(kind: Any) -> Callable[[Any], bool]:
    """Whether a value is one of `kind` already, with nothing to turn or refuse; False where only `_value` knows."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is float:
        return lambda value: type(value) is float and value - value == 0  # finite
    if kind is int:
        return lambda value: type(value) is int and -MOST <= value <= MOST
    if kind in (str, bool):
        return lambda value: type(value) is kind
    if kind is Any:
        return lambda value: type(value) is not float or value - value == 0
    if origin is Literal:
        return lambda value: type(value) is str and value in arguments
    if origin is Mapping:
        same = _same(arguments[1])
        return lambda value: type(value) is dict and all(type(key) is str and same(entry) for key, entry in value.items())
    if origin in (Union, types.UnionType):
        options = [_same(option) for option in arguments if option is not type(None)]
        first, takes_words, takes_none = options[0], str in arguments, type(None) in arguments
        return lambda value: first(value) or (takes_words and type(value) is str) or (takes_none and value is None)
    return _never


def _never(value: object) -> bool:
    return False


@functools.cache
def _fields(record_type: type) -> dict[str, Field[Any]]:
    """By name: a record's own first, as it declares them, then those that it inherits."""
    own = [name for owner in record_type.__mro__ for name in inspect.get_annotations(owner)]
    return dict(sorted(((f.name, f) for f in fields(record_type)), key=lambda each: own.index(each[0])))


def names(record_type: type) -> tuple[str, ...]:
    """The fields of a record: its own, then those that it inherits."""
    return tuple(_fields(record_type))


def _value(value: object, kind: Any, rule: Mapping[str, Any], *, at: str) -> Any:
    """`value` as the annotated type `kind`, or ConfigError."""
    origin, arguments = get_origin(kind), get_args(kind)
    if rule.get("kinds") is not None and origin not in (tuple, Mapping):
        return None if value is None and type(None) in arguments else read_kind(rule["kinds"], value, at=at)
    if origin in (Union, types.UnionType):
        return _union(value, arguments, rule, at=at)
    if origin is Literal:
        if isinstance(value, bool) or value not in arguments:  # True == 1 would pass as a 1
            few = f"use one of {', '.join(map(str, arguments))}" if len(arguments) < 4 else nearest(str(value), map(str, arguments))
            raise ConfigError(at=at, got=value, rule="unknown choice", hint=few)
        return value
    if origin is tuple:
        if Ellipsis not in arguments and isinstance(value, list | tuple) and len(value) != len(arguments):
            raise ConfigError(at=at, got=value, rule=f"has {len(value)} values, not {len(arguments)}", hint=f"give {len(arguments)}")
        return _sequence(value, arguments[0], rule, at=at)
    if origin is Mapping:
        return _mapping(value, arguments[1], rule, at=at)
    if is_dataclass(kind):
        return read(cast(type, kind), value, at=at)
    made = _plain(value, kind, at=at)
    if rule.get("names") is not None and made not in rule["names"]:
        raise ConfigError(at=at, got=value, rule="unknown choice", hint=nearest(str(value), rule["names"]))
    return _number(made, value, rule, at=at)


def _union(value: object, arguments: tuple[Any, ...], rule: Mapping[str, Any], *, at: str) -> Any:
    """The first alternative that takes `value`; when only one has its type, that one's complaint."""
    if value is None and type(None) in arguments:
        return None
    options = [a for a in arguments if a is not type(None)]
    complaints = []
    for option in options:
        try:
            return _value(value, option, rule, at=at)
        except ConfigError as error:
            complaints.append((option, error))
    of_its_type = [error for option, error in complaints if _has_type(value, option)]
    if len(of_its_type) == 1 or len(options) == 1:
        raise (of_its_type or [error for _, error in complaints])[0]
    raise ConfigError(at=at, got=value, rule=f"must be {' or '.join(_describe(option) for option in options)}")


def _has_type(value: object, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, Sequence) and not isinstance(value, str)
    if get_origin(kind) is Literal:
        return False
    if is_dataclass(kind):
        return isinstance(value, Mapping)
    if kind in (int, float):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(kind, type) and isinstance(value, kind)


def _sequence(value: object, item: Any, rule: Mapping[str, Any], *, at: str) -> tuple[Any, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ConfigError(at=at, got=value, rule="must be a list", hint=f"write {at}=[...]")
    return tuple(_value(entry, item, rule, at=f"{at}[{index}]") for index, entry in enumerate(value))


def _mapping(value: object, item: Any, rule: Mapping[str, Any], *, at: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(at=at, got=value, rule="must be a mapping")
    return {str(key): _value(entry, item, rule, at=_join(at, str(key))) for key, entry in value.items()}


def _plain(value: object, kind: Any, *, at: str) -> Any:
    if kind is Any or kind is object:
        return value
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise ConfigError(at=at, got=value, rule="is larger than any number here", hint="use at most 1.7e308") from None
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if kind is str and isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # a name or a folder may consist of digits
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and abs(value) > MOST:
        raise ConfigError(at=at, got=value, rule="is larger than any whole number here", hint=f"use at most {MOST}")
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    other = "" if kind is int and isinstance(value, float) else f", not {_describe(type(value))}"
    raise ConfigError(at=at, got=value, rule=f"must be {_describe(kind)}{other}")


def _describe(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a word", bool: "true or false", dict: "a mapping", list: "a list"}
    if get_origin(kind) is Literal:
        return " or ".join(str(a) for a in get_args(kind))
    if get_origin(kind) is tuple:
        return "a list"
    if is_dataclass(kind):
        return "a mapping"
    return names.get(kind, "null" if kind is type(None) else str(getattr(kind, "__name__", kind)))


def _number(value: Any, got: object, rule: Mapping[str, Any], *, at: str) -> Any:
    """`value` if it keeps the bounds; a complaint shows it as it was given (`got`)."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(at=at, got=got, rule="must be a finite number")
    checks: tuple[tuple[str, Callable[[float], bool], str], ...] = (
        ("above", lambda bound: value > bound, "must be above"),
        ("least", lambda bound: value >= bound, "must be at least"),
        ("below", lambda bound: value < bound, "must be below"),
        ("most", lambda bound: value <= bound, "must be at most"),
    )
    for name, holds, words in checks:
        bound = rule.get(name)
        if bound is not None and not holds(bound):
            raise ConfigError(at=at, got=got, rule=f"{words} {bound}")
    return value
