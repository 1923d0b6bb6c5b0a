"""Who wants in, what is answered, and what all services share when they answer."""

from __future__ import annotations

from typing import NamedTuple

from attrs import define

from superd.policy.reason import Reason
from superd.policy.rules import UNLIMITED

UNIX = 0
"""The version of a client on a unix socket; its value is its uid."""


class Client(NamedTuple):
    """Who wants in.

    Args:
        id: names the connection until it ended.
        version: 4, 6, or ``UNIX``.
        value: the address as a number, IPv4-mapped ones unmapped, or the uid.
        local, local_port: the packed address and the port it came to; empty and 0 where nobody asks.
    """

    id: int
    version: int
    value: int
    local: bytes = b""
    local_port: int = 0


class Decision(NamedTuple):
    """Whether a client is admitted; if not, why, and by which line where there is one."""

    reason: Reason | None
    rule: str = ""

    @property
    def admitted(self) -> bool:
        return self.reason is None


ADMITTED = Decision(None)
REFUSED = {reason: Decision(reason) for reason in Reason}


@define
class Total:
    """What all services share.

    Args:
        most: ``max_connections`` of ``[superd]``, or UNLIMITED.
        open: connections that are open now.
        load: the machine's one-minute load average.
    """

    most: int = UNLIMITED
    open: int = 0
    load: float = 0.0

    @property
    def is_full(self) -> bool:
        return self.most != UNLIMITED and self.open >= self.most
