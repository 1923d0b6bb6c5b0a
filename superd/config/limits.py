"""The values of ``limit_*``: what setrlimit(2) takes, written as systemd.exec(5) has it."""

from __future__ import annotations

import math
from collections.abc import Callable

from superd.config.findings import reject
from superd.config.kinds import Kind
from superd.config.model import INFINITY, ResourceLimit
from superd.units import parse_duration, parse_size

_MAX_RESOURCE = (1 << 63) - 1  # above it RLIM_INFINITY is near, and C programs read negative numbers


def _count(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise reject("not a number", 'write a number or "infinity"')
    if not 0 <= value <= _MAX_RESOURCE:
        raise reject("out of range", f"write 0 to {_MAX_RESOURCE}")
    return value


def _nice_ceiling(value: object) -> int:
    count = _count(value)
    if count > 40:
        raise reject("out of range", "write 0 to 40: 20 less the lowest nice value")
    return count


def _cpu_seconds(value: object) -> int:
    """Whole seconds, rounded up: "1500ms" allows at least that much."""
    return math.ceil(parse_duration(value))


def _microseconds(value: object) -> int:
    return round(parse_duration(value) * 1_000_000)


def resource_limit(parse_one: Callable[[object], int], word: str) -> Kind:
    """One or two values of setrlimit(2): both limits, or "soft:hard"; each may be "infinity"."""

    def one(value: object) -> int:
        return INFINITY if value == "infinity" else parse_one(value)

    def parse(value: object) -> ResourceLimit:
        if not (isinstance(value, str) and ":" in value):
            both = one(value)
            return ResourceLimit(both, both)
        soft_text, hard_text = value.split(":", 1)
        soft, hard = one(soft_text), one(hard_text)
        if hard != INFINITY and not 0 <= soft <= hard:
            raise reject("the soft limit is above the hard one", 'write "soft:hard"')
        return ResourceLimit(soft, hard)

    return Kind(f'{word}, "infinity" or "soft:hard"', parse)


COUNT_LIMIT = resource_limit(_count, "number")
BYTES_LIMIT = resource_limit(parse_size, "size")
CPU_LIMIT = resource_limit(_cpu_seconds, "duration")
RTTIME_LIMIT = resource_limit(_microseconds, "duration")
NICE_LIMIT = resource_limit(_nice_ceiling, "0 to 40")
