"""task=check: is the configured network ready to be trained?  With extension=MODULE: are its kinds?  Trains no run and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from pipeline.checks.contract import check_extension
from pipeline.checks.finding import Finding
from pipeline.checks.material import material
from pipeline.checks.run import check
from pipeline.config.experiment import Experiment
from pipeline.doctor import told
from pipeline.errors import CheckFailed
from pipeline.extend.load import shut, use
from pipeline.screen.console import console_for, say
from pipeline.tasks import examined
from pipeline.tasks.context import RunContext


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> tuple[Finding, ...]:
    """Prints the table of findings.  Raises CheckFailed, exit code 1, when one failed; PipelineError."""
    console = console_for()
    lines: list[str] = []
    if experiment.extension is not None:
        with shut():  # the command line has imported it
            (name,) = use([experiment.extension], at="extension")
        findings = check_extension(name)
    else:
        rows = material(experiment)
        name, findings = rows.name, check(rows.config, rows)
        if rows.config.training.doctor is not False:
            lines = told.lines(examined.before_training(rows.config, rows), more="training.doctor=true says the rest after a training")
    console.print(table(name, findings))
    for line in lines:
        say(console, line)
    failed = [finding.check for finding in findings if not finding.passed]
    if failed:
        raise CheckFailed(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}")
    say(console, f"all {len(findings)} checks passed")
    return findings


def table(title: str, findings: Sequence[Finding]) -> Table:
    """A row a finding; what to do where one failed."""
    failed = any(not finding.passed for finding in findings)
    result = Table(title=escape(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("check", "", "measured", "expected", *(("what to do",) if failed else ())):
        result.add_column(heading, overflow="fold")
    for finding in findings:
        advice = (("" if finding.passed else finding.advice),) if failed else ()
        cells = (finding.check, "pass" if finding.passed else "FAIL", finding.measured, finding.expected, *advice)
        result.add_row(*map(escape, cells), style=None if finding.passed else "bold red")
    return result
