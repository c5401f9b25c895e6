"""Pages of the documentation that are made from the code when it is built: options from their files, claims from their experiments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
PAGES = {"architecture.md": "ARCHITECTURE.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are made."""
    made = {"reference/options.md": options(), "reference/claims.md": claims(), "index.md": _moved((ROOT / "README.md").read_text("utf-8"))}
    made |= {name: _moved((ROOT / source).read_text("utf-8")) for name, source in PAGES.items()}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    plots = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "benchmarks/plots").glob("*.png"))]
    for name in ("benchmarks/curves.png", "benchmarks/FIRST_RUN.md", "benchmarks/RESULTS.md", *plots):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, **context: Any) -> str:
    """A link to a file of the checkout is its name: the files are not part of the pages."""
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def options() -> str:
    """A section for each group, an entry for each option: the comment at its head, and its settings."""
    made = ["# All options", "One word chooses an option (`optimizer=momentum`), a dotted path sets a value (`optimizer.momentum=0.95`)."]
    for folder in sorted(path for path in CONF.iterdir() if path.is_dir() and path.name not in ("hydra", "experiment")):
        made.append(f"## {folder.name}")
        for file in sorted(folder.glob("*.yaml")):
            head, body = _parts(file)
            made.append(f"### `{folder.name}={file.stem}`\n\n{head}" + (f"\n\n```yaml\n{body}\n```" if body else ""))
    return "\n\n".join(made) + "\n"


def claims() -> str:
    """What each experiment asks, and what is expected of it."""
    made = [
        "# Experiments and their claims",
        "Each is run by a test at a small size; where the outcome differs from the claim its header says so.",
    ]
    for file in sorted((CONF / "experiment").glob("*.yaml")):
        head, _ = _parts(file)
        made.append(f"## {file.stem}\n\n{head}")
    return "\n\n".join(made) + "\n"


def _parts(file: Path) -> tuple[str, str]:
    """The comment at the head of an option's file, a command in it as code, and what comes after."""
    lines = file.read_text(encoding="utf-8").splitlines()
    count = next((place for place, line in enumerate(lines) if not line.startswith("#")), len(lines))
    head = [line.removeprefix("#").strip() for line in lines[:count] if not line.startswith("# @package")]
    told = [f"`{line}`" if line.startswith("python -m") else line for line in head]
    body = "\n".join(lines[count:]).strip()
    yaml.safe_load(body)  # what is shown is what is read
    return "  \n".join(told), body


def _moved(text: str) -> str:
    """A page of the checkout's root as one of the documentation: its links lead there."""
    for name, source in PAGES.items():
        text = text.replace(f"]({source})", f"]({name})")
    return text.replace("](docs/", "](").replace("](examples)", "](tutorial.md)").replace("](LICENSE)", "](index.md)")
