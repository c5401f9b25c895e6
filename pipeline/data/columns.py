"""How the columns of a table become those of x, as a record that is kept as JSON with the model.

{"version": 1, "target": "price", "ignore": ["id"], "columns": [
    {"name": "size", "kind": "number", "fill": 80.0},
    {"name": "town", "kind": "category", "values": ["Basel", "Bern"], "missing": false}]}
"""

# D columns of x
from __future__ import annotations

from typing import Literal

from pipeline.records import record, setting


@record
class Quantity:
    """A column of numbers, of true and false as 1 and 0, or of dates as days since 1970-01-01: one column of x.

    fill  what a missing cell becomes: the median of the training rows
    """

    name: str = setting()
    kind: Literal["number", "bool", "date"] = setting()
    fill: float = setting()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its columns of x."""
        return (self.name,)


@record
class Category:
    """A column of words: a column of x for each of `values`, the words of the training rows, and one for missing cells if these have any.

    A word that the training rows do not have is all zeros.
    """

    name: str = setting()
    kind: Literal["category"] = setting()
    values: tuple[str, ...] = setting()
    missing: bool = setting()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its columns of x: `town=Basel`, `town=(missing)`."""
        return tuple(f"{self.name}={value}" for value in (*self.values, *(("(missing)",) if self.missing else ())))


@record
class Encoder:
    """What is learned of a table from its training rows: its columns but the target and those that are ignored."""

    version: Literal[1] = setting(1)
    target: str = setting()
    ignore: tuple[str, ...] = setting()
    columns: tuple[Quantity | Category, ...] = setting()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the D columns of x."""
        return tuple(name for column in self.columns for name in column.features)
