"""The page on extensions: its module has a kind of each family, and its commands run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipeline import cli
from tests.extend.conftest import Write

PAGE = (Path(__file__).parents[2] / "docs/extending.md").read_text(encoding="utf-8")
(MODULE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(TYPED,) = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [shlex.split(line) for line in TYPED.replace("\\\n", " ").splitlines()]
SMALL = {"task=check": None, "task=evaluate": [], "-m": ["training.epochs=2", "tracking=none"], "": ["tracking=none"]}


def test_the_module_of_the_page_does_what_its_commands_ask(module: Write, capsys: pytest.CaptureFixture[str]) -> None:
    module("mine", MODULE)
    for words in COMMANDS:
        assert words[:3] == ["python", "-m", "pipeline"]
        smaller = SMALL[next(word for word in SMALL if not word or word in words[3:])]
        if smaller is not None:  # the contract: tests/extend/test_contract.py, test_installed.py
            assert cli.main([*words[3:], *smaller]) == 0
    told = capsys.readouterr()
    assert "callback enough stopped it: the loss was below 0.2 for 2 epochs" in told.out or "trained 40 epochs" in told.out
    assert told.out.count("surprise") >= 2 and "3 of 3 jobs done" in told.out
