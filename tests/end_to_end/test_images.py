"""A folder of images from the first look to the predictions: the run on arrays of the same pixels, bit for bit."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.data.arrays.shipped import digits
from pipeline.data.settings import Data
from pipeline.tasks.results import Result
from tests.end_to_end.conftest import Command

COURSE = ["training.epochs=3", "training.batch_size=32", "tracking=none"]


@pytest.fixture(autouse=True)
def pictures(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits as PNGs in digits/CLASS/, and the same in the same order in digits.npz."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(work / "cache"))
    raw = digits(Data())
    x = np.asarray(raw.x).astype(np.uint8)
    order = np.argsort(raw.y, kind="stable")
    for row in order:
        path = work / "digits" / str(raw.y[row]) / f"{row:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(x[row, ..., 0]).save(path)
    np.savez(work / "digits.npz", x=x[order], y=raw.y[order])


def trained(*overrides: str) -> Result:
    return pipeline.train(pipeline.compose([*COURSE, *overrides]), quiet=True)


@pytest.mark.parametrize(
    "options",
    [[], ["data.stream=true"], ["architecture=cnn_small", "augmentation=shift", "training.epochs=1"]],
    ids=["mlp", "streamed", "cnn"],
)
def test_digits_as_images_are_the_run_on_arrays_bit_for_bit(work: Path, options: list[str]) -> None:
    images = trained("data=image_folder", "data.path=digits", *options)
    arrays = trained("data=npz", "data.path=digits.npz", *[text for text in options if "stream" not in text])

    def losses(result: Result) -> list[dict[str, float]]:
        return [{name: value for name, value in epoch.items() if not name.startswith("time")} for epoch in result.epochs]

    assert losses(images) == losses(arrays) and images.epochs
    x = np.load("digits.npz")["x"]
    predicted = pipeline.load(images.folder).predict(x)
    np.testing.assert_array_equal(predicted, pipeline.load(arrays.folder).predict(x))
    assert images.metrics["accuracy/test"] == arrays.metrics["accuracy/test"]


def test_a_folder_is_described_trained_on_evaluated_and_predicted(work: Path, pipeline_command: Command) -> None:
    told = pipeline_command("task=data", "data=image_folder", "data.path=digits")
    assert told.returncode == 0 and "digits: 1,797 images, 10 classes" in told.stdout
    assert "each becomes uint8 [8, 8, 1] (height, width, gray)" in told.stdout and "182" in told.stdout

    run = trained("data=image_folder", "data.path=digits").folder
    predicted = pipeline_command("task=predict", f"run={run}", "data.path=digits", "output=told.csv", "keep=[row]")
    assert predicted.returncode == 0, predicted.stderr
    with (work / "told.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["file", "row", "class"] and rows[1]["file"] == "0/0010.png" and len(rows) == 1797
    probability = pipeline.load(run).predict(np.load("digits.npz")["x"])
    np.testing.assert_array_equal([[float(row[f"probability_{c}"]) for c in range(10)] for row in rows], probability)
    one = pipeline_command("task=predict", f"run={run}", "data.path=digits/3/0003.png", "output=one.csv")
    assert one.returncode == 0 and (work / "one.csv").read_text().splitlines()[1].startswith("0003.png,3,")

    evaluated = pipeline_command("task=evaluate", f"run={run}", "data.path=digits")
    assert evaluated.returncode == 0 and "train" in evaluated.stdout
    Path("digits/7").rename("seven")
    other = pipeline_command("task=evaluate", f"run={run}", "data.path=digits")
    assert other.returncode == 0 and (run / "evaluation-digits.json").exists(), other.stderr


def test_what_cannot_be_read_leaves_nothing_behind(work: Path, pipeline_command: Command) -> None:
    Path("digits/7/0007.png").write_bytes(b"no image")
    refused = pipeline_command("data=image_folder", "data.path=digits")
    hint = "convert it, or give data.image.skip=true, which leaves out what cannot be read"
    assert refused.returncode == 2
    assert refused.stderr == f"error: data.path = digits/7/0007.png: is no PNG or JPEG image, it begins with 6e 6f 20 69; {hint}\n"
    assert not Path("runs").exists() and not list(Path("cache/caviar/images").iterdir())
    followed = pipeline_command("data=image_folder", "data.path=digits", "data.image.skip=true", *COURSE[:2])
    assert followed.returncode == 0 and "1 file that cannot be read left out: 7/0007.png" in followed.stdout
