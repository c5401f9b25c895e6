"""The op table: name -> shape rule, gradient rule, decomposition, kind."""

from __future__ import annotations

from pipeline.graph.builder import ShapeRule
from pipeline.ops.augment import AUGMENT
from pipeline.ops.batch_norm import BATCH_NORM
from pipeline.ops.concat import CONCAT
from pipeline.ops.convolution import CONVOLUTION
from pipeline.ops.elementwise import ELEMENTWISE
from pipeline.ops.fused import FUSED
from pipeline.ops.group_norm import GROUP_NORM
from pipeline.ops.linear import LINEAR
from pipeline.ops.loss import LOSS
from pipeline.ops.reduce import REDUCE
from pipeline.ops.source import SOURCE
from pipeline.ops.table import Op

OPS: dict[str, Op] = {
    op.name: op
    for op in (*ELEMENTWISE, *SOURCE, *REDUCE, *LINEAR, *CONVOLUTION, *CONCAT, *BATCH_NORM, *GROUP_NORM, *LOSS, *AUGMENT, *FUSED)
}
SHAPE_RULES: dict[str, ShapeRule] = {name: op.shape for name, op in OPS.items()}
