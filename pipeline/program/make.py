"""The spine: experiment -> layers -> graph -> passes -> plan -> backend program."""

# K trials, S steps, B batch rows
from __future__ import annotations

import copyreg
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

import backends
from backends.contract import Backend, Plan
from pipeline.compiler.structure import Structure
from pipeline.config.experiment import Experiment
from pipeline.data import DataShape
from pipeline.errors import BackendError, ConfigError
from pipeline.program.access import Access
from pipeline.program.program import Program
from pipeline.program.stack import Stack


def compile_experiment(config: Experiment, shape: DataShape | None = None, *, reads: bool = False) -> Program:
    """The program that `config` describes; `shape` of the rows it takes, or None to take what data and preprocessing declare.

    reads: it is made for a reader alone, on a backend that cannot run here too.
    Loads no data, but for a preprocessing whose number of components is a share of the variance.
    Raises ConfigError, DataError (a shape that cannot be known without the data) and BackendError.
    """
    shape = shape or _declared(config)
    structure = Structure(config, shape, *load_backend(config, shape, reads=reads))
    return Program(structure, config, structure.allocate(1))


def compile_stack(configs: Sequence[Experiment], shape: DataShape | None = None) -> Stack:
    """Trials of one structure as one program.  Raises ConfigError naming the first config path that makes the structures differ."""
    if not configs:
        raise ConfigError(at="stack", got=[], rule="needs at least one config")
    first = configs[0]
    own_shape = shape or _declared(first)
    structure = Structure(first, own_shape, *load_backend(first, own_shape, trials=len(configs)))
    own = [structure, *(Structure(c, shape or _declared(c), structure.backend) for c in configs[1:])]
    for number, other in enumerate(own):
        if other.digest != structure.digest:
            raise _difference(first, configs[number], number, shape, structure)
    return stacked(structure, configs, own)


def stacked(structure: Structure, configs: Sequence[Experiment], own: Sequence[Structure]) -> Stack:
    """Trials of `structure` as one program.  own: the structures of `configs`, equal to it but for the values of their layers."""
    memory, access = structure.allocate(len(configs)), Access()
    # one compiled structure; the values and initial weights of each trial come from its own layers
    programs = [Program(structure, config, memory, k, network=own[k].network, access=access) for k, config in enumerate(configs)]
    return Stack(programs, memory)


def _copied_program(program: Program) -> tuple[Any, ...]:
    """How a program is copied and pickled: the copy is one of its own, compiled again, with the state of the first."""
    return compile_experiment, (program.config, program.structure.shape), program.__getstate__()


def _copied_stack(stack: Stack) -> tuple[Any, ...]:
    configs = [program.config for program in stack.programs]
    return compile_stack, (configs, stack.programs[0].structure.shape), stack.__getstate__()


copyreg.pickle(Program, _copied_program)
copyreg.pickle(Stack, _copied_stack)


def load_backend(config: Experiment, shape: DataShape, *, trials: int = 1, reads: bool = False) -> tuple[Backend, str]:
    """The backend that `config` asks for, or that is the faster one for `trials` trials of it over data of `shape`, and why it is that one.

    reads: who only reads its programs is given one that cannot run.  Raises BackendError with the reason when it cannot run here.
    """
    asked = config.backend
    if not asked.capture and asked.kind not in ("cupy", "auto"):
        raise ConfigError(
            at="backend.capture", got=False, rule="only steps on a GPU are captured", hint="use backend=cupy, or leave it out"
        )

    def plan() -> Plan:
        """Of a training step: that of both native backends."""
        structure = Structure(config, shape, backends.load("numpy", threads=asked.threads))
        return structure.compiled("train", structure.batch_size).plan

    try:
        kind, reason = backends.choose(asked.kind, plan, trials)
        return backends.load(kind, threads=asked.threads, capture=asked.capture), reason
    except backends.Unavailable as error:
        if reads and error.kind == "cupy":
            return backends.described(), f"to be read: {error.reason}"
        raise BackendError(str(error)) from None


def _declared(config: Experiment) -> DataShape:
    from pipeline.data.prepared import declared_shape  # noqa: PLC0415  # the readers of data files are needed only when no shape is given

    return declared_shape(config.data, config.preprocessing, seed=config.seed)


def _difference(first: Experiment, other: Experiment, number: int, shape: DataShape | None, structure: Structure) -> ConfigError:
    """The first path whose value in `other` changes the structure of `first`."""
    from pipeline.config.spec import experiment, to_plain  # noqa: PLC0415  # spec imports the records that this module compiles

    mine, theirs = to_plain(first), to_plain(other)
    found: list[tuple[str, Any]] = []
    for path, keys, value in _differences(mine, theirs):
        found.append((path, value))
        try:
            changed = experiment(_with(mine, keys, value))
            if Structure(changed, shape or _declared(changed), structure.backend).digest != structure.digest:
                found.insert(0, found.pop())
                break
        except ConfigError:  # this value needs another that differs too
            continue
    at, got = found[0] if found else ("data", other.data)
    shown = got["kind"] if isinstance(got, dict) and "kind" in got else got
    rule = f"config {number} has another structure than config 0"
    return ConfigError(at=at, got=shown, rule=rule, hint="stack configs that differ in values only")


def _differences(mine: Any, theirs: Any, keys: tuple[str | int, ...] = ()) -> Iterator[tuple[str, tuple[str | int, ...], Any]]:
    """(config path, keys, their value) of what differs, in order; records of different kinds differ as a whole."""
    if isinstance(mine, dict) and isinstance(theirs, dict) and mine.get("kind") == theirs.get("kind"):
        for key in theirs:
            yield from _differences(mine.get(key), theirs[key], (*keys, key))
    elif isinstance(mine, list) and isinstance(theirs, list) and len(mine) == len(theirs):
        for index, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            yield from _differences(a, b, (*keys, index))
    elif mine != theirs:
        path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
        yield (f"{path}.kind" if isinstance(theirs, dict) and "kind" in theirs else path), keys, theirs


def _with(config: dict[str, Any], keys: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed: Any = deepcopy(config)
    place = changed
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return dict(changed)
