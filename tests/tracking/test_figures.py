"""Figures are drawn from whatever a journal holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from pipeline.tracking.figures import compare, confusion_matrix, draw, learning_curves
from pipeline.tracking.tracker import Tracker


def test_one_panel_per_quantity_one_line_per_part() -> None:
    curves = {
        "loss/train": {0: 1.0, 1: 0.5},
        "loss/validation": {0: 1.1, 1: 0.7},
        "accuracy/validation": {0: 0.5, 1: 0.8},
        "learning_rate": {0: 0.1, 1: 0.1},
        "time/epoch_s": {0: 0.1, 1: 0.2},
    }
    figure = learning_curves(curves, title="bn")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy (share of rows)"]
    legend = figure.axes[0].get_legend()
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["train", "validation"]
    assert len({line.get_color() for line in figure.axes[0].lines}) == len({line.get_marker() for line in figure.axes[0].lines}) == 2


def test_a_learning_rate_that_varies_has_a_panel() -> None:
    figure = learning_curves({"loss/train": {0: 1.0, 1: 0.5}, "learning_rate": {0: 0.1, 1: 0.05}}, title="bn")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "learning rate"]


def test_a_diverged_run_is_drawn(begin: Callable[..., Tracker]) -> None:
    tracker = begin()
    for epoch, loss in enumerate([1.0, math.inf, math.nan]):
        tracker.metrics(epoch, {"loss/train": loss})
    tracker.finish("FAILED", "diverged")
    assert [path.name for path in draw(tracker.folder, title="bn")] == ["learning_curves.png"]


def test_a_run_of_no_epoch_has_no_figure(begin: Callable[..., Tracker]) -> None:
    assert draw(begin().folder, title="bn") == []


def test_files_are_whole_pictures(begin: Callable[..., Tracker]) -> None:
    tracker = begin()
    for epoch in range(3):
        tracker.metrics(epoch, {"loss/train": 1.0 / (1 + epoch)})
    tracker.confusion(["cat", "a dog"], [[3, 1], [0, 4]], part="validation")
    paths = draw(tracker.folder, title="bn")
    assert [path.name for path in paths] == ["learning_curves.png", "confusion_validation.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.read_bytes().endswith(b"IEND\xaeB`\x82") for path in paths)
    assert sorted(path.name for path in (Path(tracker.folder) / "figures").iterdir()) == ["confusion_validation.png", "learning_curves.png"]


def test_the_confusion_matrix_has_the_rows_of_each_class_and_the_share_of_right_ones() -> None:
    figure = confusion_matrix([[3, 1], [0, 4]], ["cat", "dog"], title="bn", part="test")
    axes = figure.axes[0]
    assert axes.get_title() == "bn\ntest: 87.50% of 8 rows right"
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {((0, 0), "3"), ((1, 0), "1"), ((1, 1), "4")}


def test_many_classes_and_an_empty_class_are_drawn() -> None:
    counts = [[int(row == column and row > 0) for column in range(40)] for row in range(40)]
    assert list(confusion_matrix(counts, [str(i) for i in range(40)], title="bn", part="test").axes[0].texts) == []


def test_a_sweep_is_one_line_per_trial() -> None:
    figure = compare({f"learning_rate={i}": {0: 1.0, 1: 1.0 / (i + 1)} for i in range(9)}, quantity="loss/validation", title="s")
    assert len(figure.axes[0].lines) == 9
    looks = {(line.get_color(), line.get_linestyle()) for line in figure.axes[0].lines}
    assert len(looks) == 9
