"""Audits what is installed against requirements.lock, without a network: versions and hashes, licences, a software bill of materials.

    python .ci/audit.py          # part of `make check`; writes build/sbom.json (CycloneDX)

Exits with 1 and a line for each finding: a pin without a hash or beside constraints.txt, a package that the lock does not name or names in
another version, a licence that is not on the list.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = "caviar-pipeline"
BASIS = ("pip", "setuptools", "wheel")  # what an environment begins with
LICENCES = re.compile(
    r"(?i)\b(MIT|BSD|0BSD|Apache|ISC|Zlib|MPL|Mozilla Public|PSF|Python Software Foundation|CC0|Unlicense|Public Domain|HPND|LLVM)"
)
COPYLEFT = re.compile(r"(?i)\b[AL]?GPL|General Public License")
READ = {"huey": "MIT", "skops": "MIT"}  # their files say it, their metadata do not


def pins(text: str) -> dict[str, tuple[str, int]]:
    """name -> (version, number of sha256 hashes) of a file of requirements."""
    found: dict[str, tuple[str, int]] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line):
            name = plain(match[1])
            found[name] = (match[2], 0)
        if name and re.search(r"--hash=sha256:[0-9a-f]{64}\b", line):
            found[name] = (found[name][0], found[name][1] + 1)
    return found


def plain(name: str) -> str:
    """The name as indexes have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def of_pins(lock: dict[str, tuple[str, int]], constraints: dict[str, tuple[str, int]]) -> Iterator[str]:
    """What is wrong with the lock file by itself."""
    for name, (version, hashes) in lock.items():
        if not hashes:
            yield f"requirements.lock: {name}=={version} has no sha256; make it again with make lock"
        if name in constraints and constraints[name][0] != version:
            yield f"requirements.lock: {name}=={version}, and constraints.txt has {constraints[name][0]}; make it again with make lock"


def of_installed(pinned: dict[str, tuple[str, int]], installed: dict[str, str]) -> Iterator[str]:
    """Where what is installed is not what is pinned."""
    for name, version in installed.items():
        if name not in pinned:
            yield f"{name}=={version}: is installed, and nothing pins it; make lock"
        elif pinned[name][0] != version:
            yield f"{name}=={version}: is installed, and {pinned[name][0]} is pinned; pip install -r requirements.lock"


def of_licences(rows: list[dict[str, str]]) -> Iterator[str]:
    """Licences that are not permissive, or not known."""
    for row in rows:
        name = plain(row["Name"])
        licence = READ.get(name, row["License"])
        if name != OURS and (COPYLEFT.search(licence) or not LICENCES.search(licence)):
            yield f"{name}=={row['Version']}: its licence is {licence}; read it, and name it in .ci/audit.py or do without"


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> int:
    """The number of findings, at most 1."""
    lock, constraints = (pins((ROOT / name).read_text()) for name in ("requirements.lock", "constraints.txt"))
    found = {plain(one.metadata["Name"]): one.version for one in metadata.distributions()}
    installed = {name: version for name, version in found.items() if name not in (OURS, *BASIS)}
    licences = json.loads(_output(sys.executable, "-m", "piplicenses", "--format=json", "--from=mixed"))
    bill = ROOT / "build" / "sbom.json"
    bill.parent.mkdir(exist_ok=True)
    _output(sys.executable, "-m", "cyclonedx_py", "environment", "--output-format", "JSON", "--output-file", str(bill))
    listed = {plain(part["name"]) for part in json.loads(bill.read_text())["components"]}
    findings = [*of_pins(lock, constraints), *of_installed(constraints | lock, installed), *of_licences(licences)]
    findings += [f"{name}: is not in the bill of materials" for name in sorted(set(installed) - listed)]
    print(
        "\n".join(findings)
        or f"{len(installed)} packages: versions and hashes are those of the lock, licences are known, {bill.name} written"
    )
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main())
