"""A sweep from Python: a config and a space, the trials as a table."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
from collections.abc import Mapping, Sequence
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import files
from pipeline.config.given import given
from pipeline.config.plain_jobs import PlainConfigs
from pipeline.config.searched import searched
from pipeline.config.sweep_settings import SWEEP, taken_out
from pipeline.errors import ConfigError, RunError
from pipeline.records import record
from pipeline.screen.page import table
from pipeline.screen.wording import number
from pipeline.search.settings import AT
from pipeline.search.spaces import Choice
from pipeline.sweeps import comparison
from pipeline.sweeps.conclusions import NAMED
from pipeline.sweeps.journal import called, is_sweep
from pipeline.sweeps.journal import searched as searched_by
from pipeline.sweeps.objective import check as check_objectives
from pipeline.sweeps.run import WHOLE, SweepRun
from pipeline.sweeps.searching import Searching
from pipeline.sweeps.table import Sweep, Trial, summarize_sweep
from pipeline.tasks import trained
from pipeline.tasks.job import described
from pipeline.tracking.provenance import flatten
from pipeline.tracking.tracker import config_text

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.program.model import Model

MOST_ROWS = 20  # trials that a notebook shows


@record
class Swept:
    """What came of a sweep.

    folder   its own: to go on with it, or to show what was run
    summary  its trials and what they are ranked by
    """

    folder: Path
    summary: Sweep

    @property
    def trials(self) -> tuple[Trial, ...]:
        """In the order of their numbers: params, metrics, curve, status, folder."""
        return self.summary.trials

    @property
    def table(self) -> pd.DataFrame:
        """A row a trial, best first: what was varied, the metrics, status and folder; the index is the number of the job."""
        import pandas as pd  # noqa: PLC0415  # slow to load

        ranked = sorted(self.trials, key=self.summary.rank)
        rows = [
            {
                **{name: _read(trial.params.get(name, "")) for name in self.summary.params},
                **{name: trial.metrics.get(name, math.nan) for name in self.summary.metrics},
                "status": trial.status.lower(),
                "folder": str(trial.folder),
            }
            for trial in ranked
        ]
        return pd.DataFrame(rows, index=pd.Index([int(trial.job) for trial in ranked], name="job"))

    @property
    def arms(self) -> pd.DataFrame:
        """A row an arm, best mean first: means, halves of their 95 % intervals, the difference to the best, p by Holm's rule."""
        import pandas as pd  # noqa: PLC0415  # slow to load

        rows = []
        for arm in comparison.compare(self.summary):
            values = {f"{name} {what}": getattr(found, what) for name, found in arm.values.items() for what in ("mean", "half")}
            difference = math.nan if arm.difference is None else arm.difference.mean
            rows.append(
                {
                    **{name: _read(value) for name, value in arm.params.items()},
                    "runs": arm.done,
                    **values,
                    "minus best": difference,
                    "p": arm.p,
                }
            )
        return pd.DataFrame(rows)

    @property
    def best(self) -> Model:
        """The trained program of the best trial.  Raises RunError where none finished."""
        if self.summary.best is None:
            raise RunError(f"{files.shown(self.folder)}: no trial finished; .table has what became of each")
        return trained.load(self.summary.best.folder).program

    def __repr__(self) -> str:
        return f"<Swept {called(self.folder)}: {self._counted()}; best: {self._best()}>"

    def _repr_html_(self) -> str:
        told, best_first = self.summary, sorted(self.trials, key=self.summary.rank)[:MOST_ROWS]
        judged = [each.metric for each in told.objectives] or [told.metric]
        shown = dict.fromkeys((*judged, *(f"{name.rpartition('/')[0]}/test" for name in judged)))
        head = ["job", *told.params, *(name for name in shown if name in told.metrics), "status"]
        rows = [[cells[name] for name in head] for cells in map(told.cells, best_first)]
        more = len(self.trials) - len(rows)
        after = f"best: {self._best()}" + (f"; {more:,} more in .table" if more else "")
        return table(f"{called(self.folder)}: {self._counted()}, by {told.metric}", head, rows, after=after)

    def _counted(self) -> str:
        count, finished = len(self.trials), sum(trial.status == "FINISHED" for trial in self.trials)
        return f"{count:,} trial{'s' if count != 1 else ''}" + ("" if finished == count else f", {finished:,} finished")

    def _best(self) -> str:
        best = self.summary.best
        return "none" if best is None else f"{best.label}, {number(self.summary.metric, self.summary.value(best))}"


