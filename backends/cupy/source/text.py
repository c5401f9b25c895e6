"""C as it is written here: names, types, numbers, and lines that are indented."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

TYPES = {"float32": "float", "float64": "double", "int32": "int", "uint32": "word", "bool": "bool", "uint8": "byte"}
SHORT = re.compile(r"\W+")
# words with a line below that mean something else where values are named; a value of a single word is called v_...
RESERVED = re.compile(
    r"(static|const|dynamic|reinterpret)_cast|(value|word)_table|pair_(count|stride)|x_(form|orders)|weights_of_rows|total\d_\d"
)


class Names:
    """The C names of values: their own, as far as C allows, each once."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def __call__(self, value: str) -> str:
        """The C name of `value`."""
        if value not in self._names:
            plain = SHORT.sub("_", value).strip("_")
            plain = f"v_{plain}" if "_" not in plain or plain[0].isdigit() or RESERVED.fullmatch(plain) else plain
            name, number = plain, 1
            while name in self._taken:
                number += 1
                name = f"{plain}_{number}"
            self._names[value] = name
            self._taken.add(name)
        return self._names[value]


def literal(value: float, dtype: str) -> str:
    """A number as C writes it, rounded once to its type."""
    if dtype in ("float32", "float64"):
        if value != value:
            return "op::nan()"
        if value in (float("inf"), float("-inf")):
            return "op::infinity()" if value > 0 else "op::neg(op::infinity())"
        return f"number({float(value)!r})"
    return str(value).lower()


def indented(lines: Iterable[str], by: int = 1) -> list[str]:
    """The lines further to the right."""
    return [f"{'    ' * by}{line}" if line else line for line in lines]


def block(head: str, lines: Iterable[str]) -> list[str]:
    """head { lines }"""
    return [f"{head} {{", *indented(lines), "}"]


def constants(name: str, values: Mapping[str, int | bool]) -> list[str]:
    """A struct of sizes."""
    inside = ", ".join(f"{key} = {int(value)}" for key, value in values.items())
    return [f"struct {name} {{", f"    static constexpr int {inside};", "};"]
