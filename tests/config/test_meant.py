"""What a command line says by what it leaves out, and mistakes of a letter whose hint works when it is followed."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipeline
from pipeline.config.spec import experiment
from pipeline.errors import ConfigError


def kind(*overrides: str) -> str:
    return experiment(pipeline.compose(overrides)).data.kind


def test_a_path_says_what_data_it_is(tmp_path: Path) -> None:
    assert kind(f"data.path={tmp_path}/a.csv") == "table"
    assert kind(f"data.path={tmp_path}/größe (1).parquet", "data.target=y") == "table"
    assert kind(f"data.path={tmp_path}/a.NPZ") == "npz"
    assert kind(f"data.path={tmp_path}") == "image_folder"
    assert kind("data.query=SELECT 1") == "sql"
    assert kind(f"data.path={tmp_path}/a.csv", "data=parquet") == "parquet"
    assert kind() == kind("data.path=null") == kind("run=runs/x", "task=predict", "data.path=a.csv", "output=b.csv") == "digits"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.epochs==2", "training.epochs = =2: has one = too many; write training.epochs=2"),
        ("optimizer=", "optimizer = null: a group needs an option; use one of "),
        ("data=", "data = null: a group needs an option; use one of "),
    ],
)
def test_the_hint_works_when_it_is_followed(override: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        pipeline.compose([override])
    told = str(error.value)
    assert told.startswith(sentence) and "\n" not in told
    if "write " in told:
        pipeline.compose([told.rpartition("write ")[2]])
    else:
        key = override.rstrip("=")
        pipeline.compose([f"{key}={told.rpartition('use one of ')[2].split(', ')[0]}"])


@pytest.mark.parametrize("mark", [",", ";", "|", ":"])
def test_a_mark_is_a_delimiter_without_quotes(mark: str) -> None:
    assert experiment(pipeline.compose(["data=csv", "data.path=a.csv", f"data.delimiter={mark}"])).data.delimiter == mark
