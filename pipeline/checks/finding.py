"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row of the table.

    measured, expected  the figures in words
    advice              what to do when it failed
    """

    check: str
    passed: bool
    measured: str
    expected: str
    advice: str
