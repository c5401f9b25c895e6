"""`python -m pipeline`, and the last net: what nobody foresaw is one line, its traceback a file."""

from __future__ import annotations

import gc
import os
import sys

INTERRUPTED, BROKEN = 130, 1


def run() -> int:
    """The exit code of the command."""
    _open_streams()
    try:
        gc.disable()  # what loads stays: nothing to look through
        from pipeline.cli import main  # noqa: PLC0415  # Ctrl-C while this loads is heard too

        gc.freeze()
        gc.enable()
        return main()
    except KeyboardInterrupt:
        print("stopped by Ctrl-C", file=sys.stderr)
        return INTERRUPTED
    except MemoryError as error:
        return _told("there is not enough memory for this; use smaller layers, a smaller batch_size or fewer rows", error)
    except RecursionError as error:
        return _told("something is nested too deeply", error)
    except Exception as error:  # a mistake of ours: the line is for the user, the file for who mends it
        first = next((line for line in str(error).splitlines() if line.strip()), "no reason given")
        return _told(f"{type(error).__name__}: {first.strip()[:300]}", error)


def _open_streams() -> None:
    """What was closed leads to nowhere: else the next file that is opened takes its number, and what is said goes into that."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # for the life of the process


def _told(what: str, error: BaseException) -> int:
    import tempfile  # noqa: PLC0415  # so that next to nothing is loaded where Ctrl-C is not heard yet
    import traceback  # noqa: PLC0415

    text = "".join(traceback.format_exception(error))
    try:
        from pipeline.text import leaving  # noqa: PLC0415  # loaded already, unless loading is what failed

        what, text = leaving(what), leaving(text)
        handle, path = tempfile.mkstemp(prefix="caviar-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        rest = f"; the rest is in {path}"
    except (OSError, ImportError):
        rest = ""
    print(f"error: {what}{rest}", file=sys.stderr)
    return BROKEN


if __name__ == "__main__":
    sys.exit(run())
