"""Every pin has its hashes, and the audit of `make check` finds what is wrong."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
AUDIT = runpy.run_path(str(ROOT / ".ci" / "audit.py"))
LOCK = (ROOT / "requirements.lock").read_text()


def test_every_pin_of_the_lock_has_hashes_and_is_that_of_the_constraints() -> None:
    lock, constraints = AUDIT["pins"](LOCK), AUDIT["pins"]((ROOT / "constraints.txt").read_text())
    assert len(lock) > 100 and not list(AUDIT["of_pins"](lock, constraints))
    text = (ROOT / "pyproject.toml").read_text()
    asked = re.findall(
        r'"([A-Za-z0-9_-]+)(?:\[[a-z]+\])?[><=]', text.split("[project.optional-dependencies]")[0].split("dependencies = [")[1]
    )
    assert len(asked) > 10 and {AUDIT["plain"](name) for name in asked} <= lock.keys()


def test_a_pin_that_lost_its_hash_or_its_version_is_found() -> None:
    damaged = LOCK.replace("--hash=sha256:", "--hash=md5:", LOCK.count("--hash=sha256:"))
    assert len(list(AUDIT["of_pins"](AUDIT["pins"](damaged), {}))) == len(AUDIT["pins"](LOCK))
    lock = AUDIT["pins"](LOCK)
    (line,) = AUDIT["of_pins"](lock, {"numpy": ("1.0", 0)})
    assert line.startswith(f"requirements.lock: numpy=={lock['numpy'][0]}, and constraints.txt has 1.0; ")


def test_what_is_installed_beside_the_lock_and_licences_that_nobody_read_are_found() -> None:
    lock = AUDIT["pins"](LOCK)
    found = list(AUDIT["of_installed"](lock, {"numpy": "0.9", "left-pad": "1.0", "pandas": lock["pandas"][0]}))
    assert [line.split(":")[0] for line in found] == ["numpy==0.9", "left-pad==1.0"]
    rows = [{"Name": name, "Version": "1", "License": licence} for name, licence in (("a", "MIT"), ("b", "GPL-3.0"), ("c", "UNKNOWN"))]
    assert [line.split(":")[0] for line in AUDIT["of_licences"](rows)] == ["b==1", "c==1"]
