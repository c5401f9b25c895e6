"""Every command that the pages tell a reader to type works: it is run here with small numbers, or is listed as long with the reason."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline import cli
from tests.data.arrays.test_idx import contents

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "examples").glob("*.py"))]

LONG = {
    "mlflow ui --backend-store-uri sqlite:///mlflow.db": "serves a page until it is stopped",
    "mlflow models serve -m runs:/ID/model --env-manager local": "serves until it is stopped; tests/tracking/test_served.py asks it",
    ". .venv/bin/activate": "changes the shell that reads it",
    "python -m benchmarks cnn roofline": "minutes; tests/benchmarks runs its parts",
    "python -m benchmarks NAME": "minutes; tests/benchmarks runs its parts",
    "python -m tests.golden.record": "writes the record that tests/golden compares with",
    'eval "$(pipeline --shell-completion install=bash)"': "changes the shell that reads it; tests/config/test_start.py asks for the script",
}

# what makes a command small, by a word of it; the first that fits
SMALLER = {
    "--help": (),
    "+experiment=softmax_example": (),
    "task=check": ("check.rows=8", "architecture=softmax_regression"),
    "task=lr_range": ("lr_range.steps=20", "architecture=softmax_regression"),
    "task=explain": ("architecture=mlp_small",),
    "task=new": (),
    "--config-dir": ("training.epochs=1", "tracking=none"),
    "task=evaluate": (),
    "task=predict": (),
    "task=fork": ("tracking=none",),  # of one batch each
    "training.epochs=30": (),
    "resume=runs/FOLDER": ("training.epochs=2",),
    "resume=runs/sweeps/NAME": (),
    "data=csv": ("training.epochs=1", "training.batch_size=8", "architecture=linear", "tracking=none"),
    "data=fashion_mnist": ("training.epochs=1", "training.batch_size=8", "architecture=mlp_small", "tracking=none"),
    "backend=reference": ("architecture=mlp_small", "tracking=none"),
    "-m": ("training.epochs=1", "architecture=softmax_regression", "tracking=none"),
    "": ("training.epochs=1", "tracking=none"),
}


def _typed(page: Path) -> Iterator[str]:
    """What a page shows to be typed: in code type within a line, as an indented line, or as a line of an example's docstring."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        yield from (line for line in text.split('"""')[1].splitlines())
        return
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith("    "):
            yield from paragraph.splitlines()
        else:
            yield from re.findall(r"`([^`]+)`", " ".join(paragraph.split()))


def _commands(page: Path) -> list[str]:
    starts = ("python ", "make ", "mlflow ", "eval ", ". ", "pip ", "pipeline ")
    lines = (re.sub(r"\s{2,}#.*", "", line).strip().removeprefix("$ ") for line in _typed(page))
    return [line for line in lines if line.startswith(starts)]


COMMANDS = sorted({command for page in PAGES for command in _commands(page)})


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the commands name: a table, new rows for it, a run trained on it, and the files of a set of images."""
    folder = tmp_path_factory.mktemp("commands")
    rows = np.random.default_rng(0).normal(size=(20, 3)).round(3)
    lines = [f"{a},{b},{c}" for a, b, c in rows]
    (folder / "my.csv").write_text("\n".join(["rooms,area,price", *lines]) + "\n")
    (folder / "new.csv").write_text("\n".join(["rooms,area", *(line.rpartition(",")[0] for line in lines)]) + "\n")
    (folder / "FOLDER").mkdir()
    for name, content in contents().items():
        (folder / "FOLDER" / name).write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        table = ["data=csv", "data.path=my.csv", "data.target=price", "data.task=regression"]
        assert cli.main([*table, *SMALLER["data=csv"], "output=runs/FOLDER"]) == 0
        assert cli.main(["task=new"]) == 0
        assert cli.main(["-m", "seed=0,1", "hydra.sweep.dir=runs/sweeps/NAME", *SMALLER["-m"]]) == 0
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, as the working directory."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _runs(command: str) -> list[str]:
    """The arguments of a command line of ours, made small."""
    words = shlex.split(command)[3:]
    words = ["+experiment=softmax_example" if word == "+experiment=NAME" else word for word in words]
    return [*words, *next(small for word, small in SMALLER.items() if not word or word in words)]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("python -m pipeline") and "adamm" not in c and c not in LONG])
def test_a_command_line_runs(command: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(_runs(command)) == 0, capsys.readouterr().err


def test_a_mistake_is_told_as_the_page_shows_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = re.findall(r"^    \$ python -m pipeline (.*)\n    (.*)\n", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert shown
    for words, line in shown:
        assert cli.main(shlex.split(words)) == 2
        assert capsys.readouterr().err == line + "\n"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_a_target_is_in_the_makefile(command: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert command.split()[1] in targets


def test_no_other_command_is_shown() -> None:
    """What is neither run here, nor a test or an example that the suite runs, nor listed as long."""
    others = [c for c in COMMANDS if not c.startswith(("python -m pipeline", "make ")) and c not in LONG]
    for command in others:
        words = shlex.split(command)
        known = words[:3] == ["python", "-m", "pytest"] or words[1].startswith("examples/")
        assert known and (ROOT / words[-1]).exists(), f"{command}: run it in a test, or list it in LONG with the reason"


def test_what_is_listed_as_long_is_shown() -> None:
    assert not set(LONG) - set(COMMANDS)
