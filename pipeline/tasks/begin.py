"""The tensors of a network that begins with those of another run: initialization.from_run."""

from __future__ import annotations

import numpy as np

from pipeline import files
from pipeline.config.experiment import Experiment
from pipeline.errors import RunError
from pipeline.program.program import Program
from pipeline.recipe.averaging import average_name, measured_tensors
from pipeline.tasks import trained
from pipeline.training import checkpoint

AT = "initialization.from_run"
NAMED = 6  # tensors that are named


def take(experiment: Experiment, program: Program) -> str:
    """Writes into `program` the tensors of the run that have a name of its own -> what was taken.  Raises RunError."""
    assert experiment.initialization.from_run is not None
    folder = trained.find(experiment.initialization.from_run, experiment, at=AT)
    found = checkpoint.load(folder / trained.CHECKPOINTS)
    given, own = measured_tensors(found.result), program.state()
    names = [p.name for p in program.structure.network.parameters]
    wrong = [
        f"{name} is {list(given[name].shape)} there and {list(own[name].shape)} here"
        for name in names
        if name in given and np.shape(given[name]) != np.shape(own[name])
    ]
    shown = files.shown(folder)
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        hint = "give a layer that shall be drawn anew a name that the run does not have"
        raise RunError(f"{AT} = {shown}: {'; '.join(wrong[:3])}{more}; {hint}")
    taken = [name for name in names if name in given]
    if not taken:
        raise RunError(f"{AT} = {shown}: it has no tensor of this network; name layers as there: {_some(sorted(given))}")
    program.load_state({**own, **{place: given[name] for name in taken for place in program.structure.places(name)}})
    rest = [name for name in names if name not in given]
    averaged = ", the averages of its weights," if any(average_name(name) in found.result for name in taken) else ""
    drawn = f"; drawn anew: {_some(rest)}" if rest else ""
    return (
        f"initialization: {len(taken)} of {len(names)} tensors are those of {shown}{averaged} at step {int(np.max(given['step']))}{drawn}"
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
