"""What is told of a run, a sweep or several runs, as parts in their order."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pipeline import files
from pipeline.report import answers, charts, differences
from pipeline.report.parts import Heading, Part, Table, Text
from pipeline.report.read import Run, Swept
from pipeline.screen.wording import counted, number
from pipeline.sweeps import comparison
from pipeline.sweeps.importance import importance
from pipeline.tasks.page import defaults
from pipeline.tracking.health import Health
from pipeline.tracking.journal import read_journal
from pipeline.tracking.tested import read

PARTS = ("train", "validation", "test")
ASIDE = ("time", "learning_rate", "best")
MOST_NAMED = 5  # arms that are as good as the best
CARD = {  # what a model card says of a run -> its tag
    "network": "pipeline.digest",
    "parameters": "pipeline.parameters",
    "data": "pipeline.data",
    "data fingerprint": "pipeline.data_fingerprint",
    "division of the rows": "pipeline.data_split",
    "commit": "mlflow.source.git.commit",
    "command": "pipeline.command",
    "seed": "pipeline.seed",
    "extensions": "pipeline.extensions",
}


def of_run(run: Run) -> list[Part]:
    """Question, result, curves, settings, data, model card."""
    made: list[Part] = [
        Heading(text=run.name, level=1),
        *_question(run.about),
        Text(text=f"{run.status}: {run.message or 'no end is recorded'}."),
    ]
    made += [Heading(text="Result"), _results(run)]
    made += _answers(run)
    made += [Heading(text="Training"), *charts.curves(run)]
    made += answers.inside([event for event in read_journal(run.folder) if isinstance(event, Health)], run.name)
    if isinstance(made[-1], Heading):
        made.append(Text(text="No curve: there is no metric of two epochs."))
    made += [Heading(text="What differs from the defaults"), _settings(run)]
    return [*made, *_data(run), *_card(run)]


def of_sweep(swept: Swept) -> list[Part]:
    """Question, means, trials, charts, failed trials, the best run."""
    table = swept.table
    done = sum(trial.status == "FINISHED" for trial in table.trials)
    about = next((run.about for run in swept.runs if run.about), "")
    made: list[Part] = [Heading(text=f"{_what(swept)} (sweep {swept.folder.name})", level=1), *_question(about)]
    made.append(Text(text=f"{done} of {counted(len(table.trials), 'trial')} finished, ranked by {table.metric}. Begun by: {swept.command}"))
    arms = comparison.compare(table)
    if arms:
        heading, *rows = comparison.table(table, arms)
        made += [
            Heading(text=f"Means over the {comparison.repeats(table)}, with their 95 % intervals"),
            Table(heading=heading, rows=rows, bold=0),
        ]
        tested = "Differences are of pairs of one seed, tested by Student's t, several by Holm's rule: p is for all pairs of arms together."
        made.append(Text(text=f"{tested} {_told_apart(arms)}".strip()))
    elif len(table.trials) > 1:
        made.append(Text(text="One seed of each: the order may be luck."))
    shares = importance(table)
    made += [Heading(text="Charts"), *charts.of_sweep(swept, shares)]
    bold = next((place for place, trial in enumerate(table.trials) if trial is table.best), None)
    made += [Heading(text="Trials"), Table(heading=table.header(), rows=table.rows(), bold=bold, main=True)]
    failed = [trial for trial in table.trials if trial.status not in ("FINISHED", "PRUNED")]
    if failed:
        rows = [[trial.job, trial.label, trial.status.lower(), trial.message] for trial in failed]
        made += [Heading(text="Trials that did not finish"), Table(heading=["job", "trial", "status", "why"], rows=rows)]
    best = next((run for run in swept.runs if table.best is not None and run.folder == table.best.folder), None)
    if best is not None:
        made += [
            Heading(text=f"The best trial: {best.name}"),
            _results(best),
            *_answers(best),
            *charts.curves(best),
            *_data(best),
            *_card(best),
        ]
    return made


def of_several(runs: Sequence[Run]) -> list[Part]:
    """Results side by side, what differs, curves of each metric."""
    labels = differences.labels_of(runs)
    made: list[Part] = [Heading(text="Runs compared", level=1), *results(runs, labels)]
    for differing in (differences.settings, differences.data, differences.code, differences.bits, differences.curves):
        made += differing(runs, labels)
    shared = [name for name in _names(runs) if sum(len(run.curves.get(name, {})) > 1 for run in runs) > 1]
    made += [chart for name in shared if (chart := charts.compared(runs, name, labels)) is not None]
    rows = [[what, *(run.tags.get(tag, "") for run in runs)] for what, tag in CARD.items()]
    return [*made, Heading(text="Model cards"), Table(heading=["", *labels], rows=rows)]


def results(runs: Sequence[Run], labels: Sequence[str]) -> list[Part]:
    """The metrics of several runs side by side."""
    rows = [[name, *(number(name, run.metrics[name]) if name in run.metrics else "" for run in runs)] for name in _names(runs)]
    return [Heading(text="Results"), Table(heading=["metric", *labels], rows=rows, main=True)]


def _names(runs: Sequence[Run]) -> list[str]:
    return sorted({name for run in runs for name in run.metrics if name.split("/")[0] not in ASIDE}, key=_order)


def _what(swept: Swept) -> str:
    """What was trained, over what: `digits over learning_rate, seed`."""
    base = next((run.name.partition(" ")[0] for run in swept.runs), "trials")
    over = ", ".join(name.rpartition(".")[2] for name in swept.table.params)
    return f"{base} over {over}" if over else base


def _answers(run: Run) -> list[Part]:
    """What it answered to the test part, as charts."""
    found = read(run.folder)
    confusion = charts.confusion(run)
    return [*([confusion] if confusion is not None else []), *(answers.of(found, run.name) if found is not None else [])]


def _told_apart(arms: Sequence[comparison.Arm]) -> str:
    """Which arms the seeds do not part from the best, and of which they say nothing; empty where there are none."""
    said = []
    for what, found in (
        (f"Not told apart from the best ({comparison.UNTOLD})", comparison.as_good(arms)),
        (f"{comparison.UNTESTED[0].upper()}{comparison.UNTESTED[1:]}", comparison.untested(arms)),
    ):
        named = ["; ".join(f"{name}={value}" for name, value in arm.params.items()) for arm in found]
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        said += [f"{what}: {' | '.join(named[:MOST_NAMED])}{more}."] if named else []
    return " ".join(said)


def _question(about: str) -> list[Part]:
    return [Text(text=about)] if about else []


def _order(name: str) -> tuple[int, str]:
    quantity, _, part = name.partition("/")
    return (0 if quantity == "loss" else 1, name) if part else (2, name)


def _results(run: Run) -> Table:
    """The values that hold in the end: a row for each quantity, a column for each part."""
    cells: dict[str, dict[str, str]] = {}
    for name, value in sorted(run.metrics.items(), key=lambda item: _order(item[0])):
        quantity, _, part = name.partition("/")
        if quantity not in ASIDE and part in PARTS:
            cells.setdefault(quantity, {})[part] = number(name, value)
    rows = [[quantity, *(parts.get(part, "") for part in PARTS)] for quantity, parts in cells.items()]
    return Table(heading=["", *PARTS], rows=rows, main=True)


def _settings(run: Run) -> Table | Text:
    """What of the settings of a run differs from the defaults; of values that `auto` chose, beside that word."""
    usual, asked = defaults(), {name: value for name, value in run.shown.items() if name in run.params or name == "architecture"}
    rows = [[name, value, usual.get(name, "")] for name, value in asked.items() if value not in ("null", usual.get(name))]
    return Table(heading=["setting", "value", "default"], rows=rows) if rows else Text(text="Nothing: these are the defaults.")


def _data(run: Run) -> list[Part]:
    if run.data is None:
        return [Heading(text="Data"), Text(text=f"{run.tags.get('pipeline.data', 'not recorded')}; its columns are not recorded.")]
    profile: Mapping[str, object] = {}
    with suppress(ValueError):
        profile = json.loads(run.data.profile or "{}")
    told = {name: f"{value:,}" if isinstance(value, int) else str(value) for name, value in profile.items()}
    rows = [["name", run.data.name], ["digest", run.data.digest], *map(list, told.items())]
    made: list[Part] = [Heading(text="Data"), Table(heading=["", ""], rows=rows)]
    columns: Sequence[Mapping[str, object]] = ()
    with suppress(ValueError):
        columns = json.loads(run.data.schema or "{}").get("mlflow_colspec", ())
    if columns:
        made.append(
            Table(heading=["column", "type"], rows=[[str(entry.get("name", "")), str(entry.get("type", ""))] for entry in columns[:100]])
        )
    notes = run.tags.get("pipeline.data_notes", "")
    return made + [Text(text=line) for line in notes.splitlines()]


def _thousands(text: str) -> str:
    return f"{int(text):,}" if text.isdecimal() else text


def _card(run: Run) -> list[Part]:
    rows = [[what, _thousands(run.tags[tag]) if what == "parameters" else run.tags[tag]] for what, tag in CARD.items() if tag in run.tags]
    rows += [
        ["folder", files.shown(run.folder)],
        [
            "go on, predict",
            shlex.join(["python", "-m", "pipeline", "task=predict", f"run={files.shown(run.folder)}", "data.path=FILE", "output=FILE"]),
        ],
    ]
    limits = (
        "Its figures hold for rows drawn as those of the test part were; nothing is known of others. Who may be harmed by a wrong "
        "prediction is for whoever uses it to say."
    )
    return [Heading(text="Model card"), Table(heading=["", ""], rows=rows), Text(text=limits)]
