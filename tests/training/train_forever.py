"""Trains the softmax program in a process of its own, for tests that kill it.

python -m tests.training.train_forever FOLDER EPOCHS PAUSE EVERY
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.training import checkpoint
from pipeline.training.events import Outcome
from pipeline.training.interrupt import Interrupt
from pipeline.training.loop import train
from pipeline.training.saving import Checkpoints
from pipeline.training.settings import EarlyStopping, Training
from tests.training.softmax_program import SoftmaxProgram, blobs, stored


def go_on(
    folder: Path, *, epochs: int, pause: float = 0.0, every: float = 0.0, interrupt: Callable[[], bool] = lambda: False
) -> tuple[Outcome, SoftmaxProgram]:
    """Starts, or continues from the checkpoint in `folder`."""
    program = SoftmaxProgram(pause=pause)
    found = checkpoint.load(folder) if checkpoint.exists(folder) else None
    if found is not None:
        program.load_state(found.state)
    outcome = train(
        program,
        blobs(),
        Training(epochs=epochs, batch_size=16, early_stopping=EarlyStopping(patience=epochs)),
        seed=5,
        emit=lambda event: print(event, flush=True),
        checkpoints=Checkpoints(folder, stored=stored(), final="best", every=every),
        progress=found.progress if found else None,
        best_state=found.best_state if found else None,
        stop=interrupt,
    )
    return outcome, program


if __name__ == "__main__":
    with Interrupt() as signals:
        result, _ = go_on(Path(sys.argv[1]), epochs=int(sys.argv[2]), pause=float(sys.argv[3]), every=float(sys.argv[4]), interrupt=signals)
    sys.exit(0 if signals.signal is None else 128 + signals.signal)
