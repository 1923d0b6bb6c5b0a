"""How often systemd lets a service be started, as a rate. Source: systemd.socket(5), TriggerLimitIntervalSec=."""

from __future__ import annotations

import math

from attrs import frozen

from superd.config.legacy.carried import Origin
from superd.config.legacy.systemd.directives import duration
from superd.config.legacy.systemd.units import Unit
from superd.errors import UnitError
from superd.units import parse_duration

_DEFAULT_INTERVAL = "2s"
_DEFAULT_BURSTS = {True: 200, False: 20}  # with Accept=yes, and without


@frozen
class TripWire:
    """So many starts in a time.

    Args:
        rate: as ``limits.rate``.
        burst: as ``limits.burst``.
        origin: the line that says so.
    """

    rate: str
    burst: int
    origin: Origin


def trip_wire(socket: Unit, *, accepts: bool) -> TripWire | None:
    """What a unit says of it; None when it says nothing, or lifts the limit."""
    for kind in ("PollLimit", "TriggerLimit"):
        lines = [*socket.all("Socket", f"{kind}Burst"), *socket.all("Socket", f"{kind}IntervalSec")]
        if not lines:
            continue
        burst = _count(socket.last("Socket", f"{kind}Burst"), _DEFAULT_BURSTS[accepts])
        interval_s = _seconds(socket.last("Socket", f"{kind}IntervalSec") or _DEFAULT_INTERVAL)
        if burst and interval_s:
            return TripWire(f"{max(1, math.ceil(burst / interval_s))}/s", burst, lines[0].origin)
    return None


def _count(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else otherwise


def _seconds(text: str) -> float:
    try:
        return parse_duration(duration(text))
    except UnitError:
        return 0.0
