"""Every kernel compiles for the GPUs of today, without one: NVRTC's machine code, its registers, and the PTX that holds the bits."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

import pipeline
from backends.cupy.compiler import Cubins, compiled
from backends.cupy.source.program import Source, program
from tests.golden.cases import CASES, CONVOLUTIONS, DECODER, IMAGES, JOINS, SMALL, Golden

cuda = pytest.importorskip("cupy.cuda", reason="cupy is not installed")
pytestmark = pytest.mark.integration

ARCHITECTURES = ("sm_80", "sm_90", "sm_100", "sm_120")
PTX = "compute_90"  # no machine code: PTX alone
LARGE = "architecture.layers=[{kind: dense, units: 512}, {kind: dense, units: 512}]"
NETWORKS = {
    "dense": ((SMALL, "normalization=batch", "regularization=dropout"), "train"),
    "large": ((LARGE, "training.batch_size=128", "regularization=clip_norm"), "train"),
    "convolutions": ((CONVOLUTIONS, *IMAGES, "normalization=batch", "augmentation=flip_shift"), "train"),
    "joins": ((JOINS, *IMAGES, "normalization=group", "normalization.groups=4", "activation=gelu"), "train"),
    "decoder": ((DECODER, *IMAGES, "optimizer=nadam", "regularization=clip_norm"), "train"),
    "evaluation": ((CONVOLUTIONS, *IMAGES, "normalization=layer", "activation=softplus"), "evaluate"),
}
# the most that a kernel may use, on any of them: registers of a thread, bytes of shared memory of a block, bytes that a thread spills
REGISTERS, SHARED, SPILLED = 96, 48 * 1024, 32


def _nvrtc() -> Any:
    try:
        cuda.nvrtc.getVersion()
    except (RuntimeError, ImportError, OSError) as error:
        pytest.skip(f"NVRTC cannot be loaded: {str(error).splitlines()[0]}")
    return cuda.nvrtc


@cache
def _source(name: str, precision: str = "float32") -> Source:
    overrides, form = NETWORKS[name]
    structure = pipeline.compile(pipeline.compose([*overrides, f"precision={precision}"])).structure
    return program(structure.compiled(form, structure.batch_size if form == "train" else 32).plan)


def _texts(source: Source) -> list[tuple[str, bool]]:
    """(text, whether denormals of float32 are zero in it)."""
    return [(source.text, source.flushes), *([(source.gathers, False)] if source.gathers else [])]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_compile_within_their_budget(name: str, architecture: str) -> None:
    for text, flushes in _texts(_source(name)):
        code, _, log = compiled(_nvrtc(), text, architecture, flushes=flushes, more=("--ptxas-options=-v",))
        assert code[:4] == b"\x7fELF"
        _within(log)


OWN = [case for case in CASES if not case.slow and not case.name.startswith(("initialization/", "schedule/", "experiment/"))]


@pytest.mark.parametrize("case", OWN, ids=lambda case: case.name)
def test_every_config_on_record_compiles_within_the_budget(case: Golden) -> None:
    """For one GPU: schedules and starts are values of the same kernels."""
    structure = pipeline.compile(pipeline.compose([*case.overrides])).structure
    source = program(structure.compiled("train", structure.batch_size).plan)
    _, _, log = compiled(_nvrtc(), source.text, "sm_90", flushes=source.flushes, more=("--ptxas-options=-v",))
    _within(log)


def _within(log: str) -> None:
    registers = [int(n) for n in re.findall(r"Used (\d+) registers", log)]
    spilled = [int(n) for n in re.findall(r"(\d+) bytes spill stores", log)]
    shared = [int(n) for n in re.findall(r"(\d+) bytes smem", log)]
    assert registers and max(registers) <= REGISTERS, sorted(registers)
    assert spilled and max(spilled) <= SPILLED
    assert max(shared, default=0) <= SHARED


FLOAT32 = re.compile(r"^\s*((?:add|sub|mul|div|fma|sqrt|min|max|setp|rsqrt|rcp)[.\w]*\.f32)\s", re.MULTILINE)


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_is_flushed_and_nothing_is_approximate(name: str) -> None:
    source = _source(name)
    _, ptx, _ = compiled(_nvrtc(), source.text, PTX, flushes=True)
    used = set(FLOAT32.findall(ptx))
    assert any(op.startswith("fma.rn.ftz") for op in used)
    assert not [op for op in used if ".ftz" not in op], "an operation that keeps denormals"
    assert ".approx" not in ptx and ".full" not in ptx
    assert not re.search(r"\b(min|max|neg|abs)\.[.\w]*f32", ptx.replace("neg.ftz", "")), (
        "these treat NaN or denormals in a way of their own"
    )
    if source.gathers:
        _, rows, _ = compiled(_nvrtc(), source.gathers, PTX, flushes=False)
        assert ".ftz" not in rows and "fma." not in rows


def test_float64_is_flushed_by_the_source_alone() -> None:
    _, ptx, _ = compiled(_nvrtc(), _source("dense", "float64").text, PTX, flushes=False)
    assert ("fma.rn.f64" in ptx and "add.rn.f64" in ptx) or "add.f64" in ptx
    assert ".ftz" not in ptx and ".approx" not in ptx and ".f32" not in ptx


@pytest.mark.parametrize(("name", "precision"), [("dense", "float32"), ("joins", "float32"), ("dense", "float64")])
def test_no_multiply_add_is_there_that_the_source_does_not_ask_for(name: str, precision: str) -> None:
    """With the one function that asks for it made external, none is left; with contraction allowed, there are some."""
    source, kind = _source(name, precision), {"float32": "float", "float64": "double"}[precision]
    macro = {"float32": "FMA32", "float64": "FMA64"}[precision]
    text = f'extern "C" __device__ {kind} asked({kind}, {kind}, {kind});\n#define {macro} asked\n{source.text}'
    _, ptx, _ = compiled(_nvrtc(), text, PTX, flushes=source.flushes, more=("-rdc=true",))
    assert "call" in ptx and "fma." not in ptx
    if precision == "float64":
        return  # between the two stands the flush of the product
    _, contracted, _ = compiled(_nvrtc(), text, PTX, flushes=source.flushes, more=("-rdc=true", "-fmad=true"))
    assert "fma." in contracted


def test_machine_code_is_kept_by_what_decides_it(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source, cubins = _source("dense"), Cubins(tmp_path / "cubins")
    code = cubins.get(_nvrtc(), source.gathers, "sm_90", flushes=False)
    assert len(list(cubins.folder.iterdir())) == 1
    monkeypatch.setattr("backends.cupy.compiler.compiled", lambda *_, **__: pytest.fail("it is there"))
    assert cubins.get(_nvrtc(), source.gathers, "sm_90", flushes=False) == code
    monkeypatch.undo()
    (path,) = cubins.folder.iterdir()
    path.write_bytes(code[:-1])
    assert cubins.get(_nvrtc(), source.gathers, "sm_90", flushes=False) == code, "a damaged file is made anew"
    cubins.get(_nvrtc(), source.gathers, "sm_80", flushes=False)
    assert len(list(cubins.folder.iterdir())) == 2
