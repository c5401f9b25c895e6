"""What MLflow's page of a run shows of its journal: the journal keeps all, the page what a reader looks for.

The page orders its sections of charts by the alphabet, so metrics are named by their part of the data: `loss/train` and `loss/validation`
come first, then `test/...` as bars (of one point at step 0 MLflow draws a bar), `train/accuracy`, `validation/accuracy`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pipeline.records import record
from pipeline.tracking.journal import Data

PARTS = ("train", "validation")
LONGEST_NAME = 250  # of MLflow's SQL store, which cuts what is longer without a word
UNSHOWN = frozenset(
    f"pipeline.{name}"
    for name in ("host", "pid", "version", "python", "numpy", "platform", "seed", "dirty", "data", "data_fingerprint", "data_split")
) | {"pipeline.parameters", "pipeline.data_notes"}
_ODD = re.compile(r"[^\w./ :-]")  # what MLflow takes in no name


@record
class Page:
    """What is told of a run for its page.

    name    tells the run apart; "": that of its folder
    params  what of its config is shown; None: all that is not null
    note    its description, as Markdown
    about   what its experiment is about, for the page of that
    data    what it was trained on
    """

    name: str = ""
    params: Mapping[str, str] | None = None
    note: str = ""
    about: str = ""
    data: Data | None = None


def metric(name: str, step: int) -> tuple[str, int]:
    """How a metric of the journal is called on the page, and at which step it stands: f1/test, 20 -> test/f1, 0."""
    quantity, _, part = name.rpartition("/")
    if part == "test" and quantity:
        return named(f"test/{quantity}"), 0
    return named(f"{part}/{quantity}" if part in PARTS and quantity != "loss" and "/" not in quantity else name), step


def named(name: str) -> str:
    """A name as MLflow takes it."""
    return _ODD.sub("_", name)[:LONGEST_NAME]


def tags(told: Mapping[str, Any]) -> dict[str, str]:
    """The few tags of the page: machine and versions as one, the commit with a word on changes; what is told elsewhere is left out."""
    shown = {name: str(value) for name, value in told.items() if name not in UNSHOWN}
    if "pipeline.python" in told:
        words = ("version", "python", "numpy", "platform", "host")
        version, python, numpy, platform, host = (told.get(f"pipeline.{word}", "unknown") for word in words)
        shown["pipeline.environment"] = f"Caviar {version}, Python {python}, NumPy {numpy}, {platform}, {host}"
    if str(told.get("pipeline.dirty")) == "true" and "pipeline.commit" in shown:
        shown["pipeline.commit"] += " with changes"
    return shown
