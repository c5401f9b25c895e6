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
    assert legend is not None and [text.get_text() for text in legend.get_texts()] == ["train", "validation", "best, 1"]
    assert (
        len({line.get_color() for line in figure.axes[0].lines[:2]}) == len({line.get_marker() for line in figure.axes[0].lines[:2]}) == 2
    )


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


def test_the_epoch_whose_weights_are_kept_is_marked_and_a_loss_that_spans_much_is_logarithmic() -> None:
    curves = {
        "loss/train": {epoch: 10.0**-epoch for epoch in range(6)},
        "loss/validation": {epoch: 0.5 + abs(epoch - 2) for epoch in range(6)},
    }
    axes = learning_curves(curves, title="bn", kept=2).axes[0]
    assert axes.get_yscale() == "log" and [text.get_text() for text in axes.texts] == ["weights of epoch 2"]
    star = next(line for line in axes.lines if line.get_marker() == "*")
    assert list(star.get_xdata()) == [2]


def test_a_run_that_went_on_has_no_panels_of_its_tests(begin: Callable[..., Tracker]) -> None:
    """The metrics of the test part are measured at each end of a run: they made eight panels of two points, 6,812 pixels wide."""
    curves = {f"{name}/validation": {1: 0.5, 2: 0.6} for name in ("loss", "accuracy", "f1", "precision", "recall")}
    figure = learning_curves(curves, title="bn")
    width, height = figure.get_size_inches()
    assert width < 16 and height < 9 and sum(axes.get_visible() for axes in figure.axes) == 5
    tracker = begin()
    for epoch in (1, 2):
        tracker.metrics(epoch, {"loss/train": 1.0 / epoch, "f1/test": 0.5})
    tracker.finish("FAILED", "x")
    from unittest.mock import patch

    with patch("pipeline.tracking.figures.learning_curves", wraps=learning_curves) as drawn:
        draw(tracker.folder, title="bn")
    assert list(drawn.call_args.args[0]) == ["loss/train"]


def test_of_many_trials_all_are_drawn_and_the_best_named() -> None:
    curves = {f"seed={n}": {1: 0.1 * n, 2: 0.2 * n} for n in range(40)}
    axes = compare(curves, quantity="accuracy/validation", title="sweep").axes[0]
    assert len([line for line in axes.lines if line.get_marker() != "*"]) == 40
    legend = axes.get_legend()
    assert legend is not None and next(text.get_text() for text in legend.get_texts()) == "seed=39"
    assert axes.get_title() == "sweep: all 40 trials, the best 7 named"
    lowest = compare(curves, quantity="loss/validation", title="sweep").axes[0].get_legend()
    assert lowest is not None and next(text.get_text() for text in lowest.get_texts()) == "seed=0"
