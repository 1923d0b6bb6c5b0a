"""Words of the command line that stand for values: assignments, spans, times. Pure."""

from __future__ import annotations

import math
import time
import tomllib
from collections.abc import Iterable
from typing import Any

from superd.errors import Exit, SuperdError, UnitError
from superd.units import parse_duration

_TIMES = ("%H:%M", "%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


class UsageError(SuperdError):
    """A word of the command line cannot be understood; the text ends with the remedy."""

    code = Exit.USAGE


def tune_request(words: Iterable[str], span: str | None, *, save: bool, reset: bool) -> dict[str, Any]:
    """The part of a request that ``superctl tune`` adds.

    Raises:
        UsageError: what was written, and what to write instead.
    """
    values = parse_assignments(words)
    if not values and not reset:
        raise UsageError("nothing to tune; write KEY=VALUE, or --reset")
    if span is not None and save:
        raise UsageError("--save keeps it and --for takes it back; leave one of them out")
    try:
        seconds = None if span is None else parse_duration(span)
    except UnitError as error:
        raise UsageError(f"--for {span}: {error}") from error
    if seconds == 0:
        raise UsageError(f"--for {span}: no time at all; write --for 10min")
    return {"values": values, "seconds": seconds, "saved": save}


def parse_assignments(words: Iterable[str]) -> dict[str, object]:
    """Values by dotted key; a bare key is one of ``[limits]``.

    Raises:
        UsageError: a word without ``=``, or a key that stands there twice.
    """
    values: dict[str, object] = {}
    for word in words:
        name, equals, text = (part.strip() for part in word.partition("="))
        if not equals or not name:
            raise UsageError(f"{word}: not KEY=VALUE; write rate=10/s")
        key = name if "." in name else f"limits.{name}"
        if key in values:
            raise UsageError(f"{key}: stands there twice; keep one of them")
        values[key] = parse_value(text)
    return values


def parse_value(text: str) -> object:
    """A number, a boolean or a list as TOML writes them; all else is a string."""
    try:
        found = tomllib.loads(f"value = {text}\n")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return text
    value = found.get("value") if len(found) == 1 else text
    if isinstance(value, float) and not math.isfinite(value):
        return text  # which no key takes, and JSON cannot carry
    return value if isinstance(value, bool | int | float | str | list) else text


def parse_time(text: str, now: float) -> float:
    """Seconds since the epoch of ``"18:30"`` (today) or ``"2026-12-24 09:00"``, in local time.

    Args:
        now: the time, in seconds since the epoch.

    Raises:
        UsageError: it is no time.
    """
    for layout in _TIMES:
        try:
            found = time.strptime(text, layout)
        except ValueError:
            continue
        today = time.localtime(now)
        date = found[:3] if "%Y" in layout else today[:3]
        return time.mktime((*date, *found[3:6], 0, 0, -1))
    raise UsageError(f'{text}: not a time; write "18:30" or "2026-12-24 09:00"')
