"""A call of a plan -> the kernel that does it: its name, how its work is cut, and how to emit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from llvmlite import ir

from backends.contract import Body, Call
from backends.numpy.emit.emitter import Module
from backends.numpy.kernels.augment import EMITTERS as AUGMENT_EMITTERS
from backends.numpy.kernels.augment import Images, ImagesKernel
from backends.numpy.kernels.concat import Runs, RunsKernel
from backends.numpy.kernels.convolution import Convolution, ConvolutionKernel
from backends.numpy.kernels.epilogue import Epilogue
from backends.numpy.kernels.fused import FusedKernel, paths, tiles
from backends.numpy.kernels.group_norm import GroupNormKernel, Groups
from backends.numpy.kernels.matmul import MatmulKernel, Product
from backends.numpy.kernels.weight_gradient import WeightGradient, WeightGradientKernel
from backends.numpy.kernels.windows import EMITTERS, WindowKernel, Windows
from backends.numpy.machine.cache import key
from backends.numpy.machine.processor import Processor


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """symbol(input pointers, output pointers, paths, scratch, begin, end).

    tiles: into how many parts the work is cut; scratch: bytes a thread needs, which start with NOTHING (see `tiling`) before its first
    tiles of a call; flops: operations of the whole call; grain: tiles that a thread should take together.
    """

    symbol: str
    tiles: int
    scratch: int
    paths: tuple[int, ...]
    flops: float
    build: Callable[[], ir.Module]
    grain: int = 1


def kernel_of(call: Call, precision: str, cpu: Processor) -> Kernel:
    """The kernel of `call`.  Calls alike but for the names of their values share it."""
    product = call.attributes.get("product")
    if call.body is not None and product is None:
        return _fused(call, call.body, precision, cpu)
    if product is not None:
        return MAKERS[product["op"]](replace(call, op=product["op"], attributes=product), precision, cpu)
    assert call.op in MAKERS, f"the numpy backend has no kernel for {call.op}"
    return MAKERS[call.op](call, precision, cpu)


def _building(symbol: str, cpu: Processor, emit: Callable[[Module], None]) -> Callable[[], ir.Module]:
    """Makes the module of a kernel when its code is needed."""

    def build() -> ir.Module:
        module = Module(symbol, cpu)
        emit(module)
        return module

    return build


def _fused(call: Call, body: Body, precision: str, cpu: Processor) -> Kernel:
    anonymous = _anonymous(body)
    dtypes = [b.dtype for b in call.inputs]
    replacing = _replacing(call, body)
    symbol = f"fused_{key(cpu, anonymous, tuple(dtypes), precision, *([replacing] if replacing else []))}"

    def emit(module: Module) -> None:
        FusedKernel(module, symbol, anonymous, dtypes, precision, replacing).emit()

    work = float(body.rows * body.columns * len(body.instructions))
    return Kernel(symbol=symbol, tiles=tiles(body), scratch=0, paths=tuple(paths(body)), flops=work, build=_building(symbol, cpu, emit))


def _replacing(call: Call, body: Body) -> tuple[int, ...]:
    """The outputs that lie where an input lies, of a body of several passes; in one pass each number is read before it is replaced."""
    if body.kind == "flat" or not any("axes" in i.attributes for i in body.instructions):
        return ()
    read = {(b.region, b.offset) for b in call.inputs if b.region in ("state", "work")}
    return tuple(n for n, b in enumerate(call.outputs) if (b.region, b.offset) in read and b.count == body.rows * body.columns)


def _epilogue(call: Call) -> Epilogue | None:
    """What follows a product in its own kernel."""
    return Epilogue(_anonymous(call.body), tuple(b.dtype for b in call.inputs[2:])) if call.body is not None else None


def _matmul(call: Call, precision: str, cpu: Processor) -> Kernel:
    a, b = call.inputs[:2]
    transpose_a, transpose_b = bool(call.attributes.get("transpose_a")), bool(call.attributes.get("transpose_b"))
    k, m = a.shape if transpose_a else reversed(a.shape)
    n = b.shape[0] if transpose_b else b.shape[1]
    product = Product(m=m, n=n, k=k, transpose_a=transpose_a, transpose_b=transpose_b, precision=precision)
    epilogue = _epilogue(call)
    symbol = f"matmul_{key(cpu, product, *([epilogue] if epilogue else []))}"

    def emit(module: Module) -> None:
        MatmulKernel(module, symbol, product, cpu, epilogue).emit()

    return Kernel(
        symbol=symbol,
        tiles=product.tiles(cpu),
        scratch=product.scratch_bytes(cpu),
        paths=(),
        flops=2.0 * m * n * k,
        grain=product.grain(cpu),
        build=_building(symbol, cpu, emit),
    )


def _convolution(call: Call, precision: str, cpu: Processor) -> Kernel:
    sizes = Convolution.of(call, precision)
    epilogue = _epilogue(call)
    symbol = f"conv_{key(cpu, sizes, *([epilogue] if epilogue else []))}"
    planned = ConvolutionKernel(Module(symbol, cpu), symbol, sizes, cpu)

    def emit(module: Module) -> None:
        ConvolutionKernel(module, symbol, sizes, cpu, epilogue).emit()

    return Kernel(
        symbol=symbol, tiles=planned.tiles, scratch=planned.scratch_bytes, paths=(), flops=sizes.flops(), build=_building(symbol, cpu, emit)
    )


def _weight_gradient(call: Call, precision: str, cpu: Processor) -> Kernel:
    sizes = WeightGradient.of(call, precision)
    symbol = f"conv_weight_{key(cpu, sizes)}"
    planned = WeightGradientKernel(Module(symbol, cpu), symbol, sizes, cpu)

    def emit(module: Module) -> None:
        WeightGradientKernel(module, symbol, sizes, cpu).emit()

    return Kernel(symbol=symbol, tiles=planned.tiles, scratch=0, paths=(), flops=sizes.flops(), build=_building(symbol, cpu, emit))


def _windows(call: Call, precision: str, cpu: Processor) -> Kernel:
    windows = Windows.of(call, precision)
    symbol = f"{call.op}_{key(cpu, windows)}"

    def emit(module: Module) -> None:
        WindowKernel(module, symbol, windows).emit()

    return Kernel(symbol=symbol, tiles=windows.images, scratch=0, paths=(), flops=windows.work, build=_building(symbol, cpu, emit))


def _runs(call: Call, precision: str, cpu: Processor) -> Kernel:
    runs = Runs.of(call)
    symbol = f"{call.op}_{key(cpu, runs)}"

    def emit(module: Module) -> None:
        RunsKernel(module, symbol, runs).emit()

    numbers = float(sum(b.count for b in call.outputs))
    return Kernel(symbol=symbol, tiles=runs.tiles, scratch=0, paths=(), flops=numbers, build=_building(symbol, cpu, emit))


def _group_norm(call: Call, precision: str, cpu: Processor) -> Kernel:
    groups = Groups.of(call, precision)
    symbol = f"{call.op}_{key(cpu, groups)}"

    def emit(module: Module) -> None:
        GroupNormKernel(module, symbol, groups).emit()

    return Kernel(
        symbol=symbol, tiles=groups.samples, scratch=groups.scratch_bytes, paths=(), flops=groups.work, build=_building(symbol, cpu, emit)
    )


def _images(call: Call, precision: str, cpu: Processor) -> Kernel:
    images = Images.of(call, precision)
    symbol = f"{call.op}_{key(cpu, images)}"

    def emit(module: Module) -> None:
        ImagesKernel(module, symbol, images).emit()

    return Kernel(
        symbol=symbol, tiles=images.images, scratch=0, paths=(), flops=float(call.outputs[0].count), build=_building(symbol, cpu, emit)
    )


# op -> what makes its kernel; a fused call has no row, its body says what it does
MAKERS: dict[str, Callable[[Call, str, Processor], Kernel]] = {
    "matmul": _matmul,
    "concat": _runs,
    "split": _runs,
    "conv": _convolution,
    "conv_data_gradient": _convolution,
    "conv_weight_gradient": _weight_gradient,
    **dict.fromkeys(EMITTERS, _windows),
    **dict.fromkeys(("group_norm", "group_norm_gradient"), _group_norm),
    **dict.fromkeys(AUGMENT_EMITTERS, _images),
}


def _anonymous(body: Body) -> Body:
    """The body with numbered values and without layer paths."""
    number: dict[str, str] = {}
    for name in (*(n for n, _ in body.inputs), *(i.name for i in body.instructions)):
        number[name] = f"v{len(number)}"
    return replace(
        body,
        inputs=tuple((number[n], level) for n, level in body.inputs),
        instructions=tuple(
            replace(
                i,
                name=number[i.name],
                operands=tuple(number[o] for o in i.operands),
                attributes={**dict(sorted(i.attributes.items())), **({"path": 0} if i.op == "uniform" else {})},
            )
            for i in body.instructions
        ),
        outputs=tuple(number[o] for o in body.outputs),
    )
