"""Which extensions are loaded, and who may ask for them.

An extension is a Python module: importing it declares its kinds.  It is imported where the user names it (`extensions=[my_package.module]`
on the command line, in a config of one's own, in Python), or where an installed package has it as an entry point of the group `caviar`.
What a run folder, a model or a config file of others names is imported by neither: whoever reads these asks `check`, which imports
nothing.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from pipeline.errors import ConfigError, ExtensionError, PipelineError, RunError, complain, nearest
from pipeline.extend.declared import loading, provided
from pipeline.extend.guard import guarded

GROUP = "caviar"
_loaded: set[str] = set()
_shut: ContextVar[bool] = ContextVar("shut", default=False)  # while the config of somebody else's sweep is composed
_tried: list[bool] = []  # whether the installed ones were looked for


def use(names: Iterable[str], *, at: str = "extensions") -> tuple[str, ...]:
    """Imports the extensions that a user names, by module or by the name of an entry point -> their modules.  Raises PipelineError."""
    return tuple(dict.fromkeys(_used(name, at) for name in names))


def _used(name: str, at: str) -> str:
    if is_loaded(name):
        return name
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(at=at, got=name, rule="is no name of a module", hint="write it as Python does: my_package.module")
    if name == "__main__":
        hint = "put its kinds into a module, my_kinds.py, and give extensions=[my_kinds]"
        raise ConfigError(at=at, got=name, rule="is a script or a notebook, which another process cannot import", hint=hint)
    module = name if name in sys.modules or _there(name) or _here(name) else installed().get(name)
    if module is None:
        known = installed()
        hint = nearest(name, known) if known else "install its package, or run where Python finds it"
        raise ConfigError(at=at, got=name, rule="there is no such module, and no installed extension of this name", hint=hint)
    if not is_loaded(module):
        if _shut.get():
            raise ConfigError(at=at, got=module, rule="is not loaded", hint=f"give extensions=[{module}] on this command if you trust it")
        if not _there(module) and module not in sys.modules:
            sys.path.append(str(Path.cwd()))  # behind all else: a command that is installed does not look into the current folder
        with loading(module), guarded(f"extension {module}"):
            importlib.import_module(module)
        if not provided(module):
            raise ExtensionError(f"extension {module}: declares nothing; see docs/extending.md for what an extension is")
        _loaded.add(module)
    return module


def use_installed() -> None:
    """Imports the extensions of installed packages, once; one that breaks is told and left out."""
    if _tried:
        return
    _tried.append(True)
    for name, module in installed().items():
        try:
            _used(module, "extensions")
        except PipelineError as error:
            complain(f"note: the installed extension {name} is left out: {error}")


def installed() -> dict[str, str]:
    """The entry points of the group `caviar`: name -> module.  Nothing of them is imported."""
    found = importlib.metadata.entry_points(group=GROUP)
    return {point.name: point.module for point in sorted(found, key=lambda point: point.name)}


def left_out() -> str:
    """How to have the installed extensions that are not loaded; empty where all are."""
    names = [name for name, module in installed().items() if not is_loaded(module)]
    return f"an installed extension may have it: extensions=[{','.join(names)}]" if names else ""


def described(name: str) -> str:
    """`my_package.module 1.2 (sha256 3f2a9c01d5e7)`: its version where it says one, and the digest of the files that declare its kinds."""
    modules = sorted({name, *(kind.module for kind in provided(name))} & sys.modules.keys())
    digest = hashlib.sha256()
    for module in modules:
        with suppress(OSError, TypeError):
            digest.update(Path(str(sys.modules[module].__file__)).read_bytes())
    version = next((str(found) for module in (name, name.partition(".")[0]) if (found := _version(module))), "")
    return f"{name} {version} (sha256 {digest.hexdigest()[:12]})".replace("  ", " ")


def _version(module: str) -> object:
    return getattr(sys.modules.get(module), "__version__", None)


def is_loaded(name: str) -> bool:
    """Whether the kinds of an extension are there."""
    return name in _loaded or bool(provided(name))


def check(names: Iterable[str], *, where: str) -> None:
    """Whether what `where` (a run folder, say) needs is loaded.  Imports nothing.  Raises RunError."""
    missing = [str(name) for name in names if not is_loaded(str(name))]
    if not missing:
        return
    if "__main__" in missing:
        raise RunError(f"{where}: uses kinds that a script or a notebook declared; declare them first, then load it")
    which = ", ".join(missing)
    what = f"needs the extension{'s' if len(missing) > 1 else ''} {which}, which can run any code, so nothing of it was imported"
    raise RunError(f"{where}: {what}; if you trust it, give extensions=[{','.join(missing)}]")


def paths(modules: Iterable[str]) -> tuple[str, ...]:
    """The folders in which Python finds these modules: what a process elsewhere on this machine looks through too."""
    tops = {name.partition(".")[0] for name in modules} & sys.modules.keys()
    origins = [Path(origin) for name in sorted(tops) if (origin := getattr(sys.modules[name], "__file__", None)) is not None]
    return tuple(dict.fromkeys(str((path.parent if path.stem == "__init__" else path).parent.absolute()) for path in origins))


@contextmanager
def shut() -> Iterator[None]:
    """While entered, nothing is imported: what is composed is not the user's own."""
    token = _shut.set(True)
    try:
        yield
    finally:
        _shut.reset(token)


def _here(name: str) -> bool:
    """Whether the current folder has a module of this name."""
    top = name.partition(".")[0]
    return Path(f"{top}.py").is_file() or Path(top, "__init__.py").is_file()


def _there(name: str) -> bool:
    """Whether Python finds a module of this name; the packages above it are not imported."""
    top = name.partition(".")[0]
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False
