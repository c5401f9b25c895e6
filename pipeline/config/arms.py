"""Arms of an experiment: what a comparison compares, each with a name, declared beside what they have in common.

    arms:
      zeros: {initialization: zeros}
      he: {initialization: {kind: he, distribution: uniform}}

`arm=he` lays that arm over the config.  An entry with a `kind`, a word or a list replaces what stands there; other mappings are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import ConfigError, nearest

ARM, ARMS = "arm", "arms"


def with_arm(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The config with its chosen arm laid over it and the other arms left out; `arm` stays, as the name.

    overrides   what the user asks for as `path=value`: an arm may not overrule it silently
    Raises ConfigError.
    """
    result = dict(config)
    arms, name = result.pop(ARMS, None), result.get(ARM)
    if name is None:
        return result
    check_name(arms, name)
    _check(str(name), arms[name], overrides)
    return _laid_over(result, arms[name])


def check_name(arms: Mapping[str, Any] | None, name: object) -> None:
    """Raises ConfigError where `name` is none of `arms`."""
    if not arms:
        raise ConfigError(at=ARM, got=name, rule="the experiment declares no arms", hint="leave it out")
    if name not in arms:
        raise ConfigError(at=ARM, got=name, rule="no arm of the experiment", hint=nearest(str(name), arms))


def _laid_over(config: Mapping[str, Any], arm: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(config)
    for key, value in arm.items():
        merged = _merges(value) and isinstance(result.get(key), Mapping)
        result[key] = _laid_over(result[key], value) if merged else value
    return result


def _merges(value: object) -> bool:
    return isinstance(value, Mapping) and "kind" not in value


def _paths(arm: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """The config paths that an arm sets."""
    for key, value in arm.items():
        if _merges(value):
            yield from _paths(value, f"{at}{key}.")
        else:
            yield f"{at}{key}"


def _check(name: str, arm: Mapping[str, Any], overrides: Sequence[str]) -> None:
    for text in overrides:
        path, _, value = text.partition("=")
        for own in _paths(arm):
            if path == own or own.startswith(f"{path}.") or path.startswith(f"{own}."):
                hint = "choose among the arms with arm=..., or give hydra.mode=RUN for one run without arms"
                raise ConfigError(at=path, got=value, rule=f"arm {name} of the experiment sets {own}", hint=hint)
