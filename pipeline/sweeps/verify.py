"""Whether what the doctor suggests helps: the present config and each suggestion, over the same seeds, as one small sweep.

All arms begin anew. A fork over other seeds would be validated on rows that its checkpoint was trained on, as the seed parts the rows.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline import files
from pipeline.config import spec
from pipeline.config.plain_jobs import PlainConfigs
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError, PipelineError
from pipeline.screen.wording import grows, number
from pipeline.sweeps.comparison import Interval, interval
from pipeline.sweeps.jobs import Job, SweepResult
from pipeline.sweeps.run import SweepRun
from pipeline.sweeps.source import Grid
from pipeline.tasks import trained
from pipeline.tasks.job import described
from pipeline.tracking.health import Diagnosis

SEEDS = 5
MOST = 3  # suggestions that are tried
METRICS = ("accuracy/validation", "rmse/validation", "loss/validation", "loss/train")
OWN_METRIC = {"overfitting": "loss/validation", "unbalanced classes": "balanced_accuracy/validation"}
ALIKE = 1e-12


def verified(folder: Path, found: Sequence[Diagnosis]) -> Iterator[str]:
    """Trains the run's config and what is suggested for it -> a line for each suggestion.  Raises PipelineError."""
    config = spec.to_plain(trained.stored_experiment(folder))
    config |= {"task": "train", "run": None, "resume": None, "output": None, "tracking": {**config["tracking"], "kind": "none"}}
    config["training"] = {**config["training"], "doctor": False, "metrics": _metrics(config["training"].get("metrics"), found)}
    configs = PlainConfigs(config, SweepSettings())
    tried, seeds = [], [int(config["seed"]) + k for k in range(SEEDS)]
    for diagnosis in found[:MOST]:
        try:
            described(configs.of([diagnosis.override, f"seed={seeds[0]}"]).plain())
        except ConfigError as error:
            yield f"{diagnosis.override}: cannot be tried: {error}"
            continue
        tried.append(diagnosis)
    if not tried:
        yield "nothing is suggested that could be tried"
        return
    arms: list[tuple[str, ...]] = [(), *((diagnosis.override,) for diagnosis in tried)]
    jobs = [(*arm, f"seed={seed}") for arm in arms for seed in seeds]
    yield f"trains {len(jobs)} trials: the present config and {', '.join(d.override for d in tried)}, seeds {seeds[0]} to {seeds[-1]}"
    result = _run(configs, jobs)
    values = {int(job.context.job or 0): job.value if isinstance(job.value, Mapping) else {} for job in result.jobs}
    for place, diagnosis in enumerate(tried, start=1):
        pairs = [(values.get(k, {}), values.get(place * SEEDS + k, {})) for k in range(SEEDS)]
        yield _said(diagnosis, pairs)
    yield f"the trials lie in {files.shown(result.folder)}"


def _metrics(asked: Sequence[str] | None, found: Sequence[Diagnosis]) -> Sequence[str] | None:
    """What is measured of each epoch: where classes are unbalanced, the mean of their accuracies as well."""
    if not any(diagnosis.name == "unbalanced classes" for diagnosis in found):
        return asked
    return [*(asked or ("accuracy",)), *(() if asked and "balanced_accuracy" in asked else ("balanced_accuracy",))]


def _run(configs: PlainConfigs, jobs: Sequence[tuple[str, ...]]) -> SweepResult:
    """The trials of the jobs, without the lines of a sweep."""
    source = Grid([Job(number=k, texts=texts) for k, texts in enumerate(jobs)])
    run = SweepRun(source=source, configs=configs, settings=SweepSettings(), flags=(), overrides=None, chosen=None)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run.run()
    if run.finished is None:
        raise PipelineError("no trial was run")
    return run.finished


def _said(diagnosis: Diagnosis, pairs: Sequence[tuple[Mapping[str, float], Mapping[str, float]]]) -> str:
    """What the pairs (present, suggestion) say of one suggestion."""
    whole = [(now, then) for now, then in pairs if now and then]
    failed = sum(not now for now, _ in pairs), sum(not then for _, then in pairs)
    head = f"{diagnosis.name}: {diagnosis.override}"
    if failed[0] != failed[1] and (failed[0] == len(pairs) or failed[1] == len(pairs)):
        which = "the present config" if failed[0] > failed[1] else "the suggestion"
        verdict = "recommended" if failed[0] > failed[1] else "not recommended"
        return f"{verdict}: {head}; {which} failed with all {len(pairs)} seeds, the other with {min(failed)}"
    own = OWN_METRIC.get(diagnosis.name)
    names = [name for name in ((own, *METRICS) if own else METRICS) if all(name in now and name in then for now, then in whole)]
    if len(whole) < 2 or not names:
        return f"not known: {head}; too few trials finished"
    metric = names[0]
    now, then = ([float(values[metric]) for values in side] for side in zip(*whole, strict=True))
    difference = interval([b - a for a, b in zip(now, then, strict=True)])
    better = (difference.mean > 0) == grows(metric)
    verdict = _verdict(difference, better)
    means = f"{number(metric, sum(now) / len(now))} -> {number(metric, sum(then) / len(then))}"
    shown = difference.said(metric, difference=True)
    missing = f"; failed: {failed[0]} and {failed[1]} of {len(pairs)}" if any(failed) else ""
    return f"{verdict}: {head}; {metric} {means}, paired difference {shown} (95 %, {len(whole)} seeds){missing}"


def _verdict(difference: Interval, better: bool) -> str:
    """Recommended where the interval leaves 0 out on the good side."""
    sure = math.isfinite(difference.half) and abs(difference.mean) > difference.half + ALIKE
    if sure:
        return "recommended" if better else "not recommended, it harms"
    return "not recommended, no difference was seen"
