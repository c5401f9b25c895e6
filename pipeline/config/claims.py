"""What the file of an experiment says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from pipeline.config.overrides import CONF


def claim(overrides: Sequence[str]) -> str:
    """The comment at the head of the experiment's file, but for the command in it; empty without an experiment."""
    name = next((text.partition("=")[2] for text in overrides if text.startswith("experiment=")), "")
    file = next((path for place in _places() if name and (path := place / "experiment" / f"{name}.yaml").is_file()), None)
    lines = []
    for line in [] if file is None else file.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith(("# @", "# python -m")):
            lines.append(line.lstrip("# ").strip())
    return " ".join(lines)


def _places() -> list[Path]:
    """Where Hydra, being at work, looks for configs; ours last."""
    own = HydraConfig.get().runtime.config_sources if HydraConfig.initialized() else ()
    return [*(Path(source.path) for source in own if source.schema == "file"), CONF]
