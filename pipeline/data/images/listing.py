"""The images of a folder by part and class, in an order that no file system decides: by class, then by the path below it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.images.image import ENDINGS, OTHERS, is_image
from pipeline.data.settings import IMAGES
from pipeline.data.storage.files import unreadable
from pipeline.errors import DataError, nearest

PARTS = {"train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test"}
NAMED = 3  # files that a note names


@dataclass(frozen=True, kw_only=True)
class Found:
    """What lies in a folder: images and, as they stand, files that are none; hidden ones are counted. Paths from `root`, in order."""

    root: Path
    images: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)  # in other formats
    others: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Images of each part by class: part -> class -> paths from `root`.

    classes  by their names as the folders are called, in order: as numbers where all are numbers
    notes    on what else lies there
    """

    root: Path
    parts: dict[str, dict[str, list[str]]]
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        """(part, class, path) of each image."""
        for part, by_class in self.parts.items():
            for name in self.classes:
                for path in by_class.get(name, ()):
                    yield part, name, path


def listed(root: Path, *, skip: bool) -> Listing:
    """The images of `root`, for training.  Raises DataError."""
    _check_folder(root)
    tops = _folders(root)
    places = _places(root, tops)
    found = {part: _by_class(place, root) for part, place in places.items()}
    names = sorted(found["train"])
    for part, by_class in found.items():
        strange = next((name for name in by_class if name not in found["train"]), None)
        if strange is not None:
            rule = f"is the folder of a class that {places['train'].name} does not have; {nearest(strange, names)}"
            raise DataError(f"data.path = {places[part] / strange}: {rule}")
    everything = Found(root=root)
    _walk(root, everything)
    if everything.pictures and not skip:
        first = everything.pictures[0]
        rule = (
            f"is no PNG or JPEG image ({files_of(everything.pictures)} like it); convert it, or give data.image.skip=true to leave it out"
        )
        raise DataError(f"data.path = {root / first}: {rule}")
    inside = {path for by_class in found.values() for paths in by_class.values() for path in paths}
    outside = [path for path in everything.images if path not in inside]
    empty = [name for name in names if not found["train"][name]]
    parts = {part: {name: paths for name, paths in by_class.items() if paths} for part, by_class in found.items()}
    _check_some(root, parts, empty)
    classes = tuple(sorted(parts["train"], key=_order(list(parts["train"]))))
    return Listing(root=root, parts=parts, classes=classes, notes=tuple(_notes(everything, outside, empty)))


def all_images(path: Path) -> list[Path]:
    """A file, or the images of a folder at any depth, in order.  Raises DataError where there is none."""
    if not path.is_dir():
        return [path]
    found = Found(root=path)
    _walk(path, found)
    if found.pictures:
        first = found.pictures[0]
        raise DataError(f"data.path = {path / first}: is no PNG or JPEG image ({files_of(found.pictures)} like it); convert it")
    if not found.images:
        raise DataError(f"data.path = {path}: holds no PNG or JPEG image; give an image, a folder of images, or a table")
    return [path / name for name in found.images]


def by_class(root: Path) -> dict[str, list[str]]:
    """The images of the folders of `root` by the name of the folder, paths from `root`.  Raises DataError."""
    _check_folder(root)
    found = _by_class(root, root)
    if not any(found.values()):
        raise DataError(f"data.path = {root}: holds no folder with PNG or JPEG images; give a folder for each class")
    return {name: paths for name, paths in found.items() if paths}


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise DataError(f"data.path = {root}: no such folder; check the path (it is relative to the current folder)")
    if not root.is_dir():
        raise DataError(f"data.path = {root}: is no folder; data={IMAGES} takes one that holds a folder of images for each class")


