"""The reference kernels by op: tensors and attributes -> a new tensor, or a tuple of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backends.reference.kernels.augment import AUGMENT
from backends.reference.kernels.batch_norm import BATCH_NORM
from backends.reference.kernels.concat import CONCAT
from backends.reference.kernels.convolution import CONVOLUTION
from backends.reference.kernels.elementwise import ELEMENTWISE
from backends.reference.kernels.group_norm import GROUP_NORM
from backends.reference.kernels.linear import LINEAR
from backends.reference.kernels.loss import LOSS
from backends.reference.kernels.reduce import REDUCE
from backends.reference.kernels.source import SOURCE

KERNELS: dict[str, Callable[..., Any]] = {
    **ELEMENTWISE,
    **SOURCE,
    **REDUCE,
    **LINEAR,
    **BATCH_NORM,
    **GROUP_NORM,
    **LOSS,
    **CONVOLUTION,
    **CONCAT,
    **AUGMENT,
}
