"""task=export run=R format=onnx: a trained run as a file for programs of others; output=FILE, or a file in the run's own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import ConfigError, nearest
from pipeline.program.model import Model
from pipeline.records import record
from pipeline.screen.console import console_for, say
from pipeline.tasks import trained
from pipeline.tasks.context import RunContext

Files = dict[str, bytes | str]  # what is to be written, by the end of its name


def _onnx(model: Model, name: str, title: str) -> Files:
    from pipeline.export.onnx_file import onnx_bytes  # noqa: PLC0415  # what a format needs is loaded with it

    return {".onnx": onnx_bytes(model)}


def _torch(model: Model, name: str, title: str) -> Files:
    from pipeline.export.torch_file import torch_files  # noqa: PLC0415

    text, weights = torch_files(model, weights=f"{name}.safetensors", title=title)
    return {".py": text, ".safetensors": weights}


def _npz(model: Model, name: str, title: str) -> Files:
    from pipeline.export.arrays import npz_bytes  # noqa: PLC0415

    return {".npz": npz_bytes(model)}


def _safetensors(model: Model, name: str, title: str) -> Files:
    from pipeline.export.arrays import safetensors_bytes  # noqa: PLC0415

    return {".safetensors": safetensors_bytes(model)}


@record
class Format:
    """made writes the files of a model; the first of `suffixes` is that of `output`.

    stem      what the files are called where no output is given: no two formats write one file
    numbers   whether it takes the numbers that the columns of a table become
    """

    made: Callable[[Model, str, str], Files]
    suffixes: tuple[str, ...]
    stem: str = "model"
    numbers: bool = False


FORMATS = {
    "onnx": Format(made=_onnx, suffixes=(".onnx",)),
    "torch": Format(made=_torch, suffixes=(".py", ".safetensors"), numbers=True),
    "npz": Format(made=_npz, suffixes=(".npz",)),
    "safetensors": Format(made=_safetensors, suffixes=(".safetensors",), stem="arrays"),
}


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> Path:
    """Writes the files -> the first of them.  Raises PipelineError; an existing file is never overwritten."""
    assert experiment.run is not None, "the command line asks for run=..."
    form, folder = _format(experiment), trained.find(experiment.run, experiment)
    output = Path(experiment.output) if experiment.output is not None else folder / f"{form.stem}{form.suffixes[0]}"
    if output.suffix != form.suffixes[0]:
        raise ConfigError(at="output", got=str(output), rule=f"format={experiment.format} ends in {form.suffixes[0]}", hint="rename it")
    for path in (output.with_suffix(suffix) for suffix in form.suffixes):
        files.check_new(path)
    model = trained.load(folder).program
    made = form.made(model, output.stem, f"The network of run {folder.name}, trained by Caviar.")
    for suffix, content in made.items():
        files.write_new(output.with_suffix(suffix), content)
    names = " and ".join(files.shown(output.with_suffix(suffix)) for suffix in made)
    say(console_for(), f"the model of {files.shown(folder)} is written to {names}")
    if form.numbers and model.known.encoder is not None:
        count = len(model.known.features)
        told = f"x has {count} columns, what the table's become: INPUTS in {output.name} names each and says how"
        say(console_for(), f"note: {told}; format=onnx takes the columns of the table themselves")
    return output


def _format(experiment: Experiment) -> Format:
    """The format that is asked for, by name or by the end of `output`."""
    name = experiment.format
    if name is None and experiment.output is not None:
        name = next((known for known, form in FORMATS.items() if Path(experiment.output).suffix == form.suffixes[0]), None)
    if name is None:
        raise ConfigError(at="format", got=None, rule="task=export writes a format", hint=f"give format= {', '.join(FORMATS)}")
    if name not in FORMATS:
        raise ConfigError(at="format", got=name, rule="unknown format", hint=nearest(name, FORMATS))
    return FORMATS[name]
