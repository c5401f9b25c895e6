"""Tables of results."""

# C classes
from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from pipeline.screen.wording import MACRO, number


def fits(console: Console, table: Table) -> bool:
    """Whether no cell of a table is folded at the width of the console."""
    return Measurement.get(console, console.options.update(width=10_000), table).maximum <= console.width


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
