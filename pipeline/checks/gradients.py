"""Gradient check: the rules of the ops against centred differences, tensor by tensor, in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline import random
from pipeline.checks.finding import Finding
from pipeline.checks.material import Material
from pipeline.checks.probe import Probe
from pipeline.config.experiment import Experiment

ROWS = 8
STEPS = (1e-5, 1e-4, 1e-6, 1e-7)  # tried in turn until one shows the gradient right: large ones round less, small ones meet fewer kinks
GOOD, LOOK, BAD = 1e-7, 1e-5, 1e-3
ROUNDING = 8 * float(np.finfo(np.float64).eps)  # of a loss, relative: the chains of sums in it


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorCheck:
    """error      ||numeric - analytic|| / (||numeric|| + ||analytic||) over the checked elements; NaN where all were skipped
    rounding   whether the difference is no larger than what rounding the loss makes of it: of a gradient near 0 no more can be known
    checked    elements that were compared, of `count`
    skipped    elements left out: the step moves a unit over its kink
    """

    name: str
    error: float
    rounding: bool
    count: int
    checked: int
    skipped: int


def check_gradients(config: Experiment, material: Material, *, elements: int) -> tuple[Finding, ...]:
    """One finding for each trained tensor.  Regularization is included, batch norm in training mode, masks those of step 0."""
    rows = material.order(1, ROWS)[0]
    probe = Probe(config, material, rows)
    analytic = probe.gradients()
    return tuple(_finding(check_tensor(probe, name, value.reshape(-1), elements, config.seed)) for name, value in analytic.items())


def check_tensor(probe: Probe, name: str, analytic: npt.NDArray[np.float64], elements: int, seed: int) -> TensorCheck:
    """The smallest error over STEPS, for at most `elements` elements of the tensor; analytic is its whole gradient, [n] flat."""
    chosen = _chosen(name, analytic.size, elements, seed)
    best = TensorCheck(name=name, error=math.nan, rounding=False, count=analytic.size, checked=0, skipped=len(chosen))
    for step in STEPS:
        found = _at_step(probe, name, analytic, chosen, step)
        if found.checked and (not best.checked or found.error < best.error):
            best = found
        if (best.error < GOOD or best.rounding) and 2 * best.checked >= len(chosen):
            break
    return best


def _at_step(probe: Probe, name: str, analytic: npt.NDArray[np.float64], chosen: npt.NDArray[np.int64], step: float) -> TensorCheck:
    here, pattern = probe.loss()
    pairs, value = [], probe.parameters[name].reshape(-1)
    for index in chosen:
        above, pattern_above = probe.loss_with(name, int(index), value[index] + step)
        below, pattern_below = probe.loss_with(name, int(index), value[index] - step)
        if pattern == pattern_above == pattern_below:
            pairs.append(((above - below) / (2 * step), analytic[index]))
    numeric, exact = np.array(pairs).reshape(-1, 2).T
    difference = float(np.linalg.norm(numeric - exact))
    noise = math.sqrt(len(pairs)) * ROUNDING * max(1.0, abs(here)) / step
    size = float(np.linalg.norm(numeric) + np.linalg.norm(exact))
    error = math.nan if not pairs else difference / size if size else 0.0
    return TensorCheck(
        name=name, error=error, rounding=difference <= noise, count=analytic.size, checked=len(pairs), skipped=len(chosen) - len(pairs)
    )


def _chosen(name: str, count: int, elements: int, seed: int) -> npt.NDArray[np.int64]:
    """At most `elements` different places of `count`."""
    if count <= elements:
        return np.arange(count)
    drawn = random.bits(seed, random.GENERATOR, f"check/elements/{name}", 0, 4 * elements).astype(np.int64) % count
    _, first = np.unique(drawn, return_index=True)
    return np.sort(drawn[np.sort(first)[:elements]])


def _finding(found: TensorCheck) -> Finding:
    if not found.checked:
        measured = f"all {found.skipped} elements move a unit over its kink"
        advice = "too many units for a difference quotient: check a smaller network of the same layers"
    else:
        word = "rounding" if found.rounding and found.error >= GOOD else _verdict(found.error)
        skipped = f", {found.skipped} at a kink" if found.skipped else ""
        measured = f"{found.error:.1e} {word} ({found.checked} of {found.count:,} elements{skipped})"
        advice = f"the gradient rule of an op on the way to {found.name} is wrong: check each op's rule and your own layers"
    passed = found.checked > 0 and (found.error < LOOK or found.rounding)
    return Finding(check=f"gradient of {found.name}", passed=passed, measured=measured, expected=f"below {LOOK:.0e}", advice=advice)


def _verdict(error: float) -> str:
    """good, fair, look or bad; a NaN is bad."""
    return next((word for limit, word in ((GOOD, "good"), (LOOK, "fair"), (BAD, "look")) if error < limit), "bad")
