"""What a notebook shows: tables as HTML, text as it was written."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

import pipeline
from pipeline.errors import RunError
from pipeline.screen.console import console_for
from pipeline.screen.page import Lines, in_notebook, table
from pipeline.screen.tables import results_table
from pipeline.tasks.results import Result


def test_a_table_shows_text_as_written() -> None:
    shown = table("a <b>", ("class", "rows"), [["<script>", "1"]], after="x & y")
    assert "<b>a &lt;b&gt;</b>" in shown and "&lt;script&gt;" in shown and "<script>" not in shown and "<div>x &amp; y</div>" in shown
    assert '<td style="text-align:right">1</td>' in shown


def test_text_of_many_lines_is_shown_as_printed() -> None:
    text = Lines("a < b\n  c")
    assert text == "a < b\n  c" and text._repr_html_() == '<pre style="line-height:1.3">a &lt; b\n  c</pre>'


def test_outside_of_a_notebook_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert not in_notebook()
    console_for().print("[bold]plain[/bold]")
    assert capsys.readouterr().out == "plain\n"


def test_the_title_of_a_table_is_one_line_however_narrow_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    console_for().print(results_table("a name that is longer than its table", {"loss/train": 0.5}))
    assert capsys.readouterr().out.startswith("a name that is longer than its table\n")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    with contextlib.chdir(tmp_path_factory.mktemp("run")):
        return pipeline.train(pipeline.compose(["data=iris", "architecture=mlp_small", "training.epochs=3", "tracking=none"]), quiet=True)


def test_a_result_is_a_table_and_a_line(result: Result) -> None:
    history = result.history
    assert list(history.index) == [1, 2, 3] and history.index.name == "epoch"
    assert [dict(row) for row in history.to_dict("records")] == [dict(epoch) for epoch in result.epochs]
    assert result.metrics["loss/train"] == history["loss/train"][3]
    assert repr(result).startswith(f"<Result {result.folder.name}: loss/train ") and repr(result).endswith("; trained 3 epochs>")
    shown = result._repr_html_()
    assert "<th" in shown and ">test</th>" in shown and "trained 3 epochs" in shown and "roc_auc" in shown


def test_a_program_shows_its_layers_and_what_it_tells(result: Result) -> None:
    program = result.program
    shown = program._repr_html_()
    assert ">fc1</td>" in shown and ">dense</td>" in shown and "tells setosa, versicolor, virginica apart" in shown
    assert "parameters" in program.program._repr_html_()
    assert isinstance(program.explain(), Lines)
    plan = program.structure.compiled("train", program.batch_size).plan
    assert repr(plan).startswith("<Plan train: ") and "phases, batch" in repr(plan)


def test_pictures_are_axes_that_a_notebook_shows(result: Result) -> None:
    from matplotlib.figure import Figure

    panels = pipeline.plot(result)
    assert {"loss", "accuracy (share of rows)", "accuracy"} & {axes.get_ylabel() for axes in panels} and panels._repr_png_()[1:4] == b"PNG"
    place = Figure().subplots()
    (axes,) = pipeline.plot(result, "loss", axes=place)
    assert axes is place and [line.get_label() for line in place.get_lines()][:2] == ["train", "validation"]
    assert pipeline.plot(result.folder, "confusion_test")[0].get_ylabel() == "true class"
    with pytest.raises(RunError, match=r"has no picture confusion_tset; did you mean confusion_test\?"):
        pipeline.plot(result, "confusion_tset")


def test_a_stack_and_a_sweep_show_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = pipeline.compose(["data=iris", "architecture=mlp_small", "training.epochs=2", "tracking=none"])
    assert "2 trials of this structure, run as one program" in pipeline.stack([cfg, cfg])._repr_html_()
    swept = pipeline.sweep(cfg, {"optimizer.learning_rate": [0.1, 0.01]}, quiet=True)
    shown = swept._repr_html_()
    assert "2 trials, by accuracy/validation" in shown and ">accuracy/test</th>" in shown and ">finished</td>" in shown
    assert pipeline.plot(swept)[0].get_xlabel() == "epoch"
    assert repr(swept).startswith(f"<Swept {swept.folder.name}: 2 trials; best: learning_rate=")
