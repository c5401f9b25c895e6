"""task=check extension=MODULE: whether the kinds of an extension keep what the product promises of each kind, one line each.

layer               shapes at odd sizes and batches of 1 to 5; gradients; both CPU backends; a stack; the same bits again; rows apart
data source         the same rows again; the shape that it declares; a step of a training
preprocessing step  shapes at odd sizes; the same numbers again and from a checkpoint; rows apart
metric              a number for 1 to 5 and for many rows; the same again; no matter which row comes first
callback            what it keeps comes back; whoever looks changes nothing; the same again
"""

# N rows, K trials
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.checks.contract_data import check_source, check_step
from pipeline.checks.contract_layer import check_layer
from pipeline.checks.contract_training import check_callback, check_metric
from pipeline.checks.finding import Finding
from pipeline.errors import PipelineError
from pipeline.extend.declared import Declared, Family, provided

PROMISES = "what every kind of its family keeps"
CHECKS: Mapping[Family, Callable[[Declared, Mapping[str, Any]], str]] = {
    "layer": check_layer,
    "data source": check_source,
    "preprocessing step": check_step,
    "metric": check_metric,
    "callback": check_callback,
}


def check_extension(module: str) -> tuple[Finding, ...]:
    """A finding for each kind that the loaded extension `module` declares."""
    return tuple(check_kind(kind) for kind in provided(module))


def check_kind(kind: Declared) -> Finding:
    """What is found of each of its examples, up to the first that fails."""
    name, said = f"{kind.family} {kind.kind}", ""
    for example in kind.examples:
        try:
            said = CHECKS[kind.family](kind, example)
        except (PipelineError, AssertionError) as error:
            where = f" with {dict(example)}" if example else ""
            refuse = "; shape() raises extend.ConfigError for inputs that it does not take" if kind.family == "layer" else ""
            advice = f"mend the kind, or give examples=[{{...}}] with the settings that it needs{refuse}"
            return Finding(check=name, passed=False, measured=f"{error}{where}", expected=PROMISES, advice=advice)
    return Finding(check=name, passed=True, measured=said, expected=PROMISES, advice="")
