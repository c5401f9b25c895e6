"""task=check extension=MODULE tells, a line a kind, which promises are kept."""

from __future__ import annotations

import pytest

from pipeline import cli, tasks
from pipeline.checks.contract import check_kind
from pipeline.config.spec import experiment
from pipeline.extend import load
from pipeline.extend.declared import provided
from tests.extend.conftest import GATES, Write
from tests.extend.kinds import KINDS
from tests.refusal import refused


def test_each_kind_is_a_line_and_what_is_right_passes(module: Write, capsys: pytest.CaptureFixture[str]) -> None:
    text = KINDS[KINDS.index("@extend.metric") :]  # the layer: tests/extend/test_installed.py
    assert cli.main(["task=check", f"extension={module('contract_a', f'{HEAD}{text}')}"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for kind in (
        "metric surprise pass",
        "data source spirals pass",
        "preprocessing step squash pass",
        "callback enough",
    ):
        assert kind in told
    assert "all 4 checks passed" in told


HEAD = "import numpy as np\nfrom pipeline import extend\n"
WRONG = {  # what is written in place of what is right -> what the line says
    "a layer whose rows see each other": (
        'return b.add("mul", x, b.add("sigmoid"',
        'x = b.add("sub", x, b.add("sum", x, axes=(0,)))\n        return b.add("mul", x, b.add("sigmoid"',
        "the prediction of a row depends on the rows beside it",
    ),
    "a layer of another shape": ("return inputs[0]", "return (inputs[0][0] + 1,)", "shape() says [3, 8] and lower() gives [3, 7]"),
    "a source that draws anew": ("np.linspace(0.1, 1,", "np.random.default_rng().uniform(0.1, 1,", "gives other rows when"),
    "a step over the rows": ("squashed = np.tanh(", "squashed = x.mean(axis=0) + np.tanh(", "a row depends on the rows beside it"),
    "a metric of the first row": ("return 1 - np.mean(p[np.arange(len(y)), y])", "return p[0, 0]", "depends on which row comes first"),
    "a callback whose state does not come back": ('self.seen = saved["seen"]', "pass", "state() after restore() gives something else"),
}  # fmt: skip


LONG = "a layer whose rows see each other"  # it compiles a dozen programs


@pytest.mark.parametrize("case", [pytest.param(case, marks=pytest.mark.integration) if case == LONG else case for case in WRONG])
def test_what_is_wrong_fails_and_says_how(module: Write, case: str) -> None:
    right, wrong, sentence = WRONG[case]
    text = KINDS if right in KINDS else GATES
    assert right in text
    (name,) = load.use([module(f"contract_b{list(WRONG).index(case)}", text.replace(right, wrong))])
    (kind,) = [kind for kind in provided(name) if kind.family.endswith(case.split()[1])]
    finding = check_kind(kind)
    assert not finding.passed and sentence in finding.measured, finding.measured


def test_only_task_check_reads_it(module: Write) -> None:
    with refused("extension = contract_c: only task=check reads it; give task=check, or extensions=[...] to use it"):
        tasks.selected(experiment({"extension": module("contract_c")}))
