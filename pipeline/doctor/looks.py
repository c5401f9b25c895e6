"""The states that were kept of a training, looked at in a bounded share of its time."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pipeline.data.prepared import Rows
from pipeline.doctor.kept import Moment
from pipeline.program.health import Looker
from pipeline.program.program import Program
from pipeline.tracking.health import Health

SHARE, GRACE = 0.03, 0.06  # of the time of the command, or seconds of a processor where that is more
LEAST_SECONDS, LEAST_COMPILED = (
    0.5,
    20.0,
)  # a shorter training is not looked into unasked: of a network whose looks are compiled, the second


def looks(program: Program, rows: Rows, moments: Sequence[Moment], *, seconds: float, always: bool) -> tuple[Health, ...]:
    """What is seen at the last moment, then at the first, the second and so on as far as the time allows, in their order.

    seconds   that the command took so far;  always: all moments are looked at, however short it was
    """
    if not moments:
        return ()
    start = time.process_time()  # a busy machine does not change what is looked at
    looker = Looker(program, rows.x, rows.targets, rows.weight)
    if not always and seconds < (LEAST_SECONDS if looker.quick else LEAST_COMPILED):
        return ()
    ordered = sorted(moments, key=lambda moment: moment.epoch)
    wanted = list({moment.epoch: moment for moment in (ordered[-1], *ordered)}.values())
    made: list[Health] = []
    for moment in wanted:
        spent = time.process_time() - start
        if made and not always and spent * (1 + 1 / len(made)) > max(SHARE * seconds, GRACE):
            break
        made.append(looker.look(moment.state, moment.course, epoch=moment.epoch))
    return tuple(sorted(made, key=lambda health: health.epoch))
