"""What a document is made of; each form writes all of them, or says what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline.records import record
from pipeline.text import leaving


@record
class Heading:
    """The title of a section; level 1 is the document's."""

    text: str
    level: int = 2


@record
class Text:
    """A paragraph."""

    text: str


@record
class Table:
    """Cells of text; row number `bold` stands out; `main` is what the CSV form holds."""

    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    bold: int | None = None
    main: bool = False


@record
class Chart:
    """A Vega-Lite specification, and what it shows in a sentence; wide: it takes a line of its own."""

    spec: Mapping[str, Any]
    caption: str
    wide: bool = False


@record
class Picture:
    """A PNG file, and what it shows in a sentence."""

    png: bytes
    caption: str


Part = Heading | Text | Table | Chart | Picture


def seen(part: Part) -> Part:
    """The part as its text may be seen: names in a run folder may come from anybody."""
    match part:
        case Heading() | Text():
            return replace(part, text=leaving(part.text))
        case Table():
            return replace(part, heading=[*map(leaving, part.heading)], rows=[[*map(leaving, row)] for row in part.rows])
    return part
