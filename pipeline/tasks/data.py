"""task=data: what is found in the columns of a table, or in a folder of images, and what becomes of each; trains and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pipeline.config.experiment import Experiment
from pipeline.data.images.report import image_report
from pipeline.data.settings import IMAGES, TABLES, Data, check_source
from pipeline.data.tables.decide import column_list
from pipeline.data.tables.report import Row, report
from pipeline.errors import ConfigError
from pipeline.screen.console import console_for, say
from pipeline.screen.tables import fits
from pipeline.screen.wording import counted
from pipeline.tasks.context import RunContext
from pipeline.text import leaving

HEADINGS = ("column", "kind", "why", "missing", "distinct", "range", "examples", "inputs")


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> list[Row]:
    """Prints the table of columns, or of classes, then what looks wrong -> the rows of the columns.  Raises PipelineError."""
    data = experiment.data
    if data.kind not in (*TABLES, IMAGES):
        raise ConfigError(at="data", got=data.kind, rule="task=data looks at a table", hint=f"give data={', '.join((*TABLES, IMAGES))}")
    check_source(data)
    if data.kind == IMAGES:
        return _images(data)
    rows, count, notes = report(data)
    console = console_for()
    title = f"{data.path or 'query'}: {counted(count, 'row')}, {counted(len(rows), 'column')}"
    table = columns_table(rows, title)
    if fits(console, table):
        console.print(table)
    else:
        say(console, f"{title}\n")
        for row in rows:
            console.print(block(row))
        say(console, "")
    alike: dict[str, list[str]] = {}
    for row in rows:
        alike.setdefault(row.wrong, []).append(row.name)
    for text, names in alike.items():
        if text:
            say(console, f"{column_list(names)}: {text}")
    for note in notes:
        say(console, f"note: {note}")
    if data.target is None:
        say(console, "data.target is not given; it names the column to predict")
    return rows


def _images(data: Data) -> list[Row]:
    """Prints the classes of a folder of images, then what looks wrong."""
    found, console = image_report(data), console_for()
    say(console, found.title)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("class", overflow="fold")
    for part in found.parts:
        table.add_column(part, justify="right")
    for name, counts in found.rows:
        table.add_row(escape(name), *map(str, counts))
    console.print(table)
    for text in (found.becomes, *found.wrong):
        say(console, text)
    for note in found.notes:
        say(console, f"note: {note}")
    return []


def block(row: Row) -> Group:
    """A column in a few lines, where the table is too wide: its name and kind, then what is in it."""
    head = Text.assemble((leaving(row.name), "bold"), f"  {row.kind}", f": {row.why}" if row.why else "")
    head.append(f" -> {row.inputs} input{'' if row.inputs == 1 else 's'}" if row.inputs >= 0 else "")
    inside = [f"{row.missing} missing"] if row.missing else []
    inside += [f"{row.distinct} distinct"] if row.distinct else []
    inside += [row.span] if row.span else []
    text = ", ".join(inside) + (f": {row.examples}" if row.examples else "")
    return Group(head, Padding(Text(leaving(text)), (0, 0, 0, 4))) if text else Group(head)


def columns_table(rows: Sequence[Row], title: str) -> Table:
    """One row a column."""
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("missing", "distinct", "inputs") else "left", overflow="fold")
    for row in rows:
        inputs = "" if row.inputs < 0 else str(row.inputs)
        cells = (row.name, row.kind, row.why, str(row.missing or ""), row.distinct, row.span, row.examples, inputs)
        table.add_row(*map(escape, cells))
    return table
