"""What the trials of a sweep are judged by: a metric, which way it is better, and of which epoch it counts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pipeline.config.sweep_settings import SWEEP, SweepSettings
from pipeline.data import Dataset
from pipeline.errors import ConfigError, nearest
from pipeline.records import record
from pipeline.screen.wording import grows
from pipeline.training.metrics import EACH_EPOCH, check_name
from pipeline.training.scores import SCORES, TOP
from pipeline.training.settings import Training

PREFERRED = ("accuracy/validation", "rmse/validation", "loss/validation", "loss/train")


@record
class Objective:
    """A metric; grows: more of it is better; best: the best value of all epochs counts, not that of the epoch whose weights are kept."""

    metric: str
    grows: bool
    best: bool = False

    def value(self, metrics: Mapping[str, float], curve: Mapping[int, float]) -> float:
        """What counts of a trial with these values and this curve of the metric by epoch; NaN where there is none."""
        told = [value for value in curve.values() if math.isfinite(value)] if self.best else []
        if told:
            return max(told) if self.grows else min(told)
        return metrics.get(self.metric, math.nan)

    def score(self, value: float) -> float:
        """Less is better; infinite where the value is not finite."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.grows else value


def objectives(settings: SweepSettings, names: Iterable[str]) -> tuple[Objective, ...]:
    """What the trials, which have told these metrics, are judged by: what is asked for, or the first of PREFERRED.  Raises ConfigError."""
    known = list(names)
    asked = [settings.metric] if isinstance(settings.metric, str) else list(settings.metric or ())
    for name in asked:
        if known and name not in known:
            raise ConfigError(at=f"{SWEEP}.metric", got=name, rule="the trials tell no such metric", hint=_hint(name, known))
    if not asked:
        asked = [next((name for name in PREFERRED if name in known), known[0] if known else "loss/validation")]
    ways = _ways(settings.direction, asked)
    return tuple(Objective(metric=name, grows=way, best=settings.value == "best") for name, way in zip(asked, ways, strict=True))


def _ways(given: str | Sequence[str], metrics: Sequence[str]) -> list[bool]:
    words = [given] * len(metrics) if isinstance(given, str) else list(given)
    if len(words) != len(metrics):
        rule = f"there are {len(metrics)} metrics"
        raise ConfigError(at=f"{SWEEP}.direction", got=f"[{','.join(words)}]", rule=rule, hint="give one direction for each, or auto")
    return [grows(metric) if word == "auto" else word == "maximize" for word, metric in zip(words, metrics, strict=True)]


def against(objectives: Iterable[Objective]) -> list[str]:
    """A sentence for each metric whose direction is the other than the one it has by its name."""
    return [
        f"{'more' if each.grows else 'less'} of {each.metric} counts as better, as {SWEEP}.direction asks"
        for each in objectives
        if each.grows != grows(each.metric)
    ]


def _hint(name: str, known: Sequence[str]) -> str:
    """A metric without its part is that of the validation part."""
    whole = f"{name}/validation"
    return f"give {SWEEP}.metric={whole}" if whole in known else nearest(name, known)


def check_measured(settings: SweepSettings, training: Training, dataset: Dataset) -> None:
    """Whether a training on these rows measures what it is to be judged by, before any is trained.  Raises ConfigError."""
    asked = (settings.metric,) if isinstance(settings.metric, str) else settings.metric or ()
    names = list(dict.fromkeys(["loss", *(training.metrics or EACH_EPOCH[dataset.task]), *training.named]))
    parts = ["train", *(["validation"] if len(dataset.validation) else [])]
    known = [*(f"{name}/{part}" for name in names for part in parts), "time/epoch_s", "learning_rate"]
    for metric in asked:
        name, _, part = metric.partition("/")
        if metric in known:
            continue
        at = f"{SWEEP}.metric"
        if part == "validation" and part not in parts:
            hint = f"give data.split.validation=0.1, or {at}=loss/train"
            raise ConfigError(at=at, got=metric, rule="there is no validation part", hint=hint)
        check_name(name, dataset.task, dataset.classes, at=at, got=metric, known=[each for each in known if each.endswith(part)])
        more = ",".join(dict.fromkeys([*(training.metrics or EACH_EPOCH[dataset.task]), name]))
        raise ConfigError(at=at, got=metric, rule="is not measured after each epoch", hint=f"give training.metrics=[{more}] too")


def check(settings: SweepSettings) -> None:
    """What can be said before any trial is run.  Raises ConfigError."""
    asked = (settings.metric,) if isinstance(settings.metric, str) else settings.metric or ()
    known = ("loss/train", "loss/validation", "time/epoch_s", *(f"{name}/validation" for scores in SCORES.values() for name in scores))
    for name in asked:
        if name.endswith("/test"):
            hint = f"give {SWEEP}.metric={name.removesuffix('test')}validation"
            raise ConfigError(at=f"{SWEEP}.metric", got=name, rule="trials are chosen on the validation part, and told on test", hint=hint)
        if name not in known and not TOP.fullmatch(name.removesuffix("/validation")):
            raise ConfigError(at=f"{SWEEP}.metric", got=name, rule="no metric of a training", hint=_hint(name, known))
    _ways(settings.direction, asked or ("",))
