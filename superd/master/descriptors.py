"""How many descriptors there are, and how they are shared out."""

from __future__ import annotations

import resource

from superd.wire.messages import MAX_CREDITS


def credits(services: int, nofile: int) -> int:
    """How many connections a service may have under way, so that all together stay under half the descriptors.

    Descriptors in flight count against RLIMIT_NOFILE of their user (unix(7), ETOOMANYREFS).
    """
    return max(1, min(MAX_CREDITS, nofile // 2 // max(1, services)))


def nofile() -> int:
    """How many descriptors a process may have."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def raise_nofile() -> int:
    """Use all descriptors that the hard limit allows; returns the soft limit that was, for the services."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft
