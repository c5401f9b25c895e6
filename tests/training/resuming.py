"""Training that is stopped and goes on from its last checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.training import checkpoint
from pipeline.training.events import Outcome
from pipeline.training.loop import train
from pipeline.training.saving import Checkpoints
from pipeline.training.settings import Training
from tests.training.softmax_program import SoftmaxProgram, blobs, stored


def train_on(
    made: SoftmaxProgram, folder: Path, settings: Training, *, every: float = 0.0, stop_after: int | None = None, **options: Any
) -> Outcome:
    """Trains `made` from the checkpoint of `folder`, if there is one; writes one every `every` seconds, 0 after each chunk.

    Asks to stop after `stop_after` chunks.  `options` are those of `train`.
    """
    asked = 0
    found = checkpoint.load(folder) if checkpoint.exists(folder) else None
    if found is not None:
        made.load_state(found.state)

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return stop_after is not None and asked > stop_after

    return train(
        made,
        blobs(),
        settings,
        seed=3,
        checkpoints=Checkpoints(folder, stored=stored(), final=settings.final, every=every),
        progress=None if found is None else found.progress,
        best_state=None if found is None else found.best_state,
        stop=stop,
        **{"emit": lambda event: None, **options},
    )
