"""A callback of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from pipeline.errors import ExtensionError
from pipeline.extend.declared import declare
from pipeline.extend.guard import guarded
from pipeline.training.callbacks import CALLBACKS, Callback

C = TypeVar("C", bound=Callback)
_SAYS = ("on_step_chunk", "on_epoch_end", "state", "restore", "every_steps")


@dataclass_transform(kw_only_default=True)
def callback(kind: str, *, examples: Sequence[Mapping[str, Any]] = ({},)) -> Callable[[type[C]], type[C]]:
    """Makes a class the callback `kind` of `callbacks`; its fields are its settings, and each training has an instance of its own.

    examples  settings that the contract test tries
    Raises ExtensionError.
    """

    def made(cls: type[C]) -> type[C]:
        wrong = [name for name in inspect.get_annotations(cls) if name in _SAYS[:-1]]
        if wrong:
            rule = f"{wrong[0]} is what a callback says, and no setting; call the setting otherwise"
            raise ExtensionError(f"{cls.__module__}: callback {kind}: {rule}")
        if cls.on_step_chunk is Callback.on_step_chunk and cls.on_epoch_end is Callback.on_epoch_end:
            raise ExtensionError(f"{cls.__module__}: callback {kind}: is never asked; give it on_epoch_end(self, state) or on_step_chunk")
        result = dataclass(kw_only=True)(cls)
        declare("callback", kind, result, CALLBACKS, examples)
        CALLBACKS.rows[kind] = (result, guarded)
        return result

    return made
