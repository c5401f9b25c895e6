"""What is found in a folder of images, before anything is trained: images by class and part, what looks wrong, and what mends it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.data.images.folder import looked_at
from pipeline.data.images.image import Seen, UnreadableImage, form_of
from pipeline.data.images.listing import listed
from pipeline.data.settings import Data
from pipeline.data.storage.files import located

SHOWN = 3  # files that cannot be read, each with its reason


@dataclass(frozen=True, kw_only=True)
class ImageReport:
    """rows: class, images in each of `parts`;  becomes: what a network sees;  wrong: with the setting that mends it."""

    title: str
    parts: tuple[str, ...]
    rows: list[tuple[str, list[int]]]
    becomes: str
    wrong: list[str]
    notes: tuple[str, ...]


@dataclass
class _Counted:
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    bits: Counter[int] = field(default_factory=Counter)
    cut: int = 0
    turned: int = 0
    seen_through: int = 0
    unreadable: list[str] = field(default_factory=list)

    def add(self, seen: Seen) -> None:
        """One more image."""
        self.sizes[seen.size] += 1
        self.channels[seen.channels] += 1
        self.bits[seen.bits] += 1
        self.cut += seen.cut
        self.turned += seen.turned
        self.seen_through += seen.seen_through


def image_report(config: Data) -> ImageReport:
    """Looks at every image of `data.path`.  Raises DataError where there are no images in folders of classes."""
    listing = listed(located(str(config.path)), skip=True)
    counted, counts, first = _Counted(), {part: Counter[str]() for part in listing.parts}, None
    for (part, name, _), seen in looked_at(listing):
        if isinstance(seen, UnreadableImage):
            counted.unreadable.append(str(seen).partition(" = ")[2])
            continue
        first = first or seen
        counted.add(seen)
        counts[part][name] += 1
    total = sum(map(Counter.total, counts.values()))
    becomes = "nothing can be read"
    if first is not None:
        form = form_of(config.image, first)
        shape = ", ".join(map(str, form.shape))
        becomes = f"each becomes {form.dtype} [{shape}] (height, width, {'gray' if form.channels == 1 else 'colour'})"
    wrong = list(_wrong(config, counted))
    return ImageReport(
        title=f"{config.path}: {total:,} images, {len(listing.classes)} classes",
        parts=tuple(listing.parts),
        rows=[(name, [counts[part][name] for part in listing.parts]) for name in listing.classes],
        becomes=becomes if not wrong else f"{becomes}, once what is named below is settled",
        wrong=wrong,
        notes=(*listing.notes, *_told(counted)),
    )


def _wrong(config: Data, found: _Counted) -> Iterator[str]:
    asked = config.image
    if len(found.sizes) > 1 and asked.size is None:
        low, high = ("x".join(str(f(size[axis] for size in found.sizes)) for axis in (0, 1)) for f in (min, max))
        (usual, count), total = found.sizes.most_common(1)[0], found.sizes.total()
        most = f"most often {usual[0]}x{usual[1]} ({count} of {total})"
        yield f"sizes differ, {low} to {high} (height x width), {most}; give data.image.size=[{usual[0]},{usual[1]}], or another"
    if len(found.channels) > 1 and asked.channels is None:
        rule = f"{found.channels[1]} images are gray and {found.channels[3]} in colour"
        yield f"{rule}; give data.image.channels=1 to make all gray, or data.image.channels=3 to make all colour"
    if asked.bits is None and (len(found.bits) > 1 or found.cut):
        yield f"{found.bits[16]} images have 16 bits a value and {found.bits[8]} have 8; give data.image.bits=8, which keeps the upper 8"
    if found.seen_through and asked.background is None:
        yield f"{found.seen_through} images have transparent pixels; give data.image.background=white or black"
    if not asked.skip:
        yield from found.unreadable[:SHOWN]
        if len(found.unreadable) > SHOWN:
            yield f"{len(found.unreadable) - SHOWN} more files cannot be read"


def _told(found: _Counted) -> Iterator[str]:
    if found.turned:
        yield f"{found.turned} images are turned as their Exif orientation says"
