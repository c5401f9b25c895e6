"""The tutorial, typed from its first command to its last in an empty folder; and the pages that are built of the documentation."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (\S.*)$", PAGE, re.MULTILINE)
SERVES = "mlflow ui --backend-store-uri sqlite:///mlflow.db"  # until it is stopped


def test_each_command_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert SERVES in COMMANDS and len(COMMANDS) > 10
    for command in COMMANDS:
        words = shlex.split(command)
        if words[0] == "cd":
            monkeypatch.chdir(words[1])
        elif words[0] == "pipeline":
            small = ["tracking=none", "training.epochs=2"] if "+experiment" in command and "task=" not in command else []
            assert cli.main([*words[1:], *small]) == 0, capfd.readouterr().err
        elif words[0] == "python":
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run([sys.executable, *words[1:]], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        else:
            assert command == SERVES
    made = ("predictions.csv", "runs/first/model.npz", "runs/sweeps/grid/report.md")
    assert all((tmp_path / "flats" / name).is_file() for name in made)


@pytest.mark.integration
def test_the_pages_are_built_without_a_warning_and_ask_nothing_of_a_network(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "mlruns", "site", "build", "*.egg-info"))
    _run([sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")], source)
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")]
    options = (tmp_path / "site/reference/options.html").read_text(encoding="utf-8")
    assert "optimizer=adam" in options and "Kingma" in options and len(pages) > 10
    fetched = {url for page in pages for url in re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:[^\"]+)", page)}
    assert fetched == set()


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
