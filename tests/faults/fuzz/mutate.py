"""Seeded damage: of bytes, of text, of what is packed (and packed again, so that the damage is met inside), of JSON (and signed again)."""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

Mutation = Callable[[random.Random, bytes], bytes]
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**62, 2**63 - 1, 2**64 - 1)
WORDS = (
    b"\0", b"\xff", b"\n", b"\r", b'"', b"'", b",", b";", b"\t", b"{", b"[", b"}", b"null", b"NaN", b"-inf", b"1e999", b"1e-999", b"=cmd|",
    b"../../x", b"\x1b[2J", b"\xef\xbb\xbf", b"\xff\xfe", b"%s%n", b"9" * 400, b"a" * 70_000, b"2147483648", b"-1", b"${oc.env:HOME}",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, float("nan"), float("inf"), "", "x", "../../x", "=cmd|", "\x1b[2J", "\udc80",
    "a" * 5000, [], [[]], {}, {"a": 1}, [1, "x", None],
)  # fmt: skip


def of_bytes(rng: random.Random, content: bytes) -> bytes:
    """A few of: a bit, a byte or a number changed, a piece cut, doubled, moved or put in, the end lost."""
    made = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not made:
            return bytes(made)
        place = rng.randrange(min(len(made), 64)) if rng.random() < 0.4 else rng.randrange(len(made))
        match rng.randrange(9):
            case 0:
                made[place] ^= 1 << rng.randrange(8)
            case 1:
                made[place] = rng.randrange(256)
            case 2:
                width = rng.choice((2, 4, 8))
                number = rng.choice(NUMBERS) % 2 ** (8 * width)
                made[place : place + width] = number.to_bytes(width, rng.choice(("little", "big")))
            case 3:
                del made[place:]
            case 4:
                del made[place : place + rng.randrange(1, 64)]
            case 5:
                piece = made[place : place + rng.randrange(1, 64)]
                made[place:place] = piece * rng.choice((1, 2, 50))
            case 6:
                made[place:place] = rng.choice(WORDS)
            case 7:
                other = rng.randrange(len(made))
                made[place : place + 16] = made[other : other + 16]
            case _:
                made[place : place + 8] = rng.randbytes(8)
    return bytes(made)


def of_gzip(rng: random.Random, content: bytes) -> bytes:
    """Within what is packed, or of the packed bytes."""
    if rng.random() < 0.3:
        return of_bytes(rng, content)
    return gzip.compress(of_bytes(rng, gzip.decompress(content)), 1, mtime=0)


def of_zip(rng: random.Random, content: bytes) -> bytes:
    """Within a member, or of the archive."""
    if rng.random() < 0.3:
        return of_bytes(rng, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(list(members))
    members[name] = of_bytes(rng, members[name])
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return made.getvalue()


def of_value(rng: random.Random, value: Any) -> Any:
    """A JSON value with one place of another kind, left out, doubled, or nested."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        match rng.randrange(10):
            case 0:
                return {key: one for key, one in value.items() if key != name}
            case 1:
                return {**value, rng.choice(("x", "", "kind", "__class__", name + "s")): rng.choice(VALUES)}
            case _:
                return {**value, name: of_value(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        return [*value[:place], of_value(rng, value[place]), *value[place + 1 :]]
    if rng.random() < 0.05:
        for _ in range(rng.choice((3, 100, 3000))):
            value = [value]
        return value
    return rng.choice(VALUES)


def written(value: Any) -> str:
    """JSON, of values that are nested deeper than its writer goes too."""
    try:
        return json.dumps(value)
    except RecursionError:
        return "[" * 5000


def of_json(rng: random.Random, content: bytes) -> bytes:
    """Of the value, or of the text."""
    if rng.random() < 0.3:
        return of_bytes(rng, content)
    value = json.loads(content)
    for _ in range(rng.choice((1, 1, 3))):
        value = of_value(rng, value)
    return written(value).encode("utf-8", "surrogatepass")
