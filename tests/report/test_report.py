"""task=report: one document of a run, a sweep, or several runs, from their folders alone."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.report import contents
from pipeline.report.parts import Chart, Heading, Table, Text, seen
from pipeline.report.read import run_of, sweep_of

SMALL = ["architecture=mlp_small", "training.batch_size=16", "tracking=none"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs and a sweep of eight trials, one of which diverges."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert cli.main(["data=iris", *SMALL, "training.epochs=5", "output=a"]) == 0
        assert cli.main(["data=iris", *SMALL, "training.epochs=5", "optimizer=sgd", "output=b"]) == 0
        swept = ["optimizer.learning_rate=1e-3,1e-2,1e30", "activation=relu,tanh", "seed=0,1"]
        assert cli.main(["-m", "data=iris", *SMALL, "training.epochs=4", "optimizer=sgd", *swept, "hydra.sweep.dir=sw"]) == 3
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_in_markdown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["task=report", "run=a", "format=markdown"]) == 0
    assert capsys.readouterr().out == "written to a/report.md\n"
    text = Path("a/report.md").read_text()
    assert text.startswith("# iris") and "finished: trained 5 epochs." in text
    differing = text.partition("## What differs from the defaults")[2].partition("##")[0]
    assert "| data.kind | iris | digits |" in differing and "| training.epochs | 5 | auto |" in differing
    assert not any(name in differing for name in ("seed", "precision", "optimizer", "log10.", "parameters"))
    assert "| loss |" in text and "| accuracy |" in text and "## Model card" in text
    assert text.rstrip().endswith("charts are left out; format=html draws them.")


def test_a_report_goes_into_a_folder_that_is_made_for_it(place: Path) -> None:
    assert cli.main(["task=report", "run=a", "format=markdown", "output=new/folder/a.md"]) == 0
    assert Path("new/folder/a.md").is_file()


def test_what_a_run_answered_is_in_its_report(place: Path) -> None:
    parts = contents.of_run(run_of(Path("a")))
    said = [part.caption for part in parts if isinstance(part, Chart)]
    assert [any(caption.startswith(word) for caption in said) for word in ("ROC.", "Precision over recall.", "Reliability:")] == [True] * 3


def test_a_sweep_has_its_means_its_failed_trials_and_all_rows(place: Path) -> None:
    assert cli.main(["task=report", "run=sw", "format=csv"]) == cli.main(["task=report", "run=sw", "format=latex", "output=sw.tex"]) == 0
    rows = list(csv.DictReader(Path("sw/report.csv").read_text().splitlines()))
    assert len(rows) == 12 and {row["status"] for row in rows} == {"finished", "failed"}
    tex = Path("sw.tex").read_text()
    assert r"\section*{iris over learning\_rate, activation, seed (sweep sw)}" in tex
    assert r"\subsection*{Trials that did not finish}" in tex and r"accuracy/validation" in tex and "subsection*{Charts}" not in tex
    assert r"learning\_rate" in tex  # the underscore is escaped


def test_the_charts_of_a_sweep_show_all_finished_trials(place: Path) -> None:
    swept = sweep_of(Path("sw"))
    finished = sum(trial.status == "FINISHED" for trial in swept.table.trials)
    parts = contents.of_sweep(swept)
    charts = [part for part in parts if isinstance(part, Chart)]
    said = [chart.caption for chart in charts]
    assert any(f"against optimizer.learning_rate: all {finished} finished trials" in caption for caption in said)
    assert any("the mean of each arm over its seeds" in caption for caption in said) and "Each trial, and the best so far." in said
    against = next(chart for chart in charts if "against optimizer.learning_rate" in chart.caption)
    assert 8 <= finished == len(against.spec["data"]["values"])
    assert "NaN" not in json.dumps([dict(chart.spec) for chart in charts])


def test_the_columns_of_a_search_are_what_was_searched(place: Path) -> None:
    """What an option implies (the epsilon of a normalization) is not a parameter of the search."""
    space = ["optimizer.learning_rate=tag(log,interval(1e-3,1e-1))", "normalization=choice(batch,none)"]
    search = ["hydra/sweeper=search", "hydra.sweeper.trials=4", *space, "seed=0,1", "hydra.sweep.dir=se"]
    assert cli.main(["-m", "data=iris", *SMALL, "training.epochs=1", *search]) == 0
    table = sweep_of(Path("se")).table
    assert set(table.params) == {"optimizer.learning_rate", "normalization", "seed"} and len(table.trials) == 8


def test_several_runs_side_by_side(place: Path) -> None:
    parts = contents.of_several([run_of(Path("a")), run_of(Path("b"))])
    differs = [part for part in parts if isinstance(part, Table)][1]
    found = {row[0]: row[1:] for row in differs.rows}
    assert found["optimizer.kind"] == ["adam", "sgd"] and "seed" not in found
    assert any(isinstance(part, Chart) and part.caption == "loss/train by epoch." for part in parts)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ([], "run = null: task=report works on a run, a sweep or several runs; give run=FOLDER of a run or a sweep, or report.runs=[a,b]"),
        (["run=a", "format=pdf"], "format = pdf: unknown format; use one of csv, html, latex, markdown"),
        (["run=a", "format=csv", "output=a.md"], "output = a.md: format=csv ends in .csv; rename it"),
        (["run=a", "report.runs=[a,b]"], "report.runs = [a,b]: run is given too; give one of them"),
        (["run=nope"], "run = nope: there is no such folder, and it is no MLflow run id; give the folder of a run or its MLflow run id"),
    ],
)
def test_a_mistake_is_one_line(place: Path, capsys: pytest.CaptureFixture[str], asked: list[str], sentence: str) -> None:
    assert cli.main(["task=report", *asked]) == 2
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_a_moved_sweep_finds_its_trials(place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(place, elsewhere / "moved")
    monkeypatch.chdir(elsewhere)
    assert len(sweep_of(Path("moved/sw")).runs) == 12


@pytest.mark.integration
@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("name", ["a", "sw"])
def test_the_page_in_a_browser(place: Path, browser: Any, name: str, width: int) -> None:
    """All charts are drawn, nothing is asked of a network, no error is logged, nothing is wider than the screen."""
    assert cli.main(["task=report", f"run={name}"]) == 0
    page = place / name / "report.html"
    assert page.stat().st_size < 5_000_000
    browser.set_window_size(width, 1000)
    browser.get(page.absolute().as_uri())
    figures = (
        "return [document.querySelectorAll('figure').length, document.querySelectorAll('figure canvas, figure svg, figure img').length]"
    )
    wanted, drawn = browser.execute_async_script(f"setTimeout(() => arguments[0]((() => {{ {figures} }})()), 2000)")
    assert drawn == wanted >= 2
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    asked = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"]
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "blob"}
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_names_in_a_document_do_nothing_to_a_terminal() -> None:
    name, shown = "\x1b[2J\u202eb", "\\x1b[2J\\x202eb"
    assert seen(Heading(text=name)) == Heading(text=shown) and seen(Text(text=name)) == Text(text=shown)
    assert seen(Table(heading=[name], rows=[[name]], bold=0)) == Table(heading=[shown], rows=[[shown]], bold=0)