def _places(root: Path, tops: Sequence[str]) -> dict[str, Path]:
    """The folder of each part: train/, test/ and validation/ where these are all there is, else `root` itself is the training part."""
    named = {name: PARTS[name.casefold()] for name in tops if name.casefold() in PARTS}
    deep = [name for name in named if _folders(root / name)]
    if "train" not in named.values() or (len(named) < len(tops) and not deep):
        return {"train": root}
    train = next(name for name, part in named.items() if part == "train")
    if len(named) < len(tops):
        other = next(name for name in tops if name not in named)
        rule = f"holds the parts {' and '.join(named)} and also the folder {other}"
        raise DataError(f"data.path = {root}: {rule}; move it away, or give data.path={root / train}, of which parts are drawn")
    flat = next((name for name in named if name not in deep), None)
    if flat is not None:
        rule = "is a part and holds no folder for each class"
        hint = "" if flat == train else f", or give data.path={root / train}, of which parts are drawn"
        raise DataError(f"data.path = {root / flat}: {rule}; give it these{hint}")
    twice = next((name for name, part in named.items() if list(named.values()).count(part) > 1), None)
    if twice is not None:
        raise DataError(f"data.path = {root}: has two folders for the {named[twice]} part, {', '.join(named)}; leave one of them")
    return {part: root / name for part in ("train", "validation", "test") for name, of in named.items() if of == part}


def _by_class(place: Path, root: Path) -> dict[str, list[str]]:
    """Class -> the images of its folder at any depth, paths from `root`."""
    found = {}
    for name in _folders(place):
        _check_name(place, name)
        inner = Found(root=root)
        _walk(place / name, inner)
        found[name] = inner.images
    return found


def _check_name(place: Path, name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        raise DataError(f"data.path = {place}: the folder {shown} is not named in UTF-8, and names a class; rename it") from None


def _check_some(root: Path, parts: dict[str, dict[str, list[str]]], empty: Sequence[str]) -> None:
    for part, classes in parts.items():
        if not classes:
            what = "" if part == "train" else f" of the {part} part"
            where = "its folders are empty" if empty else "it holds no folders"
            raise DataError(f"data.path = {root}: has no images{what} in a folder for each class ({where}); give PNG or JPEG files there")


def _folders(root: Path) -> list[str]:
    """The folders in a folder that are not hidden, sorted by name."""
    try:
        with os.scandir(root) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise unreadable(root, error, at="data.path") from error


def _walk(top: Path, found: Found) -> None:
    """Adds what lies in `top` at any depth; a folder that links lead back to is gone through once."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir() and not entry.name.startswith("."):
                        waiting.append(folder / entry.name)
                    else:
                        _kind(entry, found).append(str((folder / entry.name).relative_to(found.root)))
        except OSError as error:
            raise unreadable(folder, error, at="data.path") from error
    for paths in (found.images, found.pictures, found.others, found.hidden):
        paths.sort()


def _kind(entry: os.DirEntry[str], found: Found) -> list[str]:
    if entry.name.startswith("."):
        return found.hidden
    ending = os.path.splitext(entry.name)[1].lower()
    if not entry.is_file():  # a pipe, a socket, a link to nothing
        return found.others
    if ending in ENDINGS or is_image(Path(entry.path)):
        return found.images
    return found.pictures if ending in OTHERS else found.others


def _order(names: Sequence[str]) -> Callable[[str], tuple[float, str]]:
    """How classes are sorted: as numbers where all are, as those of a table are."""
    numbers = all(name.isascii() and name.isdigit() for name in names)
    return lambda name: (float(name) if numbers else 0.0, name)


def _notes(found: Found, outside: Sequence[str], empty: Sequence[str]) -> Iterator[str]:
    for paths, what in (
        (found.hidden, "hidden"), (found.others, "that are no images"), (found.pictures, "that are no PNG or JPEG images"),
        (outside, "with images outside of the folders of classes"),
    ):  # fmt: skip
        if paths:
            yield f"{files_of(paths)} {what} left out: {shown_files(paths)}"
    if empty:
        yield f"without an image, and no class: {shown_files(empty)}"


def files_of(paths: Sequence[str]) -> str:
    """`1 file`, `3 files`."""
    return f"{len(paths)} file{'s' if len(paths) > 1 else ''}"


def shown_files(paths: Sequence[str]) -> str:
    """The first of some files."""
    first = ", ".join(os.fsencode(path).decode("utf-8", "backslashreplace") for path in paths[:NAMED])
    return first + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")
