"""task=demonstrate: a claim in numbers; prints what is expected and what comes out, trains no run and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.config.experiment import Experiment
from pipeline.config.overrides import CONF
from pipeline.demonstrations import Figure, figures
from pipeline.errors import ConfigError, DemonstrationError
from pipeline.screen.console import console_for, say
from pipeline.tasks.context import RunContext

TAKEN = ("task", "experiment", "demonstration", "seed", "backend", "tracking")


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> tuple[Figure, ...]:
    """Prints the figures of `experiment.demonstration` -> them.  Raises ConfigError, DemonstrationError when one is out of its bounds."""
    assert experiment.demonstration is not None, "the command line asks for demonstration=..."
    _refuse_others(context.overrides)
    found = tuple(figures(experiment))
    console = console_for()
    say(console, claim(experiment.demonstration))
    console.print(_table(experiment.demonstration, found))
    wrong = [figure for figure in found if not figure.holds]
    if wrong:
        first = f"{wrong[0].quantity} = {wrong[0].measured:.6g}, expected {wrong[0].expected} {wrong[0].allowed}"
        count = f"{len(wrong)} of {len(found)} figures are not as expected"
        raise DemonstrationError(f"demonstration = {experiment.demonstration}: {count}; {first}")
    return found


def claim(name: str) -> str:
    """What the demonstration `name` shows: the sentence in its experiment's file between the command and what is expected."""
    lines = (CONF / "experiment" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    comments = (line[2:] for line in lines if line.startswith("# "))
    return next(line for line in comments if not line.startswith(("@package", "python -m")))


def _refuse_others(overrides: Iterable[str]) -> None:
    """A demonstration builds its own networks: an override of another part would be silently ignored."""
    for text in overrides:
        path, _, value = text.lstrip("~").partition("=")
        if path.split(".")[0].split("@")[0] not in (*TAKEN, "hydra"):
            hint = f"it takes {', '.join(TAKEN[3:])}"
            raise ConfigError(at=path, got=value, rule="a demonstration builds its own networks", hint=hint)


def _table(name: str, found: Iterable[Figure]) -> Table:
    table = Table(title=escape(name), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("quantity")
    for heading in ("expected", "allowed", "measured"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for figure in found:
        verdict = "ok" if figure.holds else "[bold]off[/bold]"
        table.add_row(escape(figure.quantity), figure.expected, figure.allowed, f"{figure.measured:.6g}", verdict)
    return table
