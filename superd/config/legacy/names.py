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
    number = 2
    while not found:
        name = _ended(base, str(number))
        found = "" if name in taken else name
        number += 1
    return found


def _ended(base: str, ending: str) -> str:
    return f"{base[: MAX_NAME - len(ending) - 1]}-{ending}"
