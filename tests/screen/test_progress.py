from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from pipeline.screen.console import console_for, say
from pipeline.screen.tables import classes_table, results_table
from pipeline.screen.wording import fitting
from pipeline.training import progress, scores
from pipeline.training.events import Advanced, EpochEnded, Event, Noted, Started

VALUES = {"loss/train": 0.25127, "loss/validation": 0.31, "accuracy/validation": 0.9721, "learning_rate": 0.001, "time/epoch_s": 0.314}
EVENTS: list[Event] = [
    Started(epochs=10, total=40, steps_per_epoch=4, epoch=0, step=0),
    Noted(text="each epoch leaves out 2 of 10 rows [others each time]"),
    Advanced(epoch=1, step=4),
    EpochEnded(epoch=1, values=VALUES, best=True),
    Advanced(epoch=2, step=4),
    EpochEnded(epoch=2, values=VALUES, best=False),
]


def shown(*, terminal: bool, width: int = 80, events: list[Event] = EVENTS) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, highlight=False, color_system=None)
    with progress.display(console) as display:
        for event in events:
            display(event)
    return file.getvalue()


def test_in_a_pipe_each_epoch_is_one_plain_line_however_narrow() -> None:
    words = "loss/train 0.2513  loss/validation 0.31  accuracy/validation 97.21 %  learning_rate 0.001  0.31 s"
    note = "note: each epoch leaves out 2 of 10 rows [others each time]"
    assert shown(terminal=False, width=20) == f"{note}\nepoch  1/10  {words}\nepoch  2/10  {words}\n"


def test_of_many_epochs_not_each_gets_a_line() -> None:
    ended: list[Event] = [EpochEnded(epoch=epoch, values=VALUES, best=True) for epoch in range(1, 401)]
    started = Started(epochs=400, total=4000, steps_per_epoch=10, epoch=0, step=0)
    lines = shown(terminal=False, events=[started, *ended]).splitlines()
    assert [line.split("  loss")[0] for line in lines] == [f"epoch {epoch:>3}/400" for epoch in (1, *range(8, 401, 8))]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_on_a_terminal_a_bar_fits_one_line_and_the_cursor_comes_back(width: int) -> None:
    text = shown(terminal=True, width=width)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [line for line in re.split(r"[\r\n]", plain) if line.startswith("epoch")]
    history = [line for line in lines if re.match(r"epoch +\d+/10  (loss|accuracy)", line)]
    assert max(len(line) for line in lines if line not in history) <= width
    assert lines[-1].startswith("epoch 2/10")
    if width > 40:  # the lines of the epochs stay above the bar, each within the width
        assert [line[:11] for line in history] == ["epoch  1/10", "epoch  2/10"] and max(map(len, history)) <= width
    assert not [line for line in re.split(r"[\r\n]", plain) if line.strip() and not line.startswith(("epoch", "note"))]


@pytest.mark.parametrize("terminal", [True, False])
def test_of_a_job_of_a_sweep_only_new_notes_stay(terminal: bool) -> None:
    file, said = io.StringIO(), {"constant features"}
    console = Console(file=file, force_terminal=terminal, width=150, highlight=False, color_system=None)
    with progress.display(console, job="job 3: seed=1", said=said) as display:
        for event in (Noted(text="constant features"), *EVENTS, Noted(text="learning rate lowered")):
            display(event)
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue()))
    assert [line for line in lines if line.strip() and not line.startswith("job 3: seed=1 epoch")] == [f"note: {EVENTS[1].text}"]
    assert any(line.startswith("job 3: seed=1 epoch 2/10") for line in lines) == terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_without_a_known_end_the_epochs_have_no_total(terminal: bool) -> None:
    begun = Started(epochs=None, total=None, steps_per_epoch=4, epoch=0, step=0)
    text = shown(terminal=terminal, events=[begun, *EVENTS[2:]])
    assert "epoch 2 " in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text) and "None" not in text


