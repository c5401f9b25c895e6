"""task=compare runs=[a,b]: what differs between runs, on the terminal; output=FILE.md, .json or .html writes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Shown

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import ConfigError
from pipeline.report import contents, differences, text
from pipeline.report.html import page
from pipeline.report.parts import Heading, Part, Table, Text
from pipeline.report.read import Run, run_of
from pipeline.screen.console import console_for, say
from pipeline.screen.tables import fits
from pipeline.sweeps.journal import is_sweep
from pipeline.sweeps.resumed import of_one, sweep_at
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> list[Part]:
    """Prints what differs, or writes it to a new file -> the parts.  Raises PipelineError."""
    output = None if experiment.output is None else Path(experiment.output)
    if output is not None:
        if output.suffix not in FORMS:
            raise ConfigError(at="output", got=str(output), rule="its end says the form", hint=f"give one of {', '.join(FORMS)}")
        files.check_new(output)
    runs = [run_of(_folder(name, experiment, place)) for place, name in enumerate(experiment.runs)]
    parts = compared(runs)
    if output is None:
        show(console_for(), parts)
    else:
        files.write(output, FORMS[output.suffix](parts))
        say(console_for(), f"written to {files.shown(output)}")
    return parts


def _folder(name: str, experiment: Experiment, place: int) -> Path:
    folder = None if sweep_at(name) is not None else of_one(trained.find(name, experiment, at=f"runs[{place}]"))
    if folder is None or is_sweep(folder):
        hint = "give the folders of two of its runs, or task=report run=SWEEP"
        raise ConfigError(at=f"runs[{place}]", got=name, rule="is a sweep", hint=hint)
    return folder


def compared(runs: Sequence[Run]) -> list[Part]:
    """Everything that differs, the answer first."""
    labels = _short(runs)
    sections = {
        "settings": differences.settings(runs, labels),
        "data": differences.data(runs, labels),
        "code": differences.code(runs, labels),
        "bits": differences.bits(runs, labels),
        "curves": differences.curves(runs, labels),
    }
    title = Heading(text=f"{' and '.join(labels) if len(labels) == 2 else f'{len(labels)} runs'} compared", level=1)
    named = [[label, run.name, run.status, files.shown(run.folder)] for label, run in zip(labels, runs, strict=True)]
    made: list[Part] = [title, Text(text=_answer(sections)), Table(heading=["run", "name", "status", "folder"], rows=named)]
    return [*made, *contents.results(runs, labels), *(part for parts in sections.values() for part in parts)]


def _short(runs: Sequence[Run]) -> list[str]:
    """Their folders by their last names, whole where these are the same."""
    names = [run.folder.name for run in runs]
    return [name if names.count(name) == 1 else files.shown(run.folder) for name, run in zip(names, runs, strict=True)]


def _answer(sections: Mapping[str, Sequence[Part]]) -> str:
    """In one sentence what differs and what not."""
    other = [name for name, parts in sections.items() if any(isinstance(part, Table) for part in parts)]
    same = [name for name in sections if name not in other]
    said = [f"other: {', '.join(other)}"] if other else []
    said += [f"the same: {', '.join(same)}"] if same else []
    whole = "; ".join(said)
    return f"{whole[:1].upper()}{whole[1:]}."


def show(console: Console, parts: Sequence[Part]) -> None:
    """On a terminal: tables where they fit, else a block for each row."""
    for part in parts:
        if isinstance(part, Heading):
            console.print(f"\n[bold]{escape(part.text)}[/bold]")
        elif isinstance(part, Text):
            say(console, part.text)
        elif isinstance(part, Table):
            _show_table(console, part)


def _show_table(console: Console, part: Table) -> None:
    table = Shown(box=SIMPLE_HEAD, pad_edge=False)
    for heading in part.heading:
        table.add_column(escape(heading), overflow="fold")
    for row in part.rows:
        table.add_row(*map(escape, row))
    if fits(console, table):
        console.print(table)
        return
    for name, *cells in part.rows:
        say(console, name)
        for heading, cell in zip(part.heading[1:], cells, strict=True):
            if cell:
                say(console, f"  {heading}: {cell}")


def as_json(parts: Sequence[Part]) -> str:
    """Sections by title: rows as mappings from their headings, sentences as text."""
    made: dict[str, Any] = {}
    section = made
    for part in parts:
        if isinstance(part, Heading):
            title = {"title": part.text} if part.level == 1 else {}
            section = made.setdefault("compared" if title else part.text.lower(), title)
        elif isinstance(part, Text):
            section.setdefault("said", []).append(part.text)
        elif isinstance(part, Table):
            heading = (part.heading[0] or "what", *part.heading[1:])
            section.setdefault("rows", []).extend(dict(zip(heading, row, strict=True)) for row in part.rows)
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


FORMS: Mapping[str, Callable[[Sequence[Part]], str]] = {".md": text.markdown, ".json": as_json, ".html": page}
