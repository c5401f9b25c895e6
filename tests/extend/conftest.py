"""Modules that declare kinds, each forgotten after its test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.data.load import SOURCES
from pipeline.data.settings import KINDS as DATA
from pipeline.extend import load
from pipeline.extend.declared import KINDS
from pipeline.layers import LAYERS
from pipeline.preprocessing.steps import STEPS
from pipeline.screen.wording import GROWING
from pipeline.training.callbacks import CALLBACKS
from pipeline.training.scores import SCORES

Write = Callable[..., str]

GATES = '''
"""Kinds for tests."""
import numpy as np
from pipeline import extend

@extend.layer("gate", examples=[{}, {"slope": 2.0}])
class Gate(extend.Layer):
    """y = x * sigmoid(slope (x W + b)), x [N, F] -> y [N, F]."""

    open: float = extend.setting(1.0)
    slope: float = extend.setting(1.0, above=0)

    def shape(self, inputs):
        if len(inputs[0]) != 1:
            raise extend.ConfigError(at="input", got=list(inputs[0]), rule="must be rows of numbers", hint="put a flatten layer before it")
        return inputs[0]

    def parameters(self, inputs):
        (f,) = inputs[0]
        weight = extend.Parameter(name="weight", shape=(f, f), initial=extend.Xavier(), fan_in=f, fan_out=f)
        return weight, extend.Parameter(name="bias", shape=(f,), initial=self.open)

    def values(self):
        return {"slope": self.slope}

    def lower(self, b, inputs, given, *, training):
        (x,) = inputs
        z = b.add("add", b.add("matmul", x, given["weight"]), given["bias"])
        return b.add("mul", x, b.add("sigmoid", b.add("mul", z, given["slope"])), name="gate")

@extend.metric("surprise", tasks=["classification"], more_is_better=False)
def surprise(p, y):
    """Mean of 1 - the probability of the label."""
    return 1 - np.mean(p[np.arange(len(y)), y])
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """module("name", text) writes a module that can be imported, in a folder that is the current one -> its name."""
    place = tmp_path / "theirs"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.chdir(tmp_path)
    tables: tuple[dict[Any, Any], ...] = (KINDS, LAYERS.rows, SOURCES, DATA, STEPS, CALLBACKS.rows, *SCORES.values())
    before, known = [dict(table) for table in tables], set(sys.modules)
    growing, loaded = set(GROWING), set(load._loaded)

    def write(name: str, text: str = GATES) -> str:
        (place / f"{name}.py").write_text(text)
        return name

    yield write
    for table, rows in zip(tables, before, strict=True):
        table.clear()
        table.update(rows)
    GROWING.clear()
    GROWING.update(growing)
    load._loaded.clear()
    load._loaded.update(loaded)
    for name in set(sys.modules) - known:
        if (place / f"{name}.py").exists():
            del sys.modules[name]