def sweep(
    cfg: Mapping[str, Any],
    space: Mapping[str, Any],
    *,
    trials: int | None = None,
    method: str | None = None,
    seeds: int | Sequence[int] | None = None,
    search: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    quiet: bool = False,
) -> Swept:
    """See pipeline.sweep.  Raises PipelineError, KeyboardInterrupt."""
    config, told = taken_out({**given(cfg), SWEEP: dict(settings or {})})
    check_objectives(told)
    how = {"method": method or ("grid" if trials is None else "random"), "trials": trials, **(search or {})}
    seed = [] if seeds is None else [f"seed={','.join(map(str, _seeds(seeds)))}"]
    asked = searched({**how, "space": {path: _listed(values) for path, values in space.items()}}, seed)
    _check_ranges(how["method"], trials, [each.path for each in asked.parameters if not isinstance(each.space, Choice)])
    configs = PlainConfigs(config, told)
    for texts in asked.corners():
        described(configs.of(texts).plain())
    if folder is not None:
        _check_config(Path(folder), config)
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]
    run = SweepRun(
        source=Searching(asked, settings=told, config=digest),
        configs=configs,
        settings=told,
        flags=(),
        overrides=None,
        chosen=None if folder is None else Path(folder),
        save=lambda path: files.write(path, config_text({**config, "space": asked.described()["space"]})),
    )
    with contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext():
        run.run()
    if run.finished is None:
        raise RunError("no trial was run: each was refused; the lines above say why")
    return _swept(run)


def _swept(run: SweepRun) -> Swept:
    found = run.finished
    assert found is not None
    asked = {str(job.number): job.columns for job in found.planned}
    folders = [folder for folder in found.journal.runs.values() if folder.is_dir()]
    summary = summarize_sweep(found.id, folders, settings=found.settings, asked=asked, searched=searched_by(found.journal.head))
    return Swept(folder=found.folder, summary=summary)


def _check_ranges(method: str, trials: int | None, ranges: Sequence[str]) -> None:
    """Without a number of trials every combination is run, and a range has none."""
    if method == "grid" and trials is None and ranges:
        raise ConfigError(at=f"{AT}.trials", got=None, rule=f"{ranges[0]} is a range", hint="give trials=64, or method='grid' with values")


def _check_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Whether the sweep that lies in `folder`, if one does, was begun with this config.  Raises ConfigError with the difference."""
    if not is_sweep(folder) or not (folder / WHOLE).exists():
        return
    import yaml  # noqa: PLC0415  # only a sweep that goes on needs it

    then, now = (flatten(yaml.safe_load(text), aside=("space",)) for text in (files.content(folder / WHOLE), config_text(config)))
    told = [f"{path} {then.get(path)} -> {now.get(path)}" for path in {**now, **then} if then.get(path) != now.get(path)]
    if told:
        more = f"; and {len(told) - NAMED} more" if len(told) > NAMED else ""
        rule = f"holds a sweep of another config ({'; '.join(told[:NAMED])}{more})"
        raise ConfigError(at="folder", got=files.shown(folder), rule=rule, hint="give another folder")


def _seeds(given: Any) -> list[int]:
    """The seeds that `seeds=` means: so many, or these.  Raises ConfigError."""
    hint = "give seeds=5, or seeds=[0, 1, 2]"
    try:
        seeds = [index(seed) for seed in given] if hasattr(given, "__iter__") else list(range(index(given)))
    except TypeError:
        raise ConfigError(at="seeds", got=given, rule="must be a whole number, or a list of them", hint=hint) from None
    if not seeds:
        raise ConfigError(at="seeds", got=given, rule="there is none", hint=hint)
    return seeds


def _listed(values: Any) -> Any:
    """Values as a list where they are an array, or a tuple of them."""
    values = values.tolist() if hasattr(values, "tolist") else values
    return list(values) if isinstance(values, tuple) else values


def _read(word: str) -> Any:
    """A number where the word is one."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    return word
