"""The examples run as they stand, each in an empty folder, and print what they promise."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.extend.declared import KINDS
from pipeline.layers import LAYERS

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> str:
    """What the example prints that the test's mark names."""
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / request.param), run_name="__main__")
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _kinds() -> Iterator[None]:
    """An example may add to the kinds of layers; what comes after it has those that there are."""
    tables: tuple[dict[Any, Any], ...] = (LAYERS.rows, KINDS)
    before = [dict(table) for table in tables]
    yield
    for table, rows in zip(tables, before, strict=True):
        table.clear()
        table.update(rows)


def example(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("printed", [name], indirect=True)


@example("train_from_python.py")
def test_training_from_python_predicts_the_digits(printed: str) -> None:
    assert len(re.findall(r"^[1-5]( +[\d.]+){3}$", printed, re.MULTILINE)) == 5 and "accuracy/validation" in printed
    (accuracy,) = re.findall(r"test accuracy ([\d.]+)%", printed)
    assert float(accuracy) > 90
    assert "predicted [0, 1, 2, 3, 4] from images of [0, 1, 2, 3, 4]" in printed


@example("sweep_and_table.py")
def test_the_sweep_ends_with_a_table_of_its_arms(printed: str) -> None:
    assert "12 trials, ranked by accuracy/validation; they differ in seed, " in printed
    arms = re.findall(r"^\| (0\.02|0\.2) \| (8|64) \| 3 \| ([\d.]+) (?:±|%, [\d.]+ to) ", printed, re.MULTILINE)
    assert len(set(arms)) == 4
    assert arms[-1][:2] == ("0.02", "64")  # the fewest and smallest steps


@example("layer_of_your_own.py")
def test_a_layer_of_ones_own_is_checked_and_trained(printed: str) -> None:
    checked = re.findall(r"^(.*\S) +(pass|FAIL)  ", printed, re.MULTILINE)
    assert {name for name, _ in checked} >= {"dry run", "gradient of gate1.weight", "gradient of gate1.bias", "tiny batch"}
    assert {verdict for _, verdict in checked} == {"pass"}
    (accuracy,) = re.findall(r"test accuracy ([\d.]+)% of a network of .*gate1.weight, gate1.bias", printed)
    assert float(accuracy) > 85


@example("read_a_compiled_step.py")
def test_the_compiled_step_is_shown_from_the_graph_to_the_program(printed: str) -> None:
    assert printed.index("== train: op graph") < printed.index("decompose, ") < printed.index("== train: program ==")
    assert "softmax_cross_entropy(" in printed and "loss/row_loss:row = sub(" in printed
    (apart,) = re.findall(r"within (\S+) of w - 0.1 \* gradient", printed)
    assert float(apart) < 1e-6


def test_every_example_has_a_test() -> None:
    assert all(f'@example("{path.name}")' in Path(__file__).read_text(encoding="utf-8") for path in EXAMPLES.glob("*.py"))


@example("server.py")
def test_a_server_answers_from_many_threads_as_a_single_one(printed: str) -> None:
    (answers,) = re.findall(r"^400 questions from 8 threads: (\d+) answers a second, 0 wrong$", printed, re.MULTILINE)
    assert int(answers) > 50
    assert "three numbers: x = rows of shape [3]: " in printed
