"""How long a training is and where it stands, as far as the rules of a step ask: schedules, running averages, a plateau."""

from __future__ import annotations

from dataclasses import field

from pipeline.recipe.plateau import Plateau
from pipeline.records import record


@record
class Course:
    """What a program follows.  The training gives a new one whenever its plateau moves.

    total_steps      of the whole training, for schedules that need it; 0 when not known
    steps_per_epoch  for population statistics of batch norm; 0 when not known: they run over all steps
    plateau          where a schedule that watches the loss stands
    slowed           what the learning rate is multiplied by since the training went back after it diverged
    """

    total_steps: int = 0
    steps_per_epoch: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    slowed: float = 1.0
