"""What holds for all tests."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell has this ignored in what it runs in the background, children included
    signal.signal(signal.SIGINT, signal.default_int_handler)
