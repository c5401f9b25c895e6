"""hydra/sweeper=search as a plugin: its settings are those that are read, and it works in another application of Hydra."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

from hydra_plugins.caviar import search as plugin
from pipeline.records import plain
from pipeline.search.settings import Search

ROOT = Path(__file__).parents[2]
APPLICATION = """
import hydra

@hydra.main(config_path=None, config_name=None, version_base="1.3")
def work(config):
    value = (config.x - 0.3) ** 2 + (config.kind == "bad")
    print("job", config.x, config.kind, config.seed)
    return value

work()
"""


def test_the_settings_of_the_plugin_are_those_that_a_search_reads() -> None:
    assert {name: value for name, value in plugin.SETTINGS.items() if name != "_target_"} == plain(Search())


def test_the_plugin_loads_nothing_of_ours_at_the_start() -> None:
    loaded = ast.parse(Path(plugin.__file__).read_text()).body
    names = [ast.unparse(node) for node in loaded if isinstance(node, ast.Import | ast.ImportFrom)]
    assert names and not [name for name in names if "pipeline" in name]


def test_another_application_of_hydra_is_searched(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    words = ["-m", "hydra/sweeper=search", "hydra.sweeper.trials=12", "hydra.sweeper.stages=2", "hydra.sweeper.zoom=0.2"]
    words += ["+x=interval(0,1)", "+kind=good,bad", "+seed=0,1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "app.py", *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    jobs = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("job ")]
    assert len(jobs) == 24 and [seed for *_, seed in jobs] == ["0", "1"] * 12
    points = [(float(x), kind) for x, kind, _ in jobs[::2]]
    best = min(points[:6], key=lambda point: (point[0] - 0.3) ** 2 + (point[1] == "bad"))
    assert all(abs(x - best[0]) <= 0.2 + 1e-6 for x, _ in points[6:])
