"""task=doctor: what is wrong with a run, and with verify=true whether what is suggested helps; without a run, what this machine is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.config.experiment import Experiment
from pipeline.doctor import told
from pipeline.screen.console import console_for, say
from pipeline.sweeps.verify import verified
from pipeline.tasks import doctor as machine
from pipeline.tasks import examined, trained
from pipeline.tasks.context import RunContext


def run(experiment: Experiment, config: Mapping[str, Any], context: RunContext) -> object:
    """Prints what was found -> the diagnoses, or the text on the machine.  Raises PipelineError."""
    if experiment.run is None:
        return machine.run(experiment, config, context)
    console, folder = console_for(), trained.find(experiment.run, experiment)
    found = examined.of_folder(folder)
    for line in told.whole(found).splitlines():
        say(console, line)
    if experiment.verify:
        for text in verified(folder, found):
            say(console, text)
    return found
