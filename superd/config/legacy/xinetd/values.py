"""How xinetd reads the words behind an operator, one small parser for each kind.

Words and names are compared without case. A value that xinetd cannot read disables the whole service.

Source: parsers.c, nvlists.c and time.c of xinetd 2.3.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from superd.errors import SuperdError
from superd.units import format_size

Words = Sequence[str]

_MAX = (1 << 63) - 1
_INTERVAL = re.compile(r"([0-9]{1,2}):([0-9]{1,2})-([0-9]{1,2}):([0-9]{1,2})")
_FACTORS = {"k": 1 << 10, "m": 1 << 20}
UNLIMITED = "infinity"
"""What superd calls xinetd's UNLIMITED."""


class BadValueError(SuperdError, ValueError):
    """Words that xinetd, or superd in its place, can make nothing of; the text says why."""


def number(text: str, what: str, low: int = 0, high: int = _MAX) -> int:
    """A whole number in decimal figures, perhaps with a sign."""
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or not low <= int(text) <= high:
        raise BadValueError(f'"{text}" is no {what}')
    return int(text)


def count(text: str, what: str) -> int | str:
    """A whole number, or UNLIMITED."""
    return UNLIMITED if text.upper() == "UNLIMITED" else number(text, what)


def yes_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise BadValueError(f'"{text}" is neither yes nor no')
    return text.lower() == "yes"


def octal(text: str) -> str:
    """Permission bits, as superd writes them."""
    if not re.fullmatch(r"[0-7]{1,6}", text) or int(text, 8) > 0o777:
        raise BadValueError(f'"{text}" is no umask in octal')
    return f"{int(text, 8):03o}"


def size(text: str, what: str) -> str:
    """Bytes, with K or M for powers of 1024, or UNLIMITED; as superd writes them."""
    if text.upper() == "UNLIMITED":
        return UNLIMITED
    factor = _FACTORS.get(text[-1:].lower(), 1)
    return format_size(number(text[:-1] if factor > 1 else text, what, high=_MAX // factor) * factor)


def members(words: Words, known: Iterable[str], what: str) -> tuple[str, ...]:
    """Words of a fixed set, as superd's import spells them."""
    spelled = {word.lower(): word for word in known}
    for word in words:
        if word.lower() not in spelled:
            raise BadValueError(f'"{word}" is no {what}')
    return tuple(dict.fromkeys(spelled[word.lower()] for word in words))


def interval(text: str) -> tuple[str, ...]:
    """One interval of the day as items of ``hours``; one that passes midnight, which xinetd refuses, is two."""
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise BadValueError(f'"{text}" is no interval like 8:00-18:00')
    begin_h, begin_m, end_h, end_m = (int(part) for part in match.groups())
    if begin_h > 23 or end_h > 23 or begin_m > 59 or end_m > 59 or (begin_h, begin_m) == (end_h, end_m):
        raise BadValueError(f'"{text}" is no interval like 8:00-18:00')
    begin = f"{begin_h:02}:{begin_m:02}"
    end = "24:00" if (end_h, end_m) == (23, 59) else f"{end_h:02}:{end_m:02}"
    if (begin_h, begin_m) < (end_h, end_m):
        return (f"{begin}-{end}",)
    return (f"{begin}-24:00",) if (end_h, end_m) == (0, 0) else (f"{begin}-24:00", f"00:00-{end}")


def wraps(text: str) -> bool:
    """Whether an interval passes midnight."""
    match = _INTERVAL.fullmatch(text)
    if match is None:
        return False
    begin_h, begin_m, end_h, end_m = (int(part) for part in match.groups())
    return (begin_h, begin_m) > (end_h, end_m)
