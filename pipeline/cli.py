"""The command line: overrides -> experiment -> task -> exit code.

A mistake of the user is one line on stderr, whoever found it; a traceback is a mistake of ours.

exit code   0 done, also every job of a sweep
            1 training diverged or broke; a check failed; every job of a sweep failed
            2 a mistake in the command, the config, the data, a run or a store
            3 some jobs of a sweep failed
            130 stopped by Ctrl-C (143 by SIGTERM)

Jobs of a sweep run in this process one after another. One that fails is told at once and the others go on.
Hydra composes the configs and walks the grid; what a job returns or raises is kept here, since Hydra would end the sweep.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, cast

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline import tasks
from pipeline.arms import ARM, ARMS, check_name
from pipeline.config import compose, explained, plain_config, resolved
from pipeline.errors import PipelineError, Stopped
from pipeline.help import help_text
from pipeline.overrides import CONF, as_one_run, asks_for_several, forgiving, parsed, planned, shown
from pipeline.spec import Experiment, experiment, to_plain
from pipeline.tasks import JobResult, RunContext, Senders, SweepResult
from pipeline.trials import Tried, at_the_end, declared

INTERRUPTED = 130
SOME_FAILED = 3
SWEEPS = Path("runs/sweeps")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (without the program's name) and returns its exit code."""
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _command(given)
    except Stopped as stop:  # training ended well, and says what it saved
        return _say(str(stop), stop.exit_code)
    except KeyboardInterrupt:
        return _say("stopped by Ctrl-C", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output (head, a pager) is gone: nothing to say, and nowhere to say it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (PipelineError, OSError) as error:
        return _say(f"error: {_sentence(error)}", _code(error))


def _command(argv: list[str]) -> int:
    arguments = _arguments(argv)
    if arguments.shell_completion:
        return _hydra(argv, lambda config: None)
    if arguments.help:
        print(help_text(arguments.overrides), end="")
        return 0
    several = arguments.multirun or (arguments.cfg is None and asks_for_several(arguments.overrides))
    overrides = forgiving(arguments.overrides, several=several)
    flags = _without(argv, arguments.overrides)
    if several:
        return _sweep(flags, overrides)
    if arguments.cfg == "job" and not (arguments.config_dir or arguments.config_path or arguments.config_name):
        compose(arguments.overrides)  # what is printed is a config that would run
    return _single(flags + overrides + as_one_run(arguments.overrides))


def _arguments(argv: list[str]) -> Namespace:
    """The parsed command line.  Raises PipelineError where argparse would print its usage and exit."""
    parser = get_args_parser()
    parser.error = _refuse  # type: ignore[method-assign]  # argparse has no other way to say a mistake in one line
    return parser.parse_intermixed_args(argv)


def _refuse(message: str) -> NoReturn:
    raise PipelineError(f"command line: {message}; see --help")


def _without(argv: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The flags of `argv`: Hydra wants them before the overrides."""
    flags = list(argv)
    for text in overrides:
        flags.remove(text)
    return flags


def _single(argv: list[str]) -> int:
    """One run."""
    failures: list[BaseException] = []

    def job(config: object) -> None:
        try:
            described = _experiment(config)
            tasks.run(*described, RunContext(overrides=_overrides()))
        except Exception as error:  # kept from Hydra, which would print its own lines
            failures.append(error)

    code = _hydra(argv, job)
    if failures:
        raise failures[0]
    return code


class _Refused(BaseException):
    """A mistake that all jobs of a sweep share, told by its first; no Exception, or Hydra would go on with the next job."""

    def __init__(self, error: PipelineError) -> None:
        super().__init__(str(error))
        self.error = error


def _sweep(flags: list[str], overrides: list[str]) -> int:
    """One run for each combination of values.  Raises PipelineError for a mistake that they share."""
    given = [str(parsed(text).value()) for text in overrides if text.startswith("hydra.sweep.dir=")]
    folder = Path(given[-1]) if given else SWEEPS / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{secrets.token_hex(2)}"
    placed = [] if given else [f"hydra.sweep.dir={folder}"]
    new = not folder.exists()
    jobs: list[JobResult] = []
    tried: list[Tried] = []
    notes: list[str] = []
    plan: list[dict[str, str]] = []
    senders, said = Senders(), set[str]()

    def job(config: object) -> None:
        number = int(HydraConfig.get().job.num)
        if not plan:
            plan.extend(_plan(config, overrides))
            print(f"sweep {folder.name}: {len(plan)} job{'s' if len(plan) > 1 else ''}", flush=True)
        own = _overrides()
        varied = tuple(text for text in own if len({job.get(text.partition("=")[0]) for job in plan}) > 1)
        context = RunContext(sweep=folder.name, job=number, overrides=own, varied=varied, senders=senders, said=said)
        jobs.append(_job(config, context, tried))
        notes[:] = _keep(config, jobs[-1], tried)
        if isinstance(jobs[-1].error, KeyboardInterrupt):  # meant for the sweep, not for the job
            raise jobs[-1].error

    stop: KeyboardInterrupt | None = None
    code = 0
    try:
        code = _hydra([*flags, *overrides, *placed], job)
    except KeyboardInterrupt as interrupt:
        stop = interrupt
    except _Refused as refused:
        raise refused.error from None
    finally:
        started = any(result.experiment is not None for result in jobs)
        if new and not started:  # every job was refused: nothing stays behind
            _remove(folder)
    try:
        if started:
            result = SweepResult(
                id=folder.name, folder=folder, jobs=tuple(jobs), planned=len(plan), stopped=stop is not None, senders=senders
            )
            tasks.sweep_finished(result)
        for note in notes:
            print(f"note: {note}", flush=True)
    finally:
        senders.close()
    if stop is not None:
        raise stop
    done = sum(result.error is None for result in jobs)
    return code if done == len(jobs) else SOME_FAILED if done else 1


def _plan(config: object, overrides: Sequence[str]) -> list[dict[str, str]]:
    """The jobs of a sweep, from the config of its first.  Raises _Refused for an arm that the experiment has not."""
    plan = planned(HydraConfig.get().sweeper.params or {}, overrides)
    if len({job.get("experiment") for job in plan}) == 1:  # else each has arms of its own
        arms = cast(Any, config).get(ARMS)
        for name in dict.fromkeys(job[ARM] for job in plan if job.get(ARM, "null") != "null"):
            try:
                check_name(arms, name)
            except PipelineError as error:
                raise _Refused(error) from None
    return plan


def _job(config: object, context: RunContext, tried: Sequence[Tried]) -> JobResult:
    """One job of a sweep, whatever becomes of it; a failure is told at once.  `tried`: the trials of a search before it."""
    began = time.perf_counter()
    described: Experiment | None = None
    value: object = None
    failure: BaseException | None = None
    try:
        described, plain = _experiment(config, tried)
        if described.task != "train":  # a training ends in a line of its own
            print(context.label, flush=True)
        value = tasks.run(described, plain, context)
        value = getattr(value, "metrics", value)  # a training's program would keep its memory to the end of the sweep
    except KeyboardInterrupt as stop:
        failure = stop
    except (Exception, SystemExit) as error:
        failure = error
        if not isinstance(error, (PipelineError, OSError)):
            traceback.print_exception(error)
        _say(f"{context.label}: error: {_sentence(error)}", 1)
    return JobResult(context=context, experiment=described, value=value, error=failure, seconds=time.perf_counter() - began)


def _keep(config: object, job: JobResult, tried: list[Tried]) -> list[str]:
    """Adds what became of a job to the trials of the search, if it is one of them -> what is to be said of the best of them."""
    plain = resolved(config) if job.experiment is not None else {}
    found = declared(plain)
    if found is None or job.experiment is None:
        return []
    from pipeline.tracking.sweep import score  # noqa: PLC0415  # the command line starts without it

    search, trial = found
    metrics = job.value if isinstance(job.value, Mapping) else {}
    tried.append(Tried(trial=trial, config=to_plain(job.experiment), score=score(metrics)))
    return at_the_end(search, tried)


def _experiment(config: object, tried: Sequence[Tried] = ()) -> tuple[Experiment, dict[str, Any]]:
    """The checked experiment of a composed config, and its plain form.  Raises PipelineError; nothing is written before this."""
    try:
        plain = plain_config(config, _overrides(), tried)
    except OmegaConfBaseException as error:
        raise explained(error) from None
    result = experiment(plain)
    tasks.selected(result)
    return result, plain


def _overrides() -> tuple[str, ...]:
    """What was asked for, as it was written: an interpolation in it is resolved where the config is, with the path in its error."""
    return shown(cast("list[str]", OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)))


def _hydra(argv: list[str], job: Callable[[Any], None]) -> int:
    """Lets Hydra do what `argv` says, with `job` for each composed config.  Raises PipelineError for what Hydra rejects."""
    with _command_line(argv):
        try:
            hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(job)()
        except SystemExit as end:  # after --help and the like
            return PipelineError.exit_code if end.code else 0
        except (HydraException, OmegaConfBaseException, ValueError) as error:
            raise explained(error) from None
    return 0


@contextmanager
def _command_line(argv: list[str]) -> Iterator[None]:
    """What Hydra reads from the process, for as long as it runs: its arguments, and that it shall raise its errors, not print them."""
    arguments, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv, os.environ["HYDRA_FULL_ERROR"] = [arguments[0], *argv], "1"
    try:
        yield
    finally:
        sys.argv = arguments
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def _remove(folder: Path) -> None:
    """Takes back what Hydra wrote for a sweep that cannot start, and the folders that are empty then."""
    (folder / "multirun.yaml").unlink(missing_ok=True)
    for place in (folder, SWEEPS, SWEEPS.parent):
        with suppress(OSError):
            place.rmdir()


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and not isinstance(error, PipelineError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    text = " ".join(str(error).split())
    return text if isinstance(error, PipelineError) else f"{type(error).__name__}: {text}"


def _code(error: BaseException) -> int:
    return error.exit_code if isinstance(error, PipelineError) else PipelineError.exit_code


def _say(line: str, code: int) -> int:
    print(line, file=sys.stderr, flush=True)
    return code
