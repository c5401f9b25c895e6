"""Overrides -> the plain config that the command line would see, from any working directory.

This file and `cli.py` are the only ones that see Hydra and OmegaConf objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from pipeline.arms import with_arm
from pipeline.errors import ConfigError, PipelineError
from pipeline.overrides import CONF, forgiving, shown, unknown_option
from pipeline.spec import experiment
from pipeline.trials import Tried, with_trial


def compose(overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The config of `python -m pipeline OVERRIDES` as nested plain dicts, checked.  Raises ConfigError.

    May be called anywhere, also inside another Hydra application: Hydra's global state is put back.
    """
    if isinstance(overrides, str):
        raise ConfigError(at="overrides", got=overrides, rule="must be a list", hint=f'write compose(["{overrides}"])')
    texts = forgiving(overrides, several=False)
    outer = GlobalHydra.get_state()
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(CONF), job_name="pipeline", version_base="1.3"):
            config = plain_config(hydra.compose("config", texts), shown(texts))
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error) from None
    finally:
        GlobalHydra.set_state(outer)
    experiment(config)
    return config


def plain_config(config: object, overrides: Sequence[str] = (), tried: Sequence[Tried] = ()) -> dict[str, Any]:
    """A composed config as nested plain dicts, interpolations resolved, its arm laid over it and its trial put in.

    overrides   what the user asked for, as `path=value`
    tried       the trials that the sweep has behind it
    Raises ConfigError for an arm or a trial that is none, and OmegaConf's errors; see `explained`.
    """
    return with_trial(with_arm(resolved(config), overrides), overrides, tried)


def resolved(config: object) -> dict[str, Any]:
    """A composed config as nested plain dicts, as it is written.  Raises OmegaConf's errors; see `explained`."""
    plain = OmegaConf.to_container(cast(Any, config), resolve=True, throw_on_missing=True, enum_to_str=True)
    return cast("dict[str, Any]", plain)


def explained(error: Exception) -> PipelineError:
    """An error of Hydra or OmegaConf in one line of ours."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file is not None:
        return unknown_option(error.missing_cfg_file, error.options)
    inner = next((e for e in _chain(error) if isinstance(e, OmegaConfBaseException) and e.full_key), None)
    if isinstance(inner, MissingMandatoryValue):
        return ConfigError(at=str(inner.full_key), got="(missing)", rule="has no value", hint=f"give {inner.full_key}=...")
    message = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    where = f"{inner.full_key}: " if inner is not None and str(inner.full_key) not in message else ""
    return PipelineError(f"config: {where}{message}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
