"""What is asked before any work (--help, --cfg job, completion) starts fast and imports nothing heavy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("mlflow", "optuna", "numba", "llvmlite", "cupy", "sklearn", "pandas", "pyarrow", "matplotlib", "torch", "scipy")

RUN = """
import sys
from pipeline.cli import main
code = main(sys.argv[1:])
print("heavy:", sorted({name.partition(".")[0] for name in sys.modules} & set(HEAVY)))
sys.exit(code)
""".replace("HEAVY", repr(HEAVY))


def ask(*argv: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", RUN, *argv],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def options(group: str) -> list[str]:
    """The options of a group, as its folder has them."""
    return sorted(path.stem for path in (ROOT / "conf" / group).glob("*.yaml"))


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (
            ["--help"],
            ["python -m pipeline +experiment=bn", f"optimizer: {', '.join(options('optimizer'))}", "learning_rate: 0.001", "Exit codes:"],
        ),
        (["--cfg", "job", "+experiment=bn"], ["kind: batch", "batch_size: 128"]),
        (["--cfg", "job", "--package", "optimizer", "optimizer=sgd"], ["# @package optimizer\nkind: sgd\nlearning_rate: 0.1\n"]),
        (["--info", "defaults"], ["optimizer"]),
        (["--shell-completion", "install=bash"], ["hydra_bash_completion"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_question_is_answered_without_heavy_imports(argv: list[str], wanted: list[str], tmp_path: Path) -> None:
    answer = ask(*argv, folder=tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.endswith("heavy: []\n")
    for text in wanted:
        assert text in answer.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("pipeline optimizer=", " ".join(f"optimizer={name}" for name in options("optimizer"))),
        ("pipeline optimizer.learn", "optimizer.learning_rate="),
        ("pipeline experiment=", " ".join(f"experiment={name}" for name in options("experiment"))),
        ("pipeline +experiment=b", " ".join(f"+experiment={name}" for name in options("experiment") if name.startswith("b"))),
    ],
)
def test_the_shell_is_offered_groups_options_and_keys(line: str, words: str, tmp_path: Path) -> None:
    answer = ask("-sc", "query=bash", folder=tmp_path, COMP_LINE=line, COMP_POINT=str(len(line)))
    assert answer.stdout == f"{words}\nheavy: []\n"


def test_the_module_is_a_command(tmp_path: Path) -> None:
    answer = subprocess.run([sys.executable, "-m", "pipeline", "optimizer=adamm"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == "error: optimizer = adamm: unknown option; did you mean adam?\n"


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m pipeline --help | head -n 1"
    answer = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (answer.returncode, answer.stderr) == (0, "")
