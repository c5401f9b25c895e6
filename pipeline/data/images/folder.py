"""Folders of images, converted once to a mapped array: x uint8 (or uint16) [N, H, W, C] by part and class.

<cache>/caviar/images/<content>-<settings>/    cells: the images of all parts, one after another;  images.json
"""

# N images, H W pixels, C channels
from __future__ import annotations

import hashlib
import json
import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.folder import cache_folder
from pipeline import records
from pipeline.data.dataset import ImageForm, Raw
from pipeline.data.images.image import Seen, UnlikeImage, UnreadableImage, form_of, quiet_decoder, read_image, seen_in
from pipeline.data.images.listing import Listing, all_images, files_of, listed, shown_files
from pipeline.data.settings import Data, Image
from pipeline.data.storage.cache import Conversion, converted, digest_of, digest_of_file, mapped_cells, write_cells
from pipeline.data.storage.files import located
from pipeline.data.storage.progress import Progress
from pipeline.errors import DataError, PipelineError

Array = npt.NDArray[Any]
VERSION = 1
AHEAD = 4  # images that are decoded at a time


@dataclass(frozen=True, kw_only=True)
class Converted:
    """cells [N, H, W, C], mapped; counts: part -> images of each class, in the order of the cells."""

    form: ImageForm
    cells: Array
    counts: dict[str, dict[str, int]]
    notes: tuple[str, ...]
    digest: str


def image_folder(config: Data) -> Raw:
    """The images of the folder `data.path`, with test and validation parts where it has these.  Raises DataError."""
    root, notes = located(str(config.path)), list[str]()
    listing = listed(root, skip=config.image.skip)
    made = converted(_conversion(listing, config.image), cache_folder("images"), say=notes.append)
    classes = listing.classes
    number = {name: label for label, name in enumerate(classes)}
    parts, start = {}, 0
    for part, counts in made.counts.items():
        y = np.repeat(np.array([number[name] for name in counts], np.int32), list(counts.values()))
        parts[part] = (made.cells[start : start + len(y)], y)
        start += len(y)
    own = {part: pair for part, pair in parts.items() if part != "train"}
    notes += [*listing.notes, *made.notes]
    notes += [f"the {part} part is the {len(y)} images of its folder; data.split.{part} is not used" for part, (_, y) in own.items()]
    return Raw(
        x=parts["train"][0],
        y=parts["train"][1],
        task="classification",
        class_names=classes,
        validation=own.get("validation"),
        test=own.get("test"),
        notes=notes,
        digest=made.digest,
        images=made.form,
    )


def new_images(path: Path, form: ImageForm | None, shape: tuple[int, ...]) -> Array:
    """The rows of an image, or of a folder of them -> [N, *shape]; `form` is that of the model's images.  Raises DataError."""
    paths = all_images(path)
    form = form or _form_of_arrays(path, shape)
    x = np.empty((len(paths), *form.shape), form.dtype)
    try:
        with quiet_decoder():
            for place, (values, _) in enumerate(_read_all(paths, form, "the model takes")):
                x[place] = values
    except UnreadableImage as error:
        raise DataError(error.plain) from error
    except UnlikeImage as error:
        raise DataError(f"{error.plain}; make it so, or train with data.image to have it made so") from error
    return x.reshape(len(paths), *shape)


def _form_of_arrays(path: Path, shape: tuple[int, ...]) -> ImageForm:
    """Of a model that was trained on arrays of bytes [H, W] or [H, W, C]."""
    size = shape if len(shape) == 3 else (*shape, 1)
    if len(size) != 3 or size[2] not in (1, 3):
        raise DataError(f"data.path = {path}: holds images, and the model takes rows of shape {list(shape)}; give arrays or a table")
    return ImageForm(size=(size[0], size[1]), channels=size[2], bits=8)


def _conversion(listing: Listing, settings: Image) -> Conversion[Converted]:
    return Conversion(
        noun="folder of images",
        path=listing.root,
        state={"files": _state(listing)},
        content=lambda: _content(listing),
        settings=digest_of(json.dumps([VERSION, records.plain(settings)], sort_keys=True)),
        write=lambda place: _write(listing, settings, place),
        read=_opened,
    )


