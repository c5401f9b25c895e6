"""The configs of the jobs of a sweep that was begun from Python: copies of one config with the values of each job put in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from hydra.core.override_parser.types import QuotedString

from pipeline.config.compose import compose, laid_out
from pipeline.config.jobs import Composed, Plain
from pipeline.config.overrides import groups, parsed, shown
from pipeline.config.sweep_settings import SweepSettings
from pipeline.errors import ConfigError


class PlainConfigs:
    """Those of jobs that differ from `config` in their overrides: values at paths, and options of groups."""

    def __init__(self, config: Mapping[str, Any], settings: SweepSettings) -> None:
        self._config, self._settings = dict(config), settings
        self._groups = groups()
        self._options: dict[str, Any] = {}  # group=option -> what it holds

    def of(self, job: Sequence[str]) -> Composed:
        """The config of a job by its overrides.  Raises ConfigError."""
        config = deepcopy(self._config)
        made = [(parsed(text), text) for text in job]
        for override, text in sorted(made, key=lambda pair: pair[0].key_or_group not in self._groups):  # an option first, then values in it
            path = override.key_or_group
            value = self._option(path, text) if path in self._groups else _plain(override.value())
            _put(config, path, value)
        return Composed(config=laid_out(config, shown(job)), asked=shown(job), sweep=self._settings)

    def _option(self, group: str, text: str) -> Any:
        if text not in self._options:
            self._options[text] = compose([text]).get(group)
        return deepcopy(self._options[text])


def _put(config: Plain, path: str, value: Any) -> None:
    """Puts a value at a path, also into a list.  Raises ConfigError where the path leads through what is neither mapping nor list."""
    *above, name = path.split(".")
    place: Any = config
    for key in above:
        if isinstance(place, list) and key.isdigit() and int(key) < len(place):
            place = place[int(key)]
        elif isinstance(place, dict):
            place = place.setdefault(key, {})
        else:
            place = None
        if not isinstance(place, dict | list):
            raise ConfigError(at=path, got=value, rule=f"{key} holds no keys", hint="look at the config: pipeline.compose([...])")
    if isinstance(place, list):
        if not name.isdigit() or int(name) >= len(place):
            raise ConfigError(at=path, got=value, rule=f"there are {len(place)}", hint=f"the last is {len(place) - 1}")
        place[int(name)] = value
    else:
        place[name] = value


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(entry) for key, entry in value.items()}
    return value
