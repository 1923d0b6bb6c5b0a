"""Names of services: what the old files call them, as superd may."""

from __future__ import annotations

import re
from collections.abc import Collection

MAX_NAME = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_.@+-]+")


def fresh_name(wanted: str, taken: Collection[str], *endings: str) -> str:
    """A name that is free: as wanted, else with an ending, else with a number.

    Args:
        wanted: any text; of a path the last part counts.
        taken: the names in use.
        endings: what to tell it apart by, the best first: ``udp``, ``ipv6``.
    """
    base = _FOREIGN.sub("-", wanted.rstrip("/").rpartition("/")[2])[:MAX_NAME].lstrip("_.@+-") or "service"
    tries = [base, *(_ended(base, ending) for ending in endings if ending)]
    found = next((name for name in tries if name not in taken), "")
    return found or _ended(base, str(_free_number(base, taken)))


def _free_number(base: str, taken: Collection[str]) -> int:
    """A number that no ending has yet: the next one, as long as they were given in order."""
    above = 2
    while _ended(base, str(above)) in taken:
        above *= 2
    below = above // 2
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (middle, above) if _ended(base, str(middle)) in taken else (below, middle)
    return above


def _ended(base: str, ending: str) -> str:
    return f"{base[: MAX_NAME - len(ending) - 1]}-{ending}"
