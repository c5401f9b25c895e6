"""What extensions have declared: each kind once, with where it comes from."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from pipeline.errors import ExtensionError
from pipeline.records import record

Family = Literal["layer", "data source", "preprocessing step", "metric", "callback"]
_loading: list[str] = []  # the extensions that are being imported now, the innermost last


@record
class Declared:
    """One kind of an extension.

    kind       what a config calls it
    extension  what is named to have it: the module that was loaded, or that it is written in
    module     that it is written in
    made       its record, or the function of a metric
    examples   settings that the contract test tries
    """

    family: Family
    kind: str
    extension: str
    module: str
    made: Any
    examples: tuple[Mapping[str, Any], ...] = ({},)

    @property
    def text(self) -> str:
        """The first line of its docstring."""
        return next((line.strip() for line in (self.made.__doc__ or "").splitlines() if line.strip()), "")


KINDS: dict[tuple[str, str], Declared] = {}


def declare(family: Family, kind: str, made: Any, built_in: Mapping[str, object], examples: Sequence[Mapping[str, Any]] = ({},)) -> None:
    """Takes note of a kind before its row is put into the table `built_in`.  Raises ExtensionError where the name is no name, or taken.

    A module that declares a kind again (a cell of a notebook, say) puts it in the place of its former one.
    """
    module = str(made.__module__)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", kind):
        raise ExtensionError(f"{module}: {family} {kind!r}: a name is small letters, digits and _, a letter first")
    if "kind" in getattr(made, "__dataclass_fields__", {}):
        raise ExtensionError(f"{module}: {family} {kind}: a config has the key kind for what it is; call the setting otherwise")
    if isinstance(made, type):
        typing.get_type_hints(made)  # a name that is not there is told now, with its line, not where a config is read
    before = KINDS.get((family, kind))
    if before is None and kind in built_in:
        raise ExtensionError(f"{module}: {family} {kind}: the product has one of this name; use another")
    if before is not None and before.module != module:
        raise ExtensionError(f"{module}: {family} {kind}: {before.module} has one of this name; use another, or load one of the two")
    extension = _loading[-1] if _loading else module
    KINDS[family, kind] = Declared(family=family, kind=kind, extension=extension, module=module, made=made, examples=tuple(examples))


@contextmanager
def loading(extension: str) -> Iterator[None]:
    """While entered, what is declared is of `extension`."""
    _loading.append(extension)
    try:
        yield
    finally:
        _loading.pop()


def provided(extension: str) -> list[Declared]:
    """The kinds of an extension, or of the modules below it."""
    return [kind for kind in KINDS.values() if kind.extension == extension or f"{kind.module}.".startswith(f"{extension}.")]
