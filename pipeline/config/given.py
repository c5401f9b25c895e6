"""A config that Python gives: nested dicts, and what is often given in their place is refused with what to write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.config.extensions import begin, own
from pipeline.errors import ConfigError


def several(configs: object) -> list[dict[str, Any]]:
    """A list of configs, each as `given` has it.  Raises as it does, and ConfigError for a single config."""
    if isinstance(configs, Mapping):
        raise ConfigError(at="cfgs", got="a config", rule="must be a list of configs", hint="write pipeline.stack([cfg])")
    if not isinstance(configs, Iterable) or isinstance(configs, str):
        return [given(configs)]  # which refuses it
    return [given(config) for config in configs]


def given(config: object) -> dict[str, Any]:
    """`config`, the extensions that it names imported.  Raises ConfigError for overrides, and for paths as keys; PipelineError."""
    if not isinstance(config, Mapping):
        texts = [config] if isinstance(config, str) else config
        if isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts):
            hint = f"give pipeline.compose({json.dumps(list(texts))})"
            raise ConfigError(at="cfg", got=config, rule="overrides are no config", hint=hint)
        hint = 'give pipeline.compose(["data=iris"]), or nested dicts'
        raise ConfigError(at="cfg", got=type(config).__name__, rule="must be a config", hint=hint)
    for key, value in config.items():
        if isinstance(key, str) and "." in key:
            group, _, rest = key.partition(".")
            nested = json.dumps(value) if isinstance(value, str) else repr(value)
            for name in reversed(rest.split(".")):
                nested = f'{{"{name}": {nested}}}'
            hint = f'write {{"{group}": {nested}}}, or pipeline.compose(["{key.removesuffix(".kind")}={value}"])'
            raise ConfigError(at=key, got=value, rule="the keys of a config are single words", hint=hint)
    begin(())
    return own(config)
