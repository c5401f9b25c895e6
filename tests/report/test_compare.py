"""task=compare: what differs between runs and nothing else, on the terminal and in files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.cli import main

SMALL = ("data=iris", "architecture=mlp_small", "training.batch_size=16", "training.epochs=3", "tracking=none")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name, more in (
            ("a", ()),
            ("same", ()),
            ("b", ("optimizer.learning_rate=0.01",)),
            ("seed", ("seed=1",)),
            ("ema", ("averaging=ema",)),
        ):
            assert main([*SMALL, *more, f"output={name}"]) == 0
    return place


@pytest.fixture
def compared(runs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, dict[str, object]]]:
    monkeypatch.chdir(runs)

    def asked(*names: str) -> dict[str, dict[str, object]]:
        output = tmp_path / "found.json"
        assert main(["task=compare", f"runs=[{','.join(names)}]", f"output={output}"]) == 0
        found: dict[str, dict[str, object]] = json.loads(output.read_text(encoding="utf-8"))
        return found

    return asked


def test_the_same_run_twice_has_the_same_bits_and_curves(compared: Callable[..., dict[str, dict[str, object]]]) -> None:
    found = compared("a", "same")
    assert found["compared"]["said"] == ["The same: settings, data, code, bits, curves."]
    assert str(found["bits"]["said"]).startswith("['The weights are the same to the bit: sha256 ")
    assert found["settings"] == {"said": ["Nothing: the same settings."]}


def test_another_value_is_named_alone_and_so_is_the_epoch_from_which_the_curves_part(
    compared: Callable[..., dict[str, dict[str, object]]],
) -> None:
    found = compared("a", "b")
    assert found["settings"]["rows"] == [{"setting": "optimizer.learning_rate", "a": "0.001", "b": "0.01"}]
    curves = {row["metric"]: row for row in found["curves"]["rows"]}  # type: ignore[attr-defined]
    assert curves["loss/train"]["part at epoch"] == "1"
    assert any(row["tensor"] == "fc1.weight" and float(row["distance"]) > 0 for row in found["bits"]["rows"] if "tensor" in row)  # type: ignore[attr-defined]


def test_other_rows_are_told_by_their_division(compared: Callable[..., dict[str, dict[str, object]]]) -> None:
    found = compared("a", "seed", "b")
    assert any(row["what"] == "division" for row in found["data"]["rows"])  # type: ignore[attr-defined]


def test_bits_are_those_of_the_averages_that_a_run_predicts_with(compared: Callable[..., dict[str, dict[str, object]]]) -> None:
    found = compared("a", "ema")
    assert found["compared"]["said"] == ["Other: settings, bits, curves; the same: data, code."]
    assert "to the bit (sha256 " in str(found["bits"]["said"])
    assert "; their averages, which are measured and predicted with in ema, are not." in str(found["bits"]["said"])
    assert any(row.get("tensor") == "fc1.weight" and float(row["distance"]) > 0 for row in found["bits"]["rows"])  # type: ignore[attr-defined]
    assert any(line.startswith("notes of ema: ") for line in found["data"]["said"])  # type: ignore[attr-defined]


def test_a_terminal_shows_tables_and_a_file_of_another_form_is_refused(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs)
    assert main(["task=compare", "runs=[a,b]"]) == 0
    said = capsys.readouterr().out
    assert "Other: settings, bits, curves; the same: data, code." in said and "optimizer.learning_rate   0.001   0.01" in said
    assert main(["task=compare", "runs=[a,b]", "output=found.txt"]) == 2
    assert capsys.readouterr().err == "error: output = found.txt: its end says the form; give one of .md, .json, .html\n"
    assert main(["task=compare", "runs=[a,b]", "output=found.md"]) == 0
    assert "| optimizer.learning_rate | 0.001 | 0.01 |" in Path("found.md").read_text(encoding="utf-8")
    assert main(["task=compare", "runs=[a,nowhere]"]) == 2
    assert capsys.readouterr().err.startswith("error: runs[1] = nowhere: there is no such folder")
