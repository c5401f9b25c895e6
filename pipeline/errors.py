"""What a user can do wrong, one exception type per place it is found.

PipelineError                 every mistake of a user; the command line prints its one line and exits with `exit_code`
├── ConfigError               a value of the config, named by its path                                  exit 2
├── DataError                 a file, a column or an array                                              exit 2
├── BackendError              a backend that cannot run on this machine                                 exit 2
├── RunError                  a run folder, a checkpoint or a run id                                    exit 2
├── TrackingError             a tracking store that refuses                                             exit 2
├── DemonstrationError        a demonstration whose figures are not as expected                         exit 1
├── CheckFailed               task=check found something                                                exit 1
├── ExtensionError            code of an extension that broke (pipeline.extend)                         exit 1
└── DivergedError             training reached a non-finite value                                       exit 1

Paused                        a search lets others go on first; a KeyboardInterrupt, not a mistake
Stopped                       a signal asked training to end; a KeyboardInterrupt, not a mistake   exit 128 + signal

A mistake of ours is an assertion, never one of these.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence

from pipeline.text import leaving


class PipelineError(Exception):
    """A mistake that its reader can mend: one line that says where, the value, the rule and what to do."""

    exit_code = 2


class ConfigError(PipelineError):
    """A rejected config value: `at = got: rule; hint`."""

    def __init__(self, *, at: str, got: object, rule: str, hint: str = "") -> None:
        self.at, self.got, self.rule, self.hint = at, got, rule, hint
        super().__init__(f"{at} = {_shown(got)}: {rule}" + (f"; {hint}" if hint else ""))


class DataError(PipelineError):
    """A data file, column or array that cannot be used; a cell or a name of several lines is shown as one."""

    def __init__(self, text: str) -> None:
        super().__init__(text.replace("\r", "\\r").replace("\n", "\\n"))


class BackendError(PipelineError):
    """A backend that cannot run here, with the reason."""


class RunError(PipelineError):
    """A run folder, checkpoint or run id that cannot be used."""


class TrackingError(PipelineError):
    """A tracking store that refuses."""


class DemonstrationError(PipelineError):
    """A figure of a demonstration that is not as expected: here something is wrong, with the claim or with us."""

    exit_code = 1


class CheckFailed(PipelineError):
    """A check of the configured network found something; the table that was printed says what."""

    exit_code = 1


class ExtensionError(PipelineError):
    """Code of an extension raised, or gave what it may not give; says which kind, and where."""

    exit_code = 1


class DivergedError(PipelineError):
    """Training met a non-finite value; says the step and the first layer that holds one.

    step    the step that could not be taken, counted from 0; the state is as it was before it
    losses  of the steps that this call took before it
    """

    exit_code = 1

    def __init__(self, message: str, *, step: int = 0, losses: Sequence[float] = ()) -> None:
        self.step, self.losses = step, losses
        super().__init__(message)


class Stopped(KeyboardInterrupt):
    """Training ended early because a signal asked for it, and what was done is saved.  exit_code = 128 + signal."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Paused(KeyboardInterrupt):
    """Training has come to the epoch up to which it was asked for, and is saved; `metrics` are those of that epoch."""

    def __init__(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.epoch, self.metrics = epoch, metrics
        super().__init__(f"stopped at a rung, after epoch {epoch}")


def nearest(name: str, names: Iterable[str]) -> str:
    """`did you mean X?` for the closest of `names`, or the list of them when none is close."""
    known = sorted(set(names))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6) or [k for k in known if _initials(k) == name]
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"


def complain(line: str) -> None:
    """One line on standard error."""
    print(leaving(line), file=sys.stderr, flush=True)


def sentence(error: BaseException) -> str:
    """What is said of `error`, on one line."""
    if isinstance(error, OSError) and not isinstance(error, PipelineError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    text = " ".join(str(error).split())
    return text if isinstance(error, PipelineError) else f"{type(error).__name__}: {text}"


def exit_code(error: BaseException) -> int:
    """The exit code of a command that `error` ended."""
    return error.exit_code if isinstance(error, PipelineError) else PipelineError.exit_code


def _initials(name: str) -> str:
    """`lr` for learning_rate; nothing for a name of one word."""
    words = name.split("_")
    return "".join(word[:1] for word in words) if len(words) > 1 else ""


def _shown(value: object) -> str:
    """`value` as one writes it in the config, on one line of bounded length."""
    text = {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= 120 else f"{text[:117]}..."
