"""Figures are drawn from whatever a journal holds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.tracking import answers, inside, rates, trials
from pipeline.tracking.curves import confusion_matrix, learning_curves
from pipeline.tracking.figures import draw
from pipeline.tracking.health import Health, Histogram, LayerHealth, TensorHealth
from pipeline.tracking.journal import Compare, Compared
from pipeline.tracking.tested import Answered, kept, read, write
from pipeline.tracking.tracker import Tracker
from pipeline.tracking.trials import compare


def test_one_panel_per_quantity_one_line_per_part() -> None:
    curves = {
        "loss/train": {0: 1.0, 1: 0.5},
        "loss/validation": {0: 1.1, 1: 0.7},
        "accuracy/validation": {0: 0.5, 1: 0.8},
        "learning_rate": {0: 0.1, 1: 0.1},
        "time/epoch_s": {0: 0.1, 1: 0.2},
    }
    figure = learning_curves(curves, title="bn")
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "accuracy"]
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
    assert list(draw(begin().folder, title="bn")) == []


def test_files_are_whole_pictures(begin: Callable[..., Tracker]) -> None:
    tracker = begin()
    for epoch in range(3):
        tracker.metrics(epoch, {"loss/train": 1.0 / (1 + epoch)})
    tracker.confusion(["cat", "a dog"], [[3, 1], [0, 4]], part="validation")
    paths = list(draw(tracker.folder, title="bn"))
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
        list(draw(tracker.folder, title="bn"))
    assert list(drawn.call_args.args[0]) == ["loss/train"]


def test_of_many_trials_all_are_drawn_and_the_best_named() -> None:
    curves = {f"seed={n}": {1: 0.1 * n, 2: 0.2 * n} for n in range(40)}
    figure = compare(curves, quantity="accuracy/validation", title="sweep")
    axes = figure.axes[0]
    assert len([line for line in axes.lines if line.get_marker() != "*"]) == 40
    legend = axes.get_legend()
    assert legend is not None and next(text.get_text() for text in legend.get_texts()) == "seed=39"
    assert figure.get_suptitle() == "sweep: all 40 trials, the best 7 named"
    lowest = compare(curves, quantity="loss/validation", title="sweep").axes[0].get_legend()
    assert lowest is not None and next(text.get_text() for text in lowest.get_texts()) == "seed=0"


def answered(task: str, names: list[str], prediction: Any, y: Any, **rest: Any) -> Answered:
    found = kept(task, names, np.asarray(prediction), np.asarray(y), **rest)
    assert found is not None
    return found


def kinds_of_data() -> dict[str, Answered]:
    """Ten of what a test part can be."""
    r = np.random.default_rng(0)

    def classes(rows: int, count: int, *, sharp: float = 3.0) -> tuple[Any, Any]:
        y = r.integers(0, count, rows)
        logits = r.normal(size=(rows, count)) + sharp * np.eye(count)[y]
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), y

    def named(count: int) -> list[str]:
        return [f"class {n}" for n in range(count)]

    p, y = classes(300, 3)
    binary, which = classes(200, 2, sharp=1.0)
    many, of_many = classes(900, 40)
    rare = np.where(r.uniform(size=400) < 0.02, 1, 0)
    labels = (r.uniform(size=(100, 3)) < 0.4).astype(int)
    numbers = r.normal(size=(50, 1)) * 1e5
    return {
        "three classes": answered("classification", named(3), p, y),
        "two classes": answered("classification", ["no", "yes"], binary, which),
        "forty classes": answered("classification", named(40), many, of_many),
        "a rare class": answered("classification", ["no", "yes"], np.stack([1 - rare * 0.7, rare * 0.7], axis=1), rare),
        "all right": answered("classification", named(3), np.eye(3)[y], y),
        "a long name": answered("classification", ["a" * 80, "$x_1$ <b>"], binary, which),
        "images": answered("classification", named(3), p, y, images=lambda places: r.uniform(size=(len(places), 8, 8, 1))),
        "labels": answered("multilabel", ["a", "b", "c"], np.clip(labels + r.normal(0, 0.4, labels.shape), 0, 1), labels),
        "prices": answered("regression", ["price"], numbers + r.normal(size=(50, 1)) * 1e4, numbers),
        "six targets": answered("regression", [], r.normal(size=(9000, 6)), r.normal(size=(9000, 6))),
    }


@pytest.mark.parametrize("kind", list(kinds_of_data()))
def test_what_was_answered_is_drawn_whatever_the_data(begin: Callable[..., Tracker], kind: str) -> None:
    found = kinds_of_data()[kind]
    folder = begin().folder
    write(folder, found)
    names = {path.stem for path in draw(folder)}
    if found.task == "regression":
        assert names == {"test_values"}
    else:
        assert names == {"test_curves", *(["test_mistakes"] if found.images is not None else [])}
    again = read(folder)
    assert again is not None and np.array_equal(again.prediction, found.prediction) and again.names == found.names


def test_the_curves_are_those_of_scikit_learn() -> None:
    skm = pytest.importorskip("sklearn.metrics")
    calibration = pytest.importorskip("sklearn.calibration")
    r = np.random.default_rng(1)
    score, positive = r.integers(0, 30, 300) / 30, r.uniform(size=300) < 0.3
    curve, precise = rates.roc(score, positive), rates.precision_recall(score, positive)
    assert curve is not None and precise is not None
    x, y, _ = skm.roc_curve(positive, score, drop_intermediate=False)
    assert np.allclose(curve.x, x) and np.allclose(curve.y, y) and np.isclose(curve.area, skm.roc_auc_score(positive, score))
    precision, recall, _ = skm.precision_recall_curve(positive, score)
    assert np.allclose(precise.x[:0:-1], recall[:-1]) and np.allclose(precise.y[:0:-1], precision[:-1])
    assert np.isclose(precise.area, skm.average_precision_score(positive, score))
    sure = rates.reliability(r.uniform(size=300), positive)
    assert sure.rows.sum() == 300
    right, mean = calibration.calibration_curve(positive, score, n_bins=10)
    own = rates.reliability(np.maximum(score - 1e-9, 0), positive)
    assert np.allclose(own.right, right) and np.allclose(own.confidence, mean)
    assert rates.roc(score, np.ones(300, bool)) is None and rates.precision_recall(score, np.zeros(300, bool)) is None


def test_a_long_curve_is_thinned_along_its_way() -> None:
    r = np.random.default_rng(2)
    score = r.uniform(size=20_000)
    curve = rates.roc(score, r.uniform(size=20_000) < score)
    assert curve is not None and len(curve.x) <= rates.MOST_POINTS
    assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1) and np.all(np.diff(curve.x) >= 0)


def test_the_most_mistaken_are_those_whose_class_got_the_least() -> None:
    p = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7]])
    found = answered("classification", ["a", "b"], p, [1, 1, 1, 0], images=lambda places: np.zeros((len(places), 2, 2, 3)))
    assert found.mistaken.tolist() == [[0, 1, 0, 0.9], [3, 0, 1, 0.7], [1, 1, 0, 0.6]]
    assert found.images is not None and found.images.shape == (3, 2, 2, 3)
    figure = answers.mistakes_figure(found, title="x")
    assert figure is not None and [axes.get_title() for axes in figure.axes][:1] == ["b\nsaid a 90%"]


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, (5).to_bytes(8, "little") + b"[1,2]", (2).to_bytes(8, "little") + b"{}"])
def test_a_file_that_is_none_of_ours_is_no_picture(begin: Callable[..., Tracker], content: bytes) -> None:
    folder = begin().folder
    (folder / "test.safetensors").write_bytes(content)
    assert read(folder) is None and list(draw(folder)) == []


def sweep(values: dict[str, list[str]], *, grows: bool = True, seeds: int = 2) -> Compare:
    """A grid with a value that depends on it."""
    made, curves = [], {}
    for number, cells in enumerate(itertools.product(*values.values(), map(str, range(seeds)))):
        params = dict(zip([*values, "seed"], cells, strict=True))
        label = ", ".join(f"{name}={value}" for name, value in params.items())
        value = 1.0 / (1 + number)
        made.append(Compared(label=label, value=value if number else "nan", params=params, done=number != 1))
        curves[label] = {str(epoch): value * epoch for epoch in (1, 2, 3)}
    return Compare(quantity="accuracy/validation", what="digits", curves=curves, grows=grows, trials=tuple(made), repeats=("seed",))


def test_a_sweep_is_drawn_in_five_pictures(begin: Callable[..., Tracker]) -> None:
    tracker = begin()
    tracker.journal.write(sweep({"optimizer.learning_rate": ["0.1", "0.01", "0.001"], "activation": ["relu", "tanh"]}))
    assert [path.stem for path in draw(tracker.folder, title="sweep")] == ["trials", "arms", "parameters", "together", "best_so_far"]


def test_the_pictures_of_a_sweep_have_its_scales_its_trials_and_its_arms() -> None:
    found = trials.trials_of(sweep({"optimizer.learning_rate": ["0.1", "0.01", "0.001"], "activation": ["relu", "tanh"]}))
    assert len(found.done) == 10 and found.begun == 12 and found.names == ("optimizer.learning_rate", "activation")
    figures = trials.drawn(found, title="sweep: s")
    assert "digits over learning_rate, activation (sweep: s)" in figures["parameters"].get_suptitle().replace("\n", " ")
    rate, kind = figures["parameters"].axes
    assert rate.get_xscale() == "log" and [label.get_text() for label in kind.get_xticklabels()] == ["relu", "tanh"]
    heat = figures["together"].axes[0]
    assert [label.get_text() for label in heat.get_xticklabels()] == ["0.001", "0.01", "0.1"]
    legend = figures["arms"].axes[0].get_legend()
    assert legend is not None and {text.get_text() for text in legend.get_texts()} <= {
        f"learning_rate={rate}, activation={kind}  (2)" for rate in ("0.1", "0.01", "0.001") for kind in ("relu", "tanh")
    }
    assert max(figures["best_so_far"].axes[0].get_lines()[0].get_ydata()) == max(trial.value for trial in found.done)  # type: ignore[arg-type]


def test_a_sweep_of_which_little_is_known_is_drawn_all_the_same() -> None:
    alone = Compare(quantity="loss/validation", curves={"a": {"1": 0.5, "2": 0.4}})
    assert list(trials.drawn(trials.trials_of(alone), title="s")) == ["trials"]
    random = trials.trials_of(
        Compare(
            quantity="loss/validation",
            curves={str(n): {"1": 1.0 * n} for n in range(8)},
            trials=tuple(Compared(label=str(n), value=1.0 * n, params={"a": str(2.0**n), "b": str(n / 8)}, done=True) for n in range(8)),
        )
    )
    dots = trials.drawn(random, title="s")["together"].axes[0]
    assert dots.get_xscale() == "log" and len(dots.collections) == 1  # values that do not come again are no grid


def looked(step: int, *, layers: int = 2, dead: int = 0) -> Health:
    values = Histogram(low=-1.0, high=1.0 + step, counts=(1, 5, 9, 5, 1))
    return Health(
        epoch=step // 10,
        step=step,
        rows=128,
        loss=1.0,
        data_loss=1.0,
        layers=tuple(
            LayerHealth(
                name=f"relu{n}", kind="relu", units=8, dead=dead, alike=False, saturated=0.0, mean=0.0, deviation=1.0, values=values
            )
            for n in range(layers)
        ),
        tensors=tuple(
            TensorHealth(name=f"fc{n}.{part}", size=64, scale=float(part == "weight"), gradient=0.1, update=1e-3, values=values)
            for n in range(layers)
            for part in ("weight", "bias")
        ),
    )


def test_the_inside_of_a_network_is_drawn_over_time() -> None:
    figures = inside.drawn([looked(0), looked(10), looked(10, dead=2), looked(80, dead=4)], title="bn")
    gradients, steps, dead, full = figures["health"].axes
    assert {line.get_label() for line in gradients.lines} == {"fc0.weight", "fc1.weight"}
    assert [float(y) for y in dead.lines[0].get_ydata()] == [0.0, 0.25, 0.5]  # type: ignore[arg-type]  # the later look at step 10 counts
    assert float(steps.lines[0].get_ydata()[0]) == pytest.approx(1e-3) and full.get_title() == "saturated values: none"  # type: ignore[arg-type,index]
    assert [axes.get_title() for axes in figures["histograms"].axes] == ["layer relu0", "layer relu1", "fc0.weight", "fc1.weight"]
    assert inside.drawn([looked(0)], title="bn") == {}


def test_a_deep_network_is_drawn_by_some_of_its_layers() -> None:
    figures = inside.drawn([looked(step, layers=60) for step in (0, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120)], title="bn")
    assert len(figures["health"].axes[0].lines) <= 8 and len(figures["histograms"].axes) <= 16
