"""task=report run=R: a run or a sweep as one document; report.runs=[a,b] several runs side by side.  format=html, markdown, latex, csv."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import ConfigError, nearest
from pipeline.report import contents, text
from pipeline.report.html import page
from pipeline.report.parts import Part, seen
from pipeline.report.read import run_of, sweep_of
from pipeline.screen.console import console_for, say
from pipeline.sweeps.journal import is_sweep
from pipeline.sweeps.resumed import of_one, sweep_at
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext

FORMS: dict[str, tuple[str, Callable[[Sequence[Part]], str]]] = {  # format -> the end of its file, what writes it
    "html": (".html", page),
    "markdown": (".md", text.markdown),
    "latex": (".tex", text.latex),
    "csv": (".csv", text.comma_separated),
}


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> Path:
    """Writes the document -> its file.  Raises PipelineError; an existing file is never overwritten."""
    name = experiment.format or "html"
    if name not in FORMS:
        raise ConfigError(at="format", got=name, rule="unknown format", hint=nearest(name, FORMS))
    suffix, form = FORMS[name]
    asked = [] if experiment.report is None else list(experiment.report.runs)
    if experiment.run is not None and asked:
        raise ConfigError(at="report.runs", got=f"[{','.join(asked)}]", rule="run is given too", hint="give one of them")
    if experiment.run is None and len(asked) < 2:
        hint = "give run=FOLDER of a run or a sweep, or report.runs=[a,b]"
        raise ConfigError(at="run", got=None, rule="task=report works on a run, a sweep or several runs", hint=hint)
    folder = None if experiment.run is None else _folder(experiment.run, experiment)
    output = Path(experiment.output) if experiment.output is not None else (folder or Path()) / f"report{suffix}"
    if output.suffix != suffix:
        raise ConfigError(at="output", got=str(output), rule=f"format={name} ends in {suffix}", hint="rename it")
    files.check_new(output)
    files.write_new(output, form([*map(seen, _told(folder, [_folder(each, experiment) for each in asked]))]))
    say(console_for(), f"written to {files.shown(output)}")
    return output


def _folder(name: str, experiment: Experiment) -> Path:
    """The folder of a run, or of a sweep, which the run that sums it up stands for."""
    return sweep_at(name) or of_one(trained.find(name, experiment))


def _told(folder: Path | None, several: Sequence[Path]) -> list[Part]:
    if folder is None:
        return contents.of_several([run_of(each) for each in several])
    return contents.of_sweep(sweep_of(folder)) if is_sweep(folder) else contents.of_run(run_of(folder))
