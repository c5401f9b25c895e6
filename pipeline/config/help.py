"""What `--help` prints.  Our own, because Hydra's list of groups takes longer than all the rest of the start."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass

import yaml

from pipeline.config.compose import compose
from pipeline.config.overrides import groups
from pipeline.extend.declared import KINDS, Declared

HEADER = """\
Trains neural networks declared by a config, and records every run.

  python -m pipeline                                        train the default experiment
  python -m pipeline +experiment=bn                         train a named one
  python -m pipeline optimizer=momentum training.epochs=5   another option of a group, another value
  python -m pipeline -m +experiment=bn seed=0,1,2           a sweep: one run for each combination
  python -m pipeline task=data data=table data.path=a.csv   what is found in the columns of a table, and what becomes of each
  python -m pipeline task=check +experiment=bn              check gradients, start loss, a tiny batch, one step
  python -m pipeline task=lr_range +experiment=bn           find a learning rate: range test, plot, suggestion
  python -m pipeline task=explain +experiment=bn            read the compiled network; explain.parts=[all]
  python -m pipeline task=evaluate run=FOLDER               test a trained run
  python -m pipeline task=doctor run=FOLDER                 what is wrong with a run; verify=true tries what is suggested
  python -m pipeline task=compare runs=[FOLDER,FOLDER]      what differs: settings, data, code, bits, curves
  python -m pipeline task=predict run=FOLDER data.path=new.csv output=predictions.csv
  python -m pipeline task=train resume=FOLDER               continue a run that was stopped
  python -m pipeline --cfg job +experiment=bn               print the whole config
"""

FOOTER = """\
Exit codes: 0 done, 1 training or a check failed, 2 a mistake in the config, the data or the command, 3 some jobs of a sweep failed,
130 stopped by Ctrl-C. Shell completion: eval "$(pipeline --shell-completion install=bash)". All flags: --hydra-help.
"""


def help_text(overrides: list[str]) -> str:
    """Header, groups with their options, the config that `overrides` give, footer."""
    options = "\n".join(f"{group}: {', '.join(names)}" for group, names in groups().items() if names)
    config = yaml.safe_dump(compose(overrides), sort_keys=False, default_flow_style=None, width=120)
    return (
        f"{HEADER}\n== Groups: choose an option with group=option ==\n\n{options}\n\n{_extensions()}"
        f"== Config: set any value with path=value ==\n\n{config}\n{FOOTER}"
    )


def _extensions() -> str:
    """The kinds that extensions declare, with their settings; nothing where none is loaded."""
    if not KINDS:
        return ""
    lines = [f"{kind.family} {kind.kind} ({kind.module}): {', '.join([*_settings(kind), kind.text])}" for kind in KINDS.values()]
    return "== Extensions ==\n\n" + "\n".join(lines) + "\n\n"


def _settings(kind: Declared) -> list[str]:
    if not is_dataclass(kind.made):
        return []
    inherited = {"name", "input", "inputs", "initialization", "normalization", "activation", "regularization", "frozen"}
    return [f"{f.name}={f.default}" if f.default is not MISSING else f.name for f in fields(kind.made) if f.name not in inherited]
