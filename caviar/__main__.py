"""`python -m caviar` is `python -m pipeline`."""

from __future__ import annotations

import sys

from pipeline.__main__ import run

if __name__ == "__main__":
    sys.exit(run())
