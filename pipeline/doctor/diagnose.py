"""The rules in their order, and what explains what: of a cause and its consequences only the cause is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pipeline.doctor import begin, course, inside
from pipeline.doctor.case import Case
from pipeline.tracking.health import Diagnosis

RULES: tuple[Callable[[Case], Iterator[Diagnosis]], ...] = (
    begin.uncentred,
    begin.unscaled_targets,
    begin.start_loss,
    begin.alike,
    begin.saturated,
    begin.vanishing,
    begin.unbalanced,
    course.rate_too_high,
    course.rate_too_low,
    course.overfitting,
    course.by_heart,
    course.falling,
    course.plateau,
    course.too_small,
    course.decayed,
    inside.dead,
    inside.saturated_in_the_end,
    inside.saturated_output,
    inside.tiny_batches,
    inside.shrunk,
    inside.dropout_too_strong,
    inside.dropout_before_batch_norm,
)
PACE = ("learning rate too low", "nothing learned", "ended too early", "underfitting")
EXPLAINS: Mapping[str, tuple[str, ...]] = {  # a cause -> what follows from it
    "units alike": (*PACE, "vanishing gradients", "dead units", "start loss", "saturation"),
    "uncentred inputs": ("start loss", "saturation"),
    "penalty too strong": (*PACE, "vanishing gradients", "dead units", "dropout too strong", "overfitting"),
    "saturated output": (*PACE, "dead units", "start loss"),
    "dropout too strong": (*PACE, "start loss", "learning rate too high"),
    "unscaled targets": (*PACE, "start loss", "dead units", "learning rate too high"),
    "learning rate too high": (*PACE, "dead units", "overfitting", "exploding gradients"),
    "vanishing gradients": (*PACE, "dead units"),
    "exploding gradients": (*PACE, "start loss", "saturation", "learning rate too high", "learned by heart"),
    "saturation": (*PACE, "start loss", "learned by heart"),
    "underfitting": ("nothing learned", "dead units"),
    "dead units": ("learning rate too low", "nothing learned", "ended too early"),
    "schedule too fast": (*PACE,),
    "learning rate too low": ("nothing learned", "ended too early", "underfitting"),
    "learned by heart": ("overfitting",),
    "start loss": ("learned by heart",),
    "overfitting": ("dropout before batch norm",),
}


def diagnose(case: Case) -> tuple[Diagnosis, ...]:
    """What is wrong with a training, what matters most first."""
    found = [diagnosis for rule in RULES for diagnosis in rule(case)]
    names = {diagnosis.name for diagnosis in found}
    explained: set[str] = set()
    for cause, consequences in EXPLAINS.items():
        if cause in names - explained:
            explained.update(consequences)
    left = {diagnosis.name: diagnosis for diagnosis in found if diagnosis.name not in explained}
    return tuple(sorted(left.values(), key=lambda diagnosis: -diagnosis.weight))
