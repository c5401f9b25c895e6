"""Nothing is imported that the user did not name: not by a run folder, a sweep, a model, or a config file that may be of somebody else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import pipeline
from pipeline import cli
from pipeline.errors import RunError
from pipeline.extend import load
from pipeline.tasks import served
from tests.extend.conftest import GATES, Write
from tests.refusal import refused

ROOT = Path(__file__).parents[2]
SMALL = (
    "data=wine", "architecture.layers=[{kind: gate}]", "training.batch_size=16", "training.epochs=1", "tracking=none", "output=run"
)  # fmt: skip
IMPORTED = Path("imported")
MARK = "\nimport pathlib\npathlib.Path('imported').write_text('x')\n"
TELL = """
import contextlib, io, json, sys
from pathlib import Path
from pipeline.cli import main
for argv in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(argv)
    print(json.dumps([code, out.getvalue(), err.getvalue(), Path("imported").exists()]))
"""


def fresh(*commands: Sequence[str], place: Path) -> list[list[Any]]:
    """Exit code, output, errors of each command, and whether the module was imported by then; in a process that has loaded nothing."""
    told = subprocess.run(
        [sys.executable, "-c", TELL, json.dumps(commands)],
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": f"{ROOT}:{place}", "PATH": "/usr/bin:/bin", "HOME": "/"},
    )
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_a_run_folder_names_its_extension_and_imports_nothing(module: Write, tmp_path: Path) -> None:
    text = f"{GATES}{MARK}"
    name = module("gates_e", text)
    assert fresh([*SMALL, f"extensions=[{name}]"], place=tmp_path / "theirs")[0][0] == 0
    IMPORTED.unlink()
    needs = "needs the extension gates_e, which can run any code, so nothing of it was imported; if you trust it, give extensions=[gates_e]"
    asked = (["task=evaluate", "run=run"], ["task=fork", "run=run"], ["resume=run", "training.epochs=2"], ["task=explain", "run=run"])
    allowed = [["task=evaluate", "run=run", f"extensions=[{name}]"], ["resume=run", "training.epochs=2", f"extensions=[{name}]"]]
    told = fresh(*asked, *allowed, place=tmp_path / "theirs")
    for code, _, error, imported in told[: len(asked)]:
        assert (code, error, imported) == (2, f"error: run: {needs}\n", False)
    for code, _, error, imported in told[len(asked) :]:
        assert (code, imported) == (0, True), error
    assert "trained 2 epochs" in told[-1][1]


def test_python_allows_it_by_an_argument(module: Write) -> None:
    name = module("gates_f")
    pipeline.train(pipeline.compose([*SMALL, f"extensions=[{name}]"]), quiet=True)
    config = Path("run/config.yaml")
    config.write_text(config.read_text().replace("gates_f", "gates_g"))
    module("gates_g", f"{GATES}{MARK}".replace('"gate"', '"gate_g"').replace("surprise", "surprise_g"))
    with pytest.raises(RunError, match=r"\Arun: needs the extension gates_g, which can run any code, so nothing of it was imported; "):
        pipeline.load("run")
    assert not IMPORTED.exists()
    pipeline.load("run", extensions=["gates_g"])
    assert IMPORTED.exists()


FILES: dict[str, Sequence[str]] = {
    "extensions: [gates_h]": (),
    "arms: {a: {extensions: [gates_h]}}": ("arm=a",),
    "defaults: [/own@_global_: x]": (),
}


@pytest.mark.parametrize("content", FILES)
def test_a_config_file_that_may_be_of_somebody_else_imports_nothing(
    module: Write, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module("gates_h", f"{GATES}{MARK}")
    for path, text in {"experiment/e.yaml": content, "own/x.yaml": "extensions: [gates_h]"}.items():
        (tmp_path / "conf" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / path).write_text(f"# @package _global_\n{text}\n")
    asked = ["--config-dir", "conf", "experiment=e", *FILES[content], "hydra.mode=RUN", *SMALL]
    assert cli.main(asked) == 2
    assert "error: extensions = gates_h: " in capsys.readouterr().err
    assert not IMPORTED.exists() and "gates_h" not in sys.modules
    assert cli.main([*asked, "extensions=[gates_h]"]) == (0 if not FILES[content] else 2)


@pytest.mark.integration  # seconds of other processes
def test_a_sweep_goes_on_with_the_extensions_that_are_allowed_again(
    module: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = module("gates_i")
    assert cli.main(["-m", *SMALL[:-1], f"extensions=[{name}]", "seed=0,1"]) == 0
    (sweep,) = Path("runs/sweeps").iterdir()
    refused_, allowed = fresh(["-m", f"resume={sweep}"], ["-m", f"resume={sweep}", "extensions=[gates_i]"], place=tmp_path / "theirs")
    line = "error: extensions = gates_i: is not loaded; give extensions=[gates_i] on this command if you trust it\n"
    assert (refused_[0], refused_[2]) == (2, line)
    assert (allowed[0], allowed[2]) == (0, "") and "2 of 2 jobs done" in allowed[1]


def test_what_is_no_extension_is_told(module: Write) -> None:
    with refused("extensions = gatez: there is no such module, and no installed extension of this name; install its package, or run where "
                 "Python finds it"):  # fmt: skip
        pipeline.compose(["extensions=[gatez]"])
    with refused("extensions = a(1): is no name of a module; write it as Python does: my_package.module"):
        pipeline.compose(["extensions=['a(1)']"])
    with refused("extensions = [gates: must be a list; write extensions=[gates]"):
        pipeline.compose(["extensions=[gates"])


def test_an_unknown_kind_names_what_is_installed_and_not_loaded(module: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "installed", lambda: {"theirs": module("gates_j")})
    monkeypatch.setattr(load, "_tried", [True])  # as a command does that works on a run folder
    known = (
        "use one of activation, add, average_pool, concat, conv, conv_transpose, dense, dropout, flatten, global_average_pool, max_pool, "
    )
    known += "maxout, normalization, reshape, upsample"
    with refused(f"architecture.layers[0].kind = gate: unknown kind; {known}; an installed extension may have it: extensions=[theirs]"):
        pipeline.compose(["architecture.layers=[{kind: gate}]"])
    monkeypatch.setattr(load, "_tried", [])
    assert pipeline.compose(["architecture.layers=[{kind: gate}]"])["architecture"]["layers"] == [{"kind": "gate"}]  # as it is found


def test_an_installed_extension_that_breaks_is_left_out(
    module: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(load, "installed", lambda: {"theirs": module("gates_m", "import nowhere_to_be_found")})
    monkeypatch.setattr(load, "_tried", [])
    assert cli.main(["--cfg", "job"]) == 0
    line = "note: the installed extension theirs is left out: extension gates_m: gates_m, line 1: ModuleNotFoundError: No module named "
    assert capsys.readouterr().err.startswith(f"{line}'nowhere_to_be_found'; the traceback is in ")


def test_a_module_beside_the_work_is_found_by_an_installed_command_too(
    module: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs" / f"{module('gates_n')}.py").rename(tmp_path / "gates_n.py")
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    assert cli.main(["--cfg", "job", "extensions=[gates_n]"]) == 0
    assert sys.path[-1] == str(tmp_path)  # what is installed goes before it
    with refused(
        "extensions = __main__: is a script or a notebook, which another process cannot import; put its kinds into a module, my_kinds.py, "
        "and give extensions=[my_kinds]"
    ):
        load.use(["__main__"])
    sys.modules.pop("gates_n")


def test_the_code_of_a_model_for_mlflow_names_its_extensions(module: Write) -> None:
    pipeline.train(pipeline.compose([*SMALL, f"extensions=[{module('gates_o')}]"]), quiet=True)
    model = served.write(Path("run"))
    assert "served.load(context.artifacts[\"run\"], ['gates_o'])" in (model / "model.py").read_text()
    assert served.load(str(model / "artifacts/run"), ["gates_o"]).program.classes == ("class_0", "class_1", "class_2")
