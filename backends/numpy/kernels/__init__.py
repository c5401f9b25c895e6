"""A call of a plan -> the kernel that does it: its name, how its work is cut, and how to emit it."""

from __future__ import annotations

from dataclasses import replace

from backends.contract import Call, Plan
from backends.numpy.kernels.augment import EMITTERS as AUGMENT_EMITTERS
from backends.numpy.kernels.augment import Images, ImagesKernel
from backends.numpy.kernels.concat import Runs, RunsKernel
from backends.numpy.kernels.convolution import Convolution, ConvolutionKernel
from backends.numpy.kernels.fused import Fused, FusedKernel, paths
from backends.numpy.kernels.group_norm import GroupNormKernel, Groups
from backends.numpy.kernels.kernel import Emits, Kernel, Sizes, make
from backends.numpy.kernels.matmul import MatmulKernel, Product
from backends.numpy.kernels.weight_gradient import WeightGradient, WeightGradientKernel
from backends.numpy.kernels.windows import EMITTERS as WINDOW_EMITTERS
from backends.numpy.kernels.windows import WindowKernel, Windows
from backends.numpy.machine.processor import Processor

# op -> the sizes of a call, and what emits its kernel
KERNELS: dict[str, tuple[type[Sizes], type[Emits]]] = {
    "fused": (Fused, FusedKernel),
    "matmul": (Product, MatmulKernel),
    "concat": (Runs, RunsKernel),
    "split": (Runs, RunsKernel),
    "conv": (Convolution, ConvolutionKernel),
    "conv_data_gradient": (Convolution, ConvolutionKernel),
    "conv_weight_gradient": (WeightGradient, WeightGradientKernel),
    "group_norm": (Groups, GroupNormKernel),
    "group_norm_gradient": (Groups, GroupNormKernel),
    **dict.fromkeys(WINDOW_EMITTERS, (Windows, WindowKernel)),
    **dict.fromkeys(AUGMENT_EMITTERS, (Images, ImagesKernel)),
}
# in the names of kernels
SHORT = {"conv_data_gradient": "conv", "conv_weight_gradient": "conv_weight"}


def kernel_of(call: Call, precision: str, cpu: Processor) -> Kernel:
    """The kernel of `call`.  Calls alike but for the names of their values share it."""
    if call.product is not None:  # its fused body follows in the kernel of the product
        call = replace(call, op=call.product.op, attributes=call.product.attributes)
    assert call.op in KERNELS, f"the numpy backend has no kernel for {call.op}"
    sizes, emits = KERNELS[call.op]
    return make(SHORT.get(call.op, call.op), sizes.of(call, precision, cpu), emits, cpu, paths(call.body) if call.body else ())


def kernels_of(plan: Plan, cpu: Processor) -> dict[int, Kernel]:
    """The kernels of a plan by the numbers of their calls; the step itself gathers."""
    return {number: kernel_of(call, plan.precision, cpu) for number, call in enumerate(plan.calls) if call.op != "gather"}
