"""What the doctor makes of a training that is over: looks at what was kept of it, into its journal."""

from __future__ import annotations

import time
from contextlib import suppress

from pipeline.data.prepared import Prepared
from pipeline.doctor.kept import Kept
from pipeline.doctor.looks import looks
from pipeline.errors import PipelineError
from pipeline.tasks.context import RunContext
from pipeline.tracking.tracker import Tracker
from pipeline.training.settings import Training


def wanted(settings: Training, context: RunContext) -> bool:
    """Whether the doctor is asked: auto is yes for a run alone."""
    return context.sweep is None if settings.doctor == "auto" else settings.doctor


def examine(kept: Kept, ready: Prepared, tracker: Tracker, context: RunContext, settings: Training, *, epoch: int) -> None:
    """Looks at the training whose program holds the weights of `epoch` now, and writes what is seen to the journal."""
    if not kept.wanted:
        return
    kept.keep(epoch)
    with suppress(PipelineError):  # a device without room for a second state, say: the training is whole all the same
        seconds = time.monotonic() - context.began
        for health in looks(kept.program, ready.train, kept.moments, seconds=seconds, always=settings.doctor is True):
            tracker.journal.write(health)
