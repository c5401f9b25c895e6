"""Augmentation: each image of a training batch is moved and mirrored at random; evaluation sees the images as they are.

The draws are a pure function of (seed, step, row of the batch), in a stream of their own: switching augmentation on changes neither
the initial weights nor the order of the data, and a resumed run draws what it would have drawn.
"""

# N batch, H W image, C channels
from __future__ import annotations

import math

from pipeline import random
from pipeline.errors import ConfigError
from pipeline.graph.builder import Builder
from pipeline.graph.values import Value
from pipeline.records import record, setting


@record
class Augmentation:
    """What happens to a training image, in this order; what is 0 does not happen.

    shift  moved by up to this many pixels up or down and left or right; the edge of the image is repeated
    crop   this many rows and columns of zeros on each side, then a window of the old size cut out (He, Zhang, Ren & Sun 2016, section 4.2)
    flip   share of the images whose left and right are exchanged
    """

    shift: int = setting(0, least=0)
    crop: int = setting(0, least=0)
    flip: float = setting(0.0, least=0, most=1)

    def moves(self) -> tuple[tuple[str, float], ...]:
        """(name, how much) of each, in order."""
        return ("shift", self.shift), ("crop", self.crop), ("flip", self.flip)


def check(config: Augmentation, row: tuple[int, ...]) -> None:
    """Whether rows of shape `row` are images that can be moved that far.  Raises ConfigError."""
    for name, got in config.moves():
        if not got:
            continue
        at = f"augmentation.{name}"
        if len(row) != 3:
            rule = f"needs images [height, width, channels], and a row has shape {list(row)}"
            raise ConfigError(at=at, got=got, rule=rule, hint="use augmentation=none")
        if name != "flip" and got >= min(row[:2]):
            rule = f"the images have {row[0]} x {row[1]} pixels"
            raise ConfigError(at=at, got=got, rule=rule, hint=f"use at most {min(row[:2]) - 1}")


def augment(b: Builder, config: Augmentation, x: str) -> str:
    """Emits the moves of the batch x [N, H, W, C] -> [N, H, W, C]; x itself when there are none."""
    count = b.shape(x)[0]
    for name, margin, fill in (("shift", config.shift, "edge"), ("crop", config.crop, "zero")):
        if margin:
            x = b.add("shift", x, _drawn(b, name, (count, 2)), name=name, margin=margin, fill=fill)
    if config.flip > 0:
        x = b.add("mirror", x, _drawn(b, "flip", (count,)), b.value("augmentation.flip"), name="flip")
    return x


def values(config: Augmentation) -> dict[str, Value]:
    """The scalars that the ops read.  A draw is a multiple of 2^-24: compared with the next such multiple, float32 and float64 agree."""
    return {"augmentation.flip": math.ceil(config.flip * 2**24) / 2**24}


def _drawn(b: Builder, name: str, shape: tuple[int, ...]) -> str:
    words = (b.input(word, (), "word", "uint32") for word in ("seed", "step_low", "step_high"))
    path = random.path_word(f"augmentation.{name}")
    return b.add("uniform", *words, name=f"{name}_draws", shape=shape, stream=random.AUGMENTATION, path=path, dtype=b.precision)
