"""The command line: overrides -> experiment -> task -> exit code.

A mistake of the user is one line on stderr, whoever found it; a traceback is a mistake of ours.

exit code   0 done, also every job of a sweep
            1 training diverged or broke; a check failed; every job of a sweep failed
            2 a mistake in the command, the config, the data, a run or a store; every job of a sweep was refused for one in its config
            3 some jobs of a sweep failed
            130 stopped by Ctrl-C (143 by SIGTERM, 129 by SIGHUP)
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from argparse import Namespace
from collections.abc import Sequence
from typing import NoReturn

from pipeline import tasks
from pipeline.config.compose import asked_overrides, compose, job_config, of_ours, run_hydra
from pipeline.config.extensions import begin
from pipeline.config.help import help_text
from pipeline.config.jobs import check_folders
from pipeline.config.others import arguments_parser
from pipeline.config.overrides import as_one_run, asks_for_several, check_quoted, forgiving, given_twice, without_dashes
from pipeline.errors import ConfigError, PipelineError, Stopped, complain, exit_code, sentence
from pipeline.sweeps.again import best_instead
from pipeline.sweeps.resumed import sweep_to_resume, whole_names
from pipeline.sweeps.run import run_sweep
from pipeline.tasks import RunContext
from pipeline.tasks.job import described
from pipeline.text import speakable
from pipeline.training.interrupt import stopping

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (without the program's name) and returns its exit code."""
    given, began = list(sys.argv[1:] if argv is None else argv), time.monotonic()
    speakable()
    try:
        with stopping():
            return _command(given, began)
    except Stopped as stop:  # training ended well, and says what it saved
        return _say(str(stop), stop.exit_code)
    except KeyboardInterrupt:
        return _say("stopped by Ctrl-C", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output (head, a pager) is gone: nothing to say, and nowhere to say it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (PipelineError, OSError) as error:
        if os.environ.get("HYDRA_FULL_ERROR", "0") not in ("", "0"):  # who asks Hydra for all of it is answered by us as well
            complain("".join(traceback.format_exception(error)).rstrip())
        return _say(f"error: {sentence(error)}", exit_code(error))


def _command(argv: list[str], began: float) -> int:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise PipelineError("command line: the current folder is gone; change to another one (cd)") from None
    arguments = _arguments(argv)
    if arguments.shell_completion:
        return run_hydra(argv, lambda config: None)
    for text in arguments.overrides:
        _check_letters(text)
    check_quoted(arguments.overrides)
    begin(arguments.overrides)
    if arguments.help:
        print(help_text(arguments.overrides), end="")
        return 0
    own, asked = arguments.config_dir, whole_names(arguments.overrides)
    several = arguments.multirun or (arguments.cfg is None and (asks_for_several(asked, own) or sweep_to_resume(asked) is not None))
    overrides = forgiving(asked, several=several)
    for told in given_twice(overrides):
        complain(f"note: {told}")
    flags = _without(argv, arguments.overrides)
    if several:
        return run_sweep(flags, overrides)
    if arguments.cfg == "job" and not (arguments.config_dir or arguments.config_path or arguments.config_name):
        compose(arguments.overrides)  # what is printed is a config that would run
    return _single(flags + overrides + as_one_run(asked, own), began)


def _arguments(argv: list[str]) -> Namespace:
    """The parsed command line.  Raises PipelineError where argparse would print its usage and exit."""
    for flag in argv:
        if (override := without_dashes(flag)) is not None:  # argparse takes --experiment for its own --experimental-rerun
            raise PipelineError(f"command line: {flag}: what a config holds is set without dashes; write {override}")
    parser = arguments_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # argparse has no other way to say a mistake in one line
    return parser.parse_intermixed_args(argv)


def _check_letters(text: str) -> None:
    """Whether an override can be written down.  Raises ConfigError."""
    try:
        text.encode()
    except UnicodeEncodeError:
        at, _, value = text.encode(errors="backslashreplace").decode().partition("=")
        raise ConfigError(at=at, got=value, rule="holds bytes that are no UTF-8", hint="rename the file, or write the word anew") from None


def _refuse(message: str) -> NoReturn:
    raise PipelineError(f"command line: {message}; see --help")


def _without(argv: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The flags of `argv`: Hydra wants them before the overrides."""
    flags = list(argv)
    for text in overrides:
        flags.remove(text)
    return flags


def _single(argv: list[str], began: float) -> int:
    """One run."""
    failures: list[BaseException] = []

    def job(config: object) -> None:
        try:
            check_folders()
            tasks.run(*described(job_config(config)), RunContext(overrides=asked_overrides(), began=began))
        except Exception as error:  # kept from Hydra, which would print its own lines
            failures.append(error)

    code = run_hydra(argv, job)
    if failures:
        raise best_instead(of_ours(failures[0]), argv)
    return code


def _say(line: str, code: int) -> int:
    complain(line)
    return code
