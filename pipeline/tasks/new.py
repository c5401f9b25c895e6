"""task=new output=FOLDER: a small project of one's own, with a table, two experiments and a page that says what to type."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import RunError
from pipeline.screen.console import console_for, say
from pipeline.tasks.context import RunContext

PROJECT = {  # file of a new project -> its template under `pipeline/project`
    "README.md": "README.md",
    ".gitignore": "gitignore",  # a file of its own name would hide files of this package
    "conf/data/flats.yaml": "conf/data/flats.yaml",
    "conf/experiment/mine.yaml": "conf/experiment/mine.yaml",
    "conf/experiment/batch_norm_or_not.yaml": "conf/experiment/batch_norm_or_not.yaml",
    "data/flats.csv": "data/flats.csv",
}


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> Path:
    """Writes the files of PROJECT to the folder `output`, by default the current one -> that folder.

    Raises RunError where a file of that name is there: nothing is overwritten, and nothing of it written.
    """
    folder = Path(experiment.output or ".")
    for name in PROJECT:
        if (folder / name).exists() or (folder / name).is_symlink():
            raise RunError(f"output = {folder}: {name} is there already and is not overwritten; give output=FOLDER, a new one")
    templates = package_files("pipeline") / "project"
    for name, template in PROJECT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        files.write(folder / name, (templates / template).read_bytes())
    go = "" if folder == Path() else f"cd {files.shown(folder)} && "
    say(console_for(), f"a project in {files.shown(folder)}: {', '.join(PROJECT)}")
    say(console_for(), f"next: {go}pipeline --config-dir conf +experiment=mine")
    return folder
