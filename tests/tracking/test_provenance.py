"""Parameters and tags say what a run was made from."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pipeline.tracking.provenance import flatten, provenance
from tests.tracking.conftest import CONFIG


def test_the_config_becomes_one_level_of_parameters() -> None:
    assert flatten(CONFIG) == {
        "seed": "3",
        "architecture.layers.0.kind": "dense",
        "architecture.layers.0.units": "8",
        "architecture.layers.1.kind": "dense",
        "architecture.layers.1.units": "4",
        "preprocessing.steps": '["center", "standardize"]',
        "optimizer.kind": "adam",
        "optimizer.learning_rate": "0.001",
    }


def test_empty_and_missing_values_are_told() -> None:
    assert flatten({"a": None, "b": {}, "c": [], "d": True}) == {"a": "null", "b": "{}", "c": "[]", "d": "true"}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert "pipeline.commit" not in provenance(code=tmp_path)
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "-q", "-m", "a")
    commit = git(tmp_path, "rev-parse", "HEAD")
    tags = provenance(code=tmp_path)
    assert (tags["pipeline.commit"], tags["pipeline.dirty"], tags["mlflow.source.git.commit"]) == (commit, "false", commit)
    (tmp_path / "a").write_text("2")
    assert provenance(code=tmp_path)["pipeline.dirty"] == "true"


def test_versions_seed_command_and_process_without_a_checkout(tmp_path: Path) -> None:
    tags = provenance(seed=0, command=["python", "-m", "pipeline", "data.path=my file.csv"], code=tmp_path)
    assert tags["pipeline.seed"] == "0"
    assert tags["pipeline.command"] == "python -m pipeline 'data.path=my file.csv'"
    assert {"pipeline.python", "pipeline.numpy", "pipeline.version", "pipeline.host", "pipeline.pid"} <= set(tags)
    assert "pipeline.commit" not in tags
