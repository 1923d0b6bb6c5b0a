"""Durations and sizes as an administrator writes them, and back. Pure: no clock, no file.

A number without a unit is refused wherever a unit belongs, because ``runtime_max = 10`` means seconds to one
reader and minutes to the next.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from superd.errors import UnitError

_TERM = re.compile(r"([0-9]+)(?:\.([0-9]+))?\s*([A-Za-zµμ]*)\s*")
_MAX_TEXT = 80  # characters; keeps int() far from its limit of 4,300 digits


@frozen
class _Scale:
    """One kind of quantity: its units in terms of the smallest, and the words of its faults."""

    noun: str
    units: Mapping[str, int]
    bare_unit: str  # what the remedy for a bare number appends
    example: str
    listing: str
    maximum: int
    maximum_text: str
    sums: bool  # "1h 30min" adds up


_US_PER_S = 1_000_000


def _spellings(rows: Mapping[str, int]) -> dict[str, int]:
    return {word: factor for words, factor in rows.items() for word in words.split()}


# systemd.time(7), "Parsing time spans": the same words, the same lengths (a month is 30.4375 days).
_DURATION = _Scale(
    noun="a duration",
    units=_spellings(
        {
            "us usec µs μs": 1,
            "ms msec": 1_000,
            "s sec second seconds": _US_PER_S,
            "m min minute minutes": 60 * _US_PER_S,
            "h hr hour hours": 3_600 * _US_PER_S,
            "d day days": 86_400 * _US_PER_S,
            "w week weeks": 604_800 * _US_PER_S,
            "M month months": 2_629_800 * _US_PER_S,
            "y year years": 31_557_600 * _US_PER_S,
        }
    ),
    bare_unit="s",
    example='write "90s" or "1h 30min"',
    listing="write us, ms, s, min, h, d or w",
    maximum=100 * 31_557_600 * _US_PER_S,
    maximum_text='write at most "100y"',
    sums=True,
)

_SIZE = _Scale(
    noun="a size",
    units=_spellings({"B": 1, "K KiB": 1 << 10, "M MiB": 1 << 20, "G GiB": 1 << 30, "T TiB": 1 << 40}),
    bare_unit="B",
    example='write "16MiB"',
    listing="write B, KiB, MiB, GiB or TiB",
    maximum=(1 << 63) - 1,
    maximum_text='write less than "8388608TiB"',
    sums=False,
)

_DURATION_WORDS = tuple((word, _DURATION.units[word]) for word in ("w", "d", "h", "min", "s", "ms", "us"))
_SIZE_WORDS = tuple((word, _SIZE.units[word]) for word in ("TiB", "GiB", "MiB", "KiB", "B"))


def parse_duration(value: object, *, infinity: float | None = None) -> float:
    """Seconds of a systemd time span: ``"90s"``, ``"5min"``, ``"1h 30min"``; finer than 1 µs is cut off.

    Args:
        value: what TOML gave; anything but a string of this form is refused.
        infinity: what ``"infinity"`` becomes; None refuses it.

    Returns:
        Seconds, 0 to 100 years, or ``infinity``.

    Raises:
        UnitError: no unit, unknown unit, negative, too long, or no duration at all.

    Source: systemd.time(7) of systemd 252.
    """
    if value == "infinity":
        if infinity is None:
            raise UnitError("may not be infinite", _DURATION.example)
        return infinity
    return _parse(value, _DURATION) / _US_PER_S


def parse_size(value: object) -> int:
    """Bytes of ``"16MiB"``, ``"512K"``, ``"100B"``: K, M, G and T are powers of 1024, as KiB to TiB are.

    Args:
        value: what TOML gave; anything but a string of this form is refused.

    Returns:
        Bytes, 0 to 2**63 - 1.

    Raises:
        UnitError: no unit, unknown unit, negative, too large, or no size at all.
    """
    return _parse(value, _SIZE)


def format_duration(seconds: float) -> str:
    """The shortest exact spelling, to the microsecond: ``"1h 30min"``; a negative or infinite one is lifted."""
    if seconds < 0 or seconds == float("inf"):
        return "infinity"
    whole = int(seconds)
    left = whole * _US_PER_S + round((seconds - whole) * _US_PER_S)
    parts = []
    for word, factor in _DURATION_WORDS:
        count, left = divmod(left, factor)
        if count:
            parts.append(f"{count}{word}")
    return " ".join(parts) or "0s"


def format_size(size_bytes: int) -> str:
    """The exact spelling with the largest unit: ``"16MiB"``, ``"1000B"``; a negative one is ``"infinity"``."""
    if size_bytes < 0:
        return "infinity"
    for word, factor in _SIZE_WORDS:
        if size_bytes % factor == 0 and size_bytes:
            return f"{size_bytes // factor}{word}"
    return "0B"


def _parse(value: object, scale: _Scale) -> int:
    text = _text(value, scale)
    total = position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise _garbage(scale)
        total += _term(match, scale)
        position = match.end()
        if not scale.sums and position < len(text):
            raise _garbage(scale)
    if total > scale.maximum:
        raise UnitError("too large", scale.maximum_text)
    return total


def _text(value: object, scale: _Scale) -> str:
    """The text to parse. A bare TOML number takes the same way, so that its remedy can name it."""
    if isinstance(value, int) and not isinstance(value, bool):
        text = str(value) if value.bit_length() <= 64 else ""
    elif isinstance(value, float):
        text = repr(value)
    else:
        text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= _MAX_TEXT:
        raise _garbage(scale)
    if text[0] == "-" and _TERM.match(text, 1):
        raise UnitError("negative", scale.example)
    return text


def _term(match: re.Match[str], scale: _Scale) -> int:
    whole, fraction, unit = match.groups()
    if not unit:
        number, rest = match.group().rstrip(), match.string[match.end() :]
        if rest and not _TERM.match(rest):
            raise _garbage(scale)
        before = match.string[: match.start()]
        raise UnitError("no unit", f'write "{before}{number}{scale.bare_unit}{" " if rest else ""}{rest}"')
    factor = scale.units.get(unit)
    if factor is None:
        raise UnitError(f'unknown unit "{unit}"', scale.listing)
    return int(whole) * factor + (int(fraction) * factor // 10 ** len(fraction) if fraction else 0)


def _garbage(scale: _Scale) -> UnitError:
    return UnitError(f"not {scale.noun}", scale.example)
