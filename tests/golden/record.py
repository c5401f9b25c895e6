"""What is on record of a config: the digest of its structure, of its plans and programs as text, and its losses to the bit.

python -m tests.golden.record       writes tests/golden/record.txt anew: for a change of bits that CHANGELOG.md names
"""

# N rows, S steps, B batch rows, K trials
from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

import pipeline
from backends.numpy.kernels import kernels_of
from backends.numpy.listing import listing as native_listing
from backends.numpy.machine import processor
from pipeline.plan import print_plan
from pipeline.recipe.course import Course
from tests.golden.cases import CASES, Golden

RECORD = Path(__file__).with_name("record.txt")
PROCESSORS = {"AVX-512": processor.avx512, "AVX2": processor.avx2}
ROWS = 64


def programs(case: Golden) -> tuple[Any, list[Any]]:
    """What runs (a program or a stack), and the program of each trial."""
    cfg = pipeline.compose([*case.overrides, "backend.threads=1"])
    if len(case.seeds) == 1:
        program = pipeline.compile(cfg)
        return program, [program]
    stack = pipeline.stack([{**cfg, "seed": seed} for seed in case.seeds])
    return stack, list(stack.programs)


def listing(program: Any) -> tuple[str, dict[str, str]]:
    """The plans of a program as text, and the text of its native programs on each processor."""
    structure = program.structure
    forms = [("train", structure.batch_size), ("evaluate", structure.evaluation_batch), *([("fold", 1)] if structure.folds else [])]
    plans = [structure.compiled(form, batch).plan for form, batch in forms]
    native = {}
    for name, host in PROCESSORS.items():
        native[name] = "\n".join(_without_keys(native_listing(plan, kernels_of(plan, host()), 1)) for plan in plans)
    return "\n".join(print_plan(plan) for plan in plans), native


def losses(case: Golden, runs: Any, trials: list[Any]) -> Iterator[str]:
    """A line for each trial: the losses of its steps in hexadecimal, the digest of all that training changed, that of a prediction."""
    first = trials[0]
    x, y = _rows(first)
    batch = first.batch_size
    order = (np.arange(case.steps * batch) * 37 % ROWS).reshape(case.steps, batch)
    for trial in trials:
        trial.follow(Course(total_steps=case.steps, steps_per_epoch=7))
        if case.loads:
            trial.load_parameters({name: _numbers(name, p.shape) * 0.25 for name, p in trial.parameters().items()})
    made = runs.run(x, y, order)[None] if len(trials) == 1 else runs.run(x, y, np.stack([order] * len(trials)))
    for trial, line in zip(trials, made, strict=True):
        state = _digest(*(value.tobytes() for _, value in sorted(trial.state().items())))
        yield f"{' '.join(float(v).hex() for v in line)} state {state} prediction {_digest(trial.predict(x).tobytes())}"


def recorded(case: Golden, *, runs: bool = True) -> list[str]:
    """The lines of the record for `case`; without `runs` those that need no native code."""
    run, trials = programs(case)
    plan, native = listing(trials[0])
    lines = [f"structure {trials[0].digest}", f"plan {_digest(plan.encode())}"]
    lines += [f"program {name} {_digest(text.encode())}" for name, text in native.items()]
    return lines + [f"losses {line}" for line in losses(case, run, trials)] if runs else lines


def on_record() -> dict[str, list[str]]:
    """The record by the names of its cases."""
    blocks = [block.splitlines() for block in RECORD.read_text().split("\n\n") if block.strip() and not block.startswith("#")]
    return {lines[0]: [line.strip() for line in lines[1:]] for lines in blocks}


def write() -> None:
    """Makes the record anew."""
    blocks = ["# Written by `python -m tests.golden.record`; a change of it is a change of bits, named in CHANGELOG.md."]
    for case in CASES:
        blocks.append("\n".join([case.name, *(f"  {line}" for line in recorded(case))]))
        print(case.name, flush=True)
    RECORD.write_text("\n\n".join(blocks) + "\n")


def _rows(program: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """N made-up rows for what the program takes: exact in both precisions."""
    x = _numbers("x", (ROWS, *program.structure.network.input_shape))
    blank = program.structure.blank_y(ROWS)
    if blank.dtype.kind == "f":
        return x, _numbers("y", blank.shape)
    classes = max(2, program.structure.network.output.shape[-1])
    return x, (np.arange(ROWS) * 7 % classes).astype(np.int32)


def _numbers(name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Numbers of (-1, 1) with 12 bits, by whole-number arithmetic alone."""
    count = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.uint64) + np.uint64(crc32(name.encode()))
    mixed = (count * np.uint64(2654435761) >> np.uint64(7)) % np.uint64(4096)
    return ((mixed.astype(np.float64) - 2047.5) / 2048).reshape(shape)


def _without_keys(text: str) -> str:
    """Without the keys of kernels, which change with the source."""
    return re.sub(r"(?<=_)[0-9a-f]+(?=:)", "", text)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    write()
