"""A mistake of the user gets one sentence, and tests know all of it."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

import pytest

from pipeline.errors import ConfigError


def refused(sentence: str, error: type[Exception] = ConfigError) -> AbstractContextManager[object]:
    """`with refused(sentence):` holds where its block raises `error` with exactly this sentence."""
    return pytest.raises(error, match=rf"\A{re.escape(sentence)}\Z")
