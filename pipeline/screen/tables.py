"""Tables of results."""

# C classes
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from pipeline.screen.wording import MACRO, number


def fits(console: Console, table: Table) -> bool:
    """Whether no cell of a table is folded at the width of the console."""
    return Measurement.get(console, console.options.update(width=10_000), table).maximum <= console.width


def show_rows(
    console: Console,
    title: str,
    heading: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    names: Mapping[str, str],
    droppable: Sequence[str],
    bold: int | None,
) -> list[str]:
    """Prints a table -> the columns that the console has no room for.

    First its headings take several lines, then columns of `droppable` are left out, the last of them first; where the others still have no
    room each row is a block of all its cells.  No number is ever broken.

    names  headings that are written in another way
    bold   the number of a row that stands out
    """
    left: list[str] = []
    for dropped in range(len(droppable) + 1):
        left = list(droppable[len(droppable) - dropped :])
        places = [place for place, name in enumerate(heading) if name not in left]
        for broken in (False, True) if not dropped else (True,):
            words = [names.get(heading[place], heading[place]) for place in places]
            table = Table(box=SIMPLE_HEAD, pad_edge=False, title=escape(title), title_justify="left", title_style="bold")
            for word in words:
                table.add_column(escape(re.sub(r"(?<=[/_])|(?<= )", "\n", word) if broken else word))
            for number_of, row in enumerate(rows):
                table.add_row(*(escape(row[place]) for place in places), style="bold" if number_of == bold else None)
            if fits(console, table):
                console.print(table)
                return sorted(left, key=list(heading).index)
    _show_blocks(console, title, [names.get(name, name) for name in heading], rows, bold=bold)
    return []


def _show_blocks(console: Console, title: str, heading: Sequence[str], rows: Sequence[Sequence[str]], *, bold: int | None) -> None:
    """A line for each cell, or more: a name stands above its cell where they have no room side by side."""
    wide = max([len(name) for name in heading if len(name) <= console.width // 2], default=0) + 3
    console.print(f"[bold]{escape(title)}[/bold]", soft_wrap=True)
    for place, row in enumerate(rows):
        style = "bold" if place == bold else None
        for name, cell in zip(heading, row, strict=True):
            if not cell:
                continue
            beside = f"{name:{wide}}{cell}"
            under = [name, *(f"  {line}" for line in folded(cell, console.width - 2))]
            for line in [beside] if cell_len(beside) <= console.width and len(name) < wide else under:
                console.print(escape(line), style=style, soft_wrap=True)
        console.print("[dim]────[/dim]" if place + 1 < len(rows) else "")


def folded(text: str, width: int) -> list[str]:
    """A cell in lines of at most `width`, broken after commas and between words, not within `1.2 ± 0.3 %`; a longer word is as it is."""
    kept = re.sub(r" (?=%)| (?=±)|(?<=±) ", "\u00a0", text)
    lines = [""]
    for piece in re.split(r"(?<=[, ])", kept):
        if lines[-1] and cell_len((lines[-1] + piece).rstrip(" ")) > width:
            lines.append("")
        lines[-1] += piece
    return [line.replace("\u00a0", " ").rstrip(" ") for line in lines]


def results_table(title: str, metrics: Mapping[str, float], parts: Sequence[str] = ("train", "validation", "test")) -> Table:
    """One row a quantity, one column a part of the data; parts of which nothing is known are left out."""
    known = [part for part in parts if any(name.endswith(f"/{part}") for name in metrics)]
    table = Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for part in known:
        table.add_column(part, justify="right")
    for quantity in dict.fromkeys(name.split("/")[0] for name in metrics if name.split("/")[-1] in known):
        cells = [f"{quantity}/{part}" for part in known]
        table.add_row(
            f"{quantity} (macro)" if quantity in MACRO else quantity,
            *(number(name, metrics[name]) if name in metrics else "" for name in cells),
        )
    return table


def classes_table(names: Sequence[str], rows: Sequence[Mapping[str, float]], *, part: str, labels: bool = False) -> Table:
    """Precision, recall, F1, ROC AUC against the rest, and rows of each class, or of each label."""
    title = f"{'labels' if labels else 'classes'} of the {part} part"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("label" if labels else "class")
    for heading in ("precision", "recall", "f1", "roc_auc", "rows"):
        table.add_column(heading, justify="right")
    for name, row in zip(names, rows, strict=True):
        cells = [number(key, row[key]) if key in row else "" for key in ("precision", "recall", "f1", "roc_auc")]
        table.add_row(escape(name), *cells, str(int(row["rows"])))
    return table


def confusion_table(names: Sequence[str], counts: Sequence[Sequence[int]], *, part: str) -> Table:
    """Row = true class, column = predicted class; empty where there is none."""
    title = f"confusion of the {part} part (row: true, column: predicted)"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for name in names:
        table.add_column(escape(name), justify="right")
    for index, (name, row) in enumerate(zip(names, counts, strict=True)):
        cells = [f"[bold]{count}[/bold]" if index == column else str(count) if count else "" for column, count in enumerate(row)]
        table.add_row(escape(name), *cells)
    return table