def _state(listing: Listing) -> str:
    """A digest of names, sizes and times."""
    made = hashlib.sha256()
    for part, name, path in listing:
        status = (listing.root / path).stat()
        made.update(os.fsencode(f"{part}\0{name}\0{path}\0{status.st_size}\0{status.st_mtime_ns}\0"))
    return made.hexdigest()


def _content(listing: Listing) -> str:
    made = hashlib.sha256()
    with Progress(listing.root.name, _total(listing)) as progress:
        read = 0
        for part, name, path in listing:
            made.update(os.fsencode(f"{part}\0{name}\0{path}\0{digest_of_file(listing.root / path)}\0"))
            read += (listing.root / path).stat().st_size
            progress.at(read)
    return made.hexdigest()


def _total(listing: Listing) -> int:
    return sum((listing.root / path).stat().st_size for *_, path in listing)


def _write(listing: Listing, settings: Image, place: Path) -> None:
    """The images one after another; only a few are in memory at a time."""
    maker = Maker(listing, settings)
    with quiet_decoder():
        digest = write_cells(place, maker.blocks())
    assert maker.form is not None, "there is an image, or it was refused"
    known = {
        "form": records.plain(maker.form), "counts": maker.counts, "notes": list(maker.notes()), "cells": digest,
        "labels": digest_of(json.dumps(maker.counts)),
    }  # fmt: skip
    (place / "images.json").write_text(json.dumps(known))


