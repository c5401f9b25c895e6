"""What every event of a journal has."""

from __future__ import annotations

from pipeline.records import record, setting


@record
class Event:
    """What happened, and when; the journal says the time of what it writes."""

    time: int = setting(0)