def test_a_wide_terminal_shows_the_newest_metrics() -> None:
    assert "loss/train 0.2513  loss/validation 0.31  accuracy/validation 97.21 %" in shown(terminal=True, width=200)


def test_the_table_of_results_has_a_row_a_quantity_and_a_column_a_part() -> None:
    file = io.StringIO()
    values = {
        "loss/train": 0.5,
        "loss/validation": 0.25,
        "accuracy/validation": 0.5,
        "learning_rate": 0.1,
        "loss/test": 0.125,
        "accuracy/test": 1.0,
        "f1/test": 0.9,
    }
    Console(file=file, width=80).print(results_table("digits [8x8]", values))
    lines = [line.split() for line in file.getvalue().splitlines() if line.strip() and "─" not in line]
    assert lines == [
        ["digits", "[8x8]"],
        ["train", "validation", "test"],
        ["loss", "0.5", "0.25", "0.125"],
        ["accuracy", "50.00", "%", "100.00", "%"],
        ["f1", "(macro)", "90.00", "%"],
    ]


def test_a_long_path_is_printed_whole() -> None:
    file = io.StringIO()
    say(Console(file=file, width=20), "run folder  /a/very/long/path/[with]/brackets/that/no/terminal/holds")
    assert file.getvalue() == "run folder  /a/very/long/path/[with]/brackets/that/no/terminal/holds\n"


def test_a_quiet_console_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    console = console_for(quiet=True)
    with progress.display(console) as display:
        for event in EVENTS:
            display(event)
    assert capsys.readouterr().out == ""


def test_precision_recall_and_f1_are_those_of_scikit_learn() -> None:
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 4, 50), generator.integers(0, 3, 50)  # class 3 is never predicted
    counts = scores.confusion(true, predicted, 4)
    assert np.array_equal(counts, sklearn_metrics.confusion_matrix(true, predicted))
    wanted = sklearn_metrics.precision_recall_fscore_support(true, predicted, zero_division=0)
    found = scores.by_class(counts)
    for name, values in zip(("precision", "recall", "f1", "rows"), wanted, strict=True):
        assert np.allclose([row[name] for row in found], values, rtol=1e-12)


def test_codes_of_pictures_in_names_are_shown_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    console = console_for()
    rows = [{"precision": 1.0, "recall": 1.0, "f1": 1.0, "rows": 2.0}] * 2
    console.print(classes_table(["a:boom:b", "chr1:100:A"], rows, part="test"))
    console.print(results_table(":fire:", {"loss/test": 1.0}))
    say(console, "note: class :heart:")
    out = capsys.readouterr().out
    assert all(name in out for name in ("a:boom:b", "chr1:100:A", ":fire:", "note: class :heart:"))


def test_a_narrow_line_keeps_a_score_of_the_validation_part_and_the_same_names_in_each_epoch() -> None:
    values = {"loss/train": 0.2, "accuracy/train": 0.9, **{name: VALUES[name] for name in ("loss/validation", "accuracy/validation")}}
    assert list(fitting(values, 30)) == ["accuracy/validation"]
    assert list(fitting(values, 60)) == ["loss/validation", "accuracy/validation"]
    assert list(fitting(values, 90)) == ["accuracy/train", "loss/validation", "accuracy/validation"]
    assert list(fitting({**values, "time/epoch_s": 0.1}, 200)) == [*values, "time/epoch_s"]
    assert list(fitting({**values, "loss/train": 123456.0}, 90)) == list(fitting(values, 90))


def test_a_training_whose_length_is_not_known_gets_a_line_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    now = 0.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    shown = progress.Epochs(lines.append)
    shown(Started(epochs=None, total=None, steps_per_epoch=1, epoch=0, step=0))
    for epoch in range(1, 1001):
        now = epoch / 100  # 10 s in all
        shown(EpochEnded(epoch=epoch, values={"loss/train": 1.0}, best=False))
    assert len(lines) == 10 + 9 and lines[0] == "epoch 1  loss/train 1" and lines[10].startswith("epoch 111  ")
