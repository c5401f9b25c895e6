"""A view of MLflow's page of runs: which runs, in which order, with which columns and charts.

It is kept as the tag `mlflow.sharedViewState.KEY` of the experiment, and an address with `viewStateShareKey=KEY` opens it.  This is a
format of the page and no interface: it is written for the MLflow that is pinned, and `tests/tracking/test_browser.py` opens the page and
reads columns, order and charts from it.  A page of another MLflow gets an address with a filter.

A chart has a kind and its own keys; each lies in the section of our own, which stands above those that the page makes by itself.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from typing import Any

from pipeline.records import record
from pipeline.tracking.asked import request
from pipeline.tracking.store import PATIENCE, Store

UNDERSTOOD = "3.17."  # the MLflow whose page this is written for
TAG, LONGEST = "mlflow.sharedViewState.", 20_000  # of the tag of an experiment
MOST = 1000  # runs in a chart
NAME = "attributes.`Run Name`"


@record
class View:
    """A page of runs.

    key         names the view within its experiment
    title       of its section of charts
    wanted      the filter, in MLflow's words
    metric      what sorts the runs, and is drawn; grows: more of it is better
    metrics     columns; `curves` those that have a value each epoch
    params      columns; `axes` what they are called where they are an axis, log10 of those of a logarithmic scale
    groups      the parameters that tell the arms, whose mean and band are drawn; none: each run by itself
    """

    key: str
    title: str
    wanted: str
    metric: str
    grows: bool
    metrics: tuple[str, ...]
    curves: tuple[str, ...]
    params: tuple[str, ...]
    axes: tuple[str, ...]
    groups: tuple[str, ...] = ()

    def tag(self) -> dict[str, str]:
        """The tag that keeps it; nothing where it is too long for one."""
        text = json.dumps(self._state(), separators=(",", ":"))
        return {TAG + self.key: text} if len(text) <= LONGEST else {}

    def _state(self) -> dict[str, Any]:
        section = _id(self.key, "section")
        columns = [*(f"metrics.`{name}`" for name in self.metrics), *(f"params.`{name}`" for name in self.params)]
        return {
            "searchFilter": self.wanted,
            "orderByKey": f"metrics.`{self.metric}`",
            "orderByAsc": not self.grows,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": columns,
            "columnOrder": ["0", NAME, "runDateAndNestInfo", *columns, "duration"],
            "columnWidths": {NAME: 320, **dict.fromkeys(columns, 140)},
            "runsHiddenMode": "SHOW_ALL",
            "runsHidden": [],
            "runsPinned": [],
            "runsVisibilityMap": {},
            "runsExpanded": {},
            "groupBy": self._grouped() if self.groups else None,
            "groupsExpanded": {},
            "useGroupedValuesInCharts": True,
            "hideEmptyCharts": True,
            "isAccordionReordered": True,
            "compareRunSections": [{"uuid": section, "name": self.title, "display": True, "isReordered": True, "columns": 2}],
            "compareRunCharts": [
                {"uuid": _id(self.key, str(number)), "metricSectionId": section, "isGenerated": False, "deleted": False, **chart}
                for number, chart in enumerate(self._charts())
            ],
        }

    def _grouped(self) -> dict[str, Any]:
        return {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": name} for name in self.groups]}

    def _charts(self) -> list[dict[str, Any]]:
        common = {"type": "LINE", "xAxisKey": "step", "displayPoints": False, "runsCountToCompare": MOST, "useGlobalXaxisKey": True}
        lines = [
            {**common, "metricKey": name, "selectedMetricKeys": [name], "displayName": name, "scaleType": _scale(name)}
            for name in self.curves
        ]
        if self.groups:
            return lines
        scatter = [
            {"type": "SCATTER", "xaxis": {"type": "PARAM", "key": name}, "yaxis": {"type": "METRIC", "key": self.metric}}
            | {"displayName": f"{self.metric} by {_last(name)}", "runsCountToCompare": MOST}
            for name in self.axes
        ]
        parallel = {"type": "PARALLEL", "selectedParams": list(self.axes), "selectedMetrics": [self.metric], "showAllRuns": True}
        return [*scatter, *([parallel | {"runsCountToCompare": MOST}] if self.axes else []), *lines]


def _scale(name: str) -> str:
    """Losses fall by powers of ten."""
    return "log" if name.startswith("loss/") else "linear"


def _last(name: str) -> str:
    """log10.optimizer.learning_rate -> log10 learning_rate."""
    return f"{'log10 ' if name.startswith('log10.') else ''}{name.rpartition('.')[2]}"


def _id(*words: str) -> str:
    """The same view has the same ids, so that written again it is the same tag."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(words)))


def logarithmic(values: Sequence[str]) -> bool:
    """Whether the values of a parameter are those of a logarithmic scale: positive numbers, the largest at least thirty times the least."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return False
    return len(numbers) > 1 and min(numbers) > 0 and max(numbers) >= 30 * min(numbers)


@cache
def understood(store: Store) -> bool:
    """Whether the page of this store is that of the MLflow that views are written for; a server is asked for its version."""
    if not store.uri.startswith("http"):
        return metadata.version("mlflow").startswith(UNDERSTOOD)
    import urllib.request  # noqa: PLC0415  # with it comes TLS: loaded only to ask a server

    try:
        with urllib.request.urlopen(request(store.uri, "/version"), timeout=PATIENCE) as answer:
            return bool(answer.read(100).decode().startswith(UNDERSTOOD))
    except (OSError, ValueError):
        return False
