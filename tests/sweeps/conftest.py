"""A project folder with a tracking database, as for the tests of tracking."""

from __future__ import annotations

from tests.tracking.conftest import begin, database, project, store

__all__ = ["begin", "database", "project", "store"]
