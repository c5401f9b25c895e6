"""Every command of docs/tables.md does what the page says, on the table that it is about."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline import cli
from tests.docs import tables

PAGE = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
SECTIONS = {found[1]: found[2] for found in re.finditer(r"^## (\w+):(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)}
MADE = {make.__name__: make for make in tables.TABLES}


def commands(section: str) -> list[tuple[list[str], list[str]]]:
    """(arguments, lines that must come out) of each command."""
    found: list[tuple[list[str], list[str]]] = []
    for line in (line.strip() for line in section.splitlines() if line.startswith("    ")):
        if line.startswith("$ python -m pipeline "):
            found.append((shlex.split(line)[4:], []))
        elif found:
            found[-1][1].append(line)
    return found


def test_the_page_has_the_ten_tables() -> None:
    assert list(SECTIONS) == list(MADE) and len(MADE) == 10


@pytest.mark.parametrize("name", MADE)
def test_a_table_is_told_and_trained_on_as_the_page_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = MADE[name](tmp_path)
    shown = [line.strip() for line in SECTIONS[name].partition("$ ")[0].splitlines() if line.startswith("    ") and line.strip()]
    head = [" ".join(line.split()) for line in path.read_text(encoding="utf-8").splitlines()]
    assert path.stat().st_size < 50_000 and [" ".join(line.split()) for line in shown] == head[: len(shown)]
    told, trained = commands(SECTIONS[name])
    assert told[0][0] == "task=data" and told[1], "there is something to see"
    for arguments, lines in (told, (trained[0] + ["training.epochs=3", "tracking=none"], trained[1])):
        assert cli.main(arguments) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert not [line for line in lines if " ".join(line.split()) not in said]
    assert len(list((tmp_path / "runs").iterdir())) == 1
