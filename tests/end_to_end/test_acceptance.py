"""What the project promises, on the real product: accuracy on real data, bits that repeat."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.tracking.journal import last_values, read_journal
from tests.end_to_end.conftest import Command
from tests.end_to_end.test_train import assert_same_run

FASHION = Path(__file__).parents[3] / "shared" / "data" / "fashion-mnist"
RECIPE = ("+experiment=bn", "data=fashion_mnist", f"data.root={FASHION}", "training.epochs=10")

DIGITS = ("+experiment=cnn", "training.epochs=30", "training.batch_size=32")


@pytest.mark.slow
def test_fashion_mnist_reaches_the_accuracy_of_the_recipe(work: Path, pipeline_command: Command) -> None:
    """784-512-512-10, batch norm, dropout 0.2, Adam 1e-3, batch 128: each seed at least 0.883, the mean at least 0.886."""
    if not FASHION.is_dir():
        pytest.skip("Fashion-MNIST does not lie in ../shared/data/fashion-mnist")
    accuracies = []
    for seed in range(3):
        finished = pipeline_command(*RECIPE, f"seed={seed}", f"output=runs/{seed}")
        assert finished.returncode == 0, finished.stderr
        accuracies.append(last_values(read_journal(work / "runs" / str(seed)))["accuracy/test"])
    print(json.dumps(accuracies))
    assert min(accuracies) >= 0.883 and sum(accuracies) / 3 >= 0.886, accuracies


@pytest.mark.slow
def test_the_small_cnn_reaches_its_accuracy_on_digits(work: Path, pipeline_command: Command) -> None:
    for seed in range(3):
        finished = pipeline_command(*DIGITS, f"seed={seed}", f"output=runs/{seed}")
        assert finished.returncode == 0, finished.stderr
        assert last_values(read_journal(work / "runs" / str(seed)))["accuracy/test"] >= 0.985


@pytest.mark.slow
def test_the_small_cnn_reaches_its_accuracy_on_fashion_mnist_in_five_epochs(work: Path, pipeline_command: Command) -> None:
    if not FASHION.is_dir():
        pytest.skip("Fashion-MNIST does not lie in ../shared/data/fashion-mnist")
    finished = pipeline_command("+experiment=cnn", "data=fashion_mnist", f"data.root={FASHION}", "output=runs/fashion")
    assert finished.returncode == 0, finished.stderr
    assert last_values(read_journal(work / "runs" / "fashion"))["accuracy/test"] >= 0.912


@pytest.mark.slow
@pytest.mark.parametrize(("architecture", "least"), [("preact_resnet20", 0.85), ("densenet_small", 0.84)])
def test_later_networks_learn_fashion_mnist_in_an_epoch(architecture: str, least: float, work: Path, pipeline_command: Command) -> None:
    if not FASHION.is_dir():
        pytest.skip("Fashion-MNIST does not lie in ../shared/data/fashion-mnist")
    recipe = ("training=fixed", "training.epochs=1", "training.batch_size=128", "regularization=none", "schedule=one_cycle")
    words = (f"architecture={architecture}", "data=fashion_mnist", f"data.root={FASHION}", "optimizer.learning_rate=0.003", *recipe)
    finished = pipeline_command(*words, "output=runs/fashion")
    assert finished.returncode == 0, finished.stderr
    assert last_values(read_journal(work / "runs" / "fashion"))["accuracy/test"] >= least


def test_one_and_two_threads_train_the_same_bits(work: Path, pipeline_command: Command) -> None:
    for threads in (1, 2):
        finished = pipeline_command("+experiment=bn", "training.epochs=2", f"backend.threads={threads}", f"output={threads}")
        assert finished.returncode == 0, finished.stderr
    assert_same_run(work / "1", work / "2")