def _opened(place: Path) -> Converted | None:
    """The images, or None where the files are not those that were written."""
    try:
        known = json.loads((place / "images.json").read_text())
        form = records.read(ImageForm, known["form"], at="form")
        counts = {part: {str(name): int(count) for name, count in of.items()} for part, of in known["counts"].items()}
        total = sum(sum(of.values()) for of in counts.values())
        if known["labels"] != digest_of(json.dumps(counts)):
            return None
        cells = mapped_cells(place, form.dtype, (total, *form.shape), known["cells"])
        notes = tuple(map(str, known["notes"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, PipelineError):
        return None
    digest = f"{known['cells']}{known['labels']}"
    return None if cells is None else Converted(form=form, cells=cells, counts=counts, notes=notes, digest=digest)


class Maker:
    """Goes over the images of a listing and counts what is told of them."""

    def __init__(self, listing: Listing, settings: Image) -> None:
        self.listing, self.settings = listing, settings
        self.form: ImageForm | None = None
        self.counts: dict[str, dict[str, int]] = {part: {} for part in listing.parts}
        self.skipped: list[str] = []
        self.sizes: dict[tuple[int, int], int] = {}
        self.turned = self.seen_through = self.recoloured = self.cut = 0
        self.digests: dict[bytes, str] = {}
        self.again: dict[str, int] = {}

    def blocks(self) -> Iterator[Array]:
        """[1, H, W, C] of each image.  Raises DataError."""
        places = list(self.listing)
        paths = [self.listing.root / path for *_, path in places]
        with Progress(self.listing.root.name, _total(self.listing)) as progress:
            read = 0
            for (part, name, path), made in zip(places, self._made(paths), strict=True):
                read += (self.listing.root / path).stat().st_size
                progress.at(read)
                if isinstance(made, DataError):
                    self.skipped.append(path)
                    continue
                values, seen = made
                self._count(part, name, values, seen)
                yield values[None]
        _check_left(self.listing, self.counts)

    def _made(self, paths: list[Path]) -> Iterator[tuple[Array, Seen] | DataError]:
        """What each file gives; the first that can be read decides the form."""
        start = 0
        for path in paths if self.form is None else ():
            start += 1
            made = self._first(path)
            yield made
            if not isinstance(made, DataError):
                break
        if self.form is not None:
            like = os.fsencode(paths[start - 1].relative_to(self.listing.root)).decode("utf-8", "backslashreplace")
            yield from _read_all(paths[start:], self.form, like, skip=self.settings.skip)

    def _first(self, path: Path) -> tuple[Array, Seen] | DataError:
        def form(seen: Seen) -> ImageForm:
            self.form = form_of(self.settings, seen)
            return self.form

        try:
            return read_image(path, form, f"data.path = {_shown(path)}")
        except UnreadableImage as error:
            if not self.settings.skip:
                raise
            return error

    def _count(self, part: str, name: str, values: Array, seen: Seen) -> None:
        assert self.form is not None, "an image was read"
        self.counts[part][name] = self.counts[part].get(name, 0) + 1
        self.sizes[seen.size] = self.sizes.get(seen.size, 0) + 1
        self.turned += seen.turned
        self.seen_through += seen.seen_through
        self.recoloured += seen.channels != self.form.channels
        self.cut += seen.bits > self.form.bits
        if len(self.counts) > 1:
            first = self.digests.setdefault(hashlib.blake2b(values.tobytes(), digest_size=16).digest(), part)
            if first != part:
                self.again[f"{first} and {part}"] = self.again.get(f"{first} and {part}", 0) + 1

    def notes(self) -> Iterator[str]:
        """What was done to images, counted."""
        form, total = self.form, sum(self.sizes.values())
        assert form is not None, "an image was read"
        others = {size: count for size, count in self.sizes.items() if size != form.size}
        if others:
            low, high = ("x".join(str(f(size[axis] for size in others)) for axis in (0, 1)) for f in (min, max))
            span = low if low == high else f"{low} to {high}"
            how = {"stretch": "stretched", "crop": "cropped at the sides", "pad": "padded with black"}[form.fit]
            yield f"{_of(sum(others.values()), total)} resized from {span} to {form.size[0]}x{form.size[1]} (height x width), {how}"
        if self.turned:
            yield f"{_of(self.turned, total)} turned as their Exif orientation says"
        if self.recoloured:
            yield f"{_of(self.recoloured, total)} made {'gray' if form.channels == 1 else 'three equal channels'}"
        if self.cut:
            yield f"{_of(self.cut, total)} of 16 bits a value cut to the upper 8"
        if self.seen_through:
            yield f"{_of(self.seen_through, total)} with transparent pixels, {form.background} behind them"
        for parts, count in self.again.items():
            yield f"{count} image{'s' if count > 1 else ''} of the parts {parts} are the same"
        if self.skipped:
            yield f"{files_of(self.skipped)} that cannot be read left out: {shown_files(self.skipped)}"


def _of(count: int, total: int) -> str:
    return f"{count} of {total} images"


def _check_left(listing: Listing, counts: dict[str, dict[str, int]]) -> None:
    """Raises DataError where no image of a class is left to learn it from."""
    lost = [name for name in listing.classes if not counts["train"].get(name)]
    if lost:
        rule = f"no image of the class {lost[0]} can be read"
        raise DataError(f"data.path = {listing.root}: {rule}; mend them, or move the folder away")
    part = next((part for part, of in counts.items() if not of), None)
    if part is not None:
        raise DataError(f"data.path = {listing.root}: no image of the {part} part can be read; mend them, or move the folder away")


def looked_at(listing: Listing) -> Iterator[tuple[tuple[str, str, str], Seen | UnreadableImage]]:
    """((part, class, path), what is in the file) of each image, in order."""

    def look(path: str) -> Seen | UnreadableImage:
        try:
            return seen_in(listing.root / path, f"data.path = {_shown(listing.root / path)}")
        except UnreadableImage as error:
            return error

    with quiet_decoder(), Progress(listing.root.name, _total(listing)) as progress:
        read = 0
        for place in listing:
            yield place, look(place[2])
            read += (listing.root / place[2]).stat().st_size
            progress.at(read)


def _read_all(paths: Iterable[Path], form: ImageForm, like: str, *, skip: bool = False) -> Iterator[Any]:
    """What each file gives, in order; a few are decoded at a time."""

    def read(path: Path) -> tuple[Array, Seen] | DataError:
        try:
            return read_image(path, form, f"data.path = {_shown(path)}", like)
        except DataError as error:
            return error

    threads = min(AHEAD, os.cpu_count() or 1, max(1, 2**26 // math.prod(form.shape)))
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Any] = deque()
        for path in paths:
            waiting.append(pool.submit(read, path))
            if len(waiting) > threads:
                yield _given(waiting.popleft().result(), waiting, skip=skip)
        while waiting:
            yield _given(waiting.popleft().result(), waiting, skip=skip)


def _given(made: tuple[Array, Seen] | DataError, waiting: Iterable[Any], *, skip: bool) -> tuple[Array, Seen] | DataError:
    if isinstance(made, DataError) and not (skip and isinstance(made, UnreadableImage)):
        for later in waiting:
            later.cancel()
        raise made
    return made


def _shown(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
