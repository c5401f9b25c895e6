"""Overrides -> the plain config that the command line would see, from any working directory.

This package is the only place that sees Hydra and OmegaConf objects.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import hydra
import yaml
from hydra._internal.hydra import Hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import ConfigIndexError, MissingMandatoryValue, OmegaConfBaseException

from pipeline.config import others
from pipeline.config.arms import with_arm
from pipeline.config.extensions import begin, own
from pipeline.config.overrides import CONF, forgiving, shown, unknown_option
from pipeline.config.spec import experiment
from pipeline.config.stored import with_origin
from pipeline.config.words import as_written
from pipeline.errors import ConfigError, PipelineError, nearest
from pipeline.search.settings import AT, Search

_alone = threading.RLock()  # Hydra's state is one for all threads


def compose(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The config of `python -m pipeline OVERRIDES` as nested plain dicts, checked.  Raises ConfigError.

    May be called anywhere, also inside another Hydra application: Hydra's global state is put back.
    """
    if isinstance(overrides, str):
        raise ConfigError(at="overrides", got=overrides, rule="must be a list", hint=f'write compose(["{overrides}"])')
    with _alone:
        begin(overrides)
        texts = forgiving(overrides, several=False)
        outer = GlobalHydra.get_state()
        GlobalHydra.instance().clear()
        try:
            with hydra.initialize_config_dir(str(CONF), job_name="pipeline", version_base="1.3"):
                config = plain_config(hydra.compose("config", texts), shown(texts))
        except (HydraException, OmegaConfBaseException, ValueError, TypeError, OSError, RecursionError) as error:
            raise explained(error) from None
        finally:
            GlobalHydra.set_state(outer)
    experiment(config)
    return config


def plain_config(config: object, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """A composed config as nested plain dicts, interpolations resolved, and `laid_out`; raises OmegaConf's errors too, see `explained`."""
    return laid_out(resolved(config), overrides)


def laid_out(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """A plain config with its arm laid over it, and a fork's laid over that of its origin; `overrides`: what was asked, as `path=value`.

    Raises ConfigError for an arm that is none, RunError for an origin that is none.
    """
    return with_origin(with_arm(config, overrides), overrides)


def job_config(config: object) -> dict[str, Any]:
    """`plain_config` of the job that Hydra runs now.  Raises PipelineError."""
    try:
        return plain_config(config, asked_overrides())
    except OmegaConfBaseException as error:
        raise explained(error) from None


def resolved(config: object) -> dict[str, Any]:
    """A composed config as nested plain dicts, as it is written.  Raises OmegaConf's errors (see `explained`), ConfigError."""
    others.check(config)
    plain = OmegaConf.to_container(cast(Any, config), resolve=True, throw_on_missing=True, enum_to_str=True)
    return own(cast("dict[str, Any]", as_written(plain)))


def explained(error: Exception) -> PipelineError:
    """An error of Hydra or OmegaConf in one line of ours."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return unknown_option(error.missing_cfg_file, error.options)
    inner = next((e for e in _chain(error) if isinstance(e, OmegaConfBaseException) and e.full_key), None)
    if isinstance(inner, MissingMandatoryValue):
        return ConfigError(at=str(inner.full_key), got="(missing)", rule="has no value", hint=f"give {inner.full_key}=...")
    if isinstance(inner, ConfigIndexError) and inner.parent_node is not None:
        held = len(cast(Any, inner.parent_node))
        return ConfigError(
            at=str(inner.full_key), got="(missing)", rule=f"there are {held}", hint=f"the last is [{held - 1}]" if held else ""
        )
    if inner is not None and str(inner.full_key).startswith(f"{AT}."):
        key = str(inner.full_key)
        hint = nearest(key.removeprefix(f"{AT}."), [field.name for field in fields(Search)])
        return ConfigError(at=key, got="(given)", rule="unknown key", hint=hint)
    if isinstance(error, OSError) and error.errno is None:  # what OmegaConf says of a file that is a word or a number
        return PipelineError("config: a file of it is one word or number, and no settings; write NAME: VALUE in each line")
    if isinstance(error, OSError):  # Hydra looks for a file of the name that was given
        name = Path(os.fsdecode(error.filename or "")).name
        return PipelineError(f"config: {name[:60]}{'...' if len(name) > 60 else ''}: {error.strerror}; give the name of an option")
    if isinstance(error, RecursionError):
        return PipelineError("config: is nested too deeply; take out what holds itself")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return PipelineError(f"config: {mark.name}, line {mark.line + 1}: is no YAML ({error.problem}); mend the line")
    if isinstance(error, yaml.reader.ReaderError):
        return PipelineError(f"config: {error.name}: is no YAML ({error.reason}); write it as UTF-8 text")
    message = _first(str(error)) or type(error).__name__
    where = f"{inner.full_key}: " if inner is not None and str(inner.full_key) not in message else ""
    return PipelineError(f"config: {where}{message}")


def of_ours(error: BaseException) -> BaseException:
    """An error as a user is told it: one of OmegaConf in our words, any other as it is."""
    return explained(error) if isinstance(error, OmegaConfBaseException) else error


def _first(text: str) -> str:
    """The first line of what Hydra says, with the second where the first but leads to it."""
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1]).rstrip(".")


def run_hydra(argv: list[str], job: Callable[[Any], None]) -> int:
    """Lets Hydra do what `argv` says, with `job` for each composed config.  Raises PipelineError for what Hydra rejects."""
    try:
        with others.guarded(argv) as arguments, _command_line(arguments), _mode_given(arguments):
            hydra.main(config_path=str(CONF), config_name="config", version_base="1.3")(job)()
    except SystemExit as end:  # after --help and the like
        return PipelineError.exit_code if end.code else 0
    except (HydraException, OmegaConfBaseException, ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        raise explained(error) from None
    except OSError as error:
        if error.errno is not None:
            raise
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


@contextmanager
def _mode_given(argv: Sequence[str]) -> Iterator[None]:
    """Where the command line says `hydra.mode=RUN`, Hydra does not compose the whole config only to learn that."""
    former = Hydra.get_mode
    if "hydra.mode=RUN" in argv:
        Hydra.get_mode = lambda self, config_name, overrides: RunMode.RUN  # type: ignore[method-assign]  # it has no other way to be told
    try:
        yield
    finally:
        Hydra.get_mode = former  # type: ignore[method-assign]


def job_number() -> int:
    """The number, from 0, of the job that Hydra runs now, within its sweep."""
    return int(HydraConfig.get().job.num)


def sweep_params() -> Mapping[str, str]:
    """`hydra.sweeper.params`: what a config asks to be swept."""
    return cast("Mapping[str, str]", HydraConfig.get().sweeper.get("params") or {})


def asked_overrides() -> tuple[str, ...]:
    """What was asked for, as it was written: an interpolation in it is resolved where the config is, with the path in its error."""
    return shown(cast("list[str]", OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
