"""What the administrator decided: frozen values that the engine obeys. Every unit stands in the name.

They are read from ``[limits]``, ``[access]`` and ``[proxy_protocol]`` of a service (config/schema.py says what each
key means), and travel to the acceptor as they are.
"""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

UNLIMITED = -1
"""What ``"infinity"`` becomes in a number of these rules."""

NS_PER_S = 1_000_000_000


class OnExcess(StrEnum):
    """What happens to a connection that is over a limit (``on_excess``)."""

    REFUSE = "refuse"  # closed
    RESET = "reset"  # closed with a reset (SO_LINGER 0)
    QUEUE = "queue"  # left in the kernel's queue, where the whole service is full; else as refuse


@frozen
class Rate:
    """So many in a period: ``"50/s"`` is ``Rate(50, NS_PER_S)``.

    Args:
        count: 1 and up; 0 is no limit.
        period_ns: nanoseconds.
    """

    count: int = 0
    period_ns: int = NS_PER_S


NO_RATE = Rate()


@frozen
class Limits:
    """``[services.X.limits]``: how much, of whom, and what becomes of the rest.

    Args:
        burst, burst_per_source: 0 means the number written in the rate.
        exempt: addresses and networks as text.
        penalty_s: how long a source over its rate is refused; 0: no longer than the rate says.
        penalty_failed_s, penalty_crashed_s: what a child that failed, or that a signal ended, adds to its source's
            debt; 0: nothing.
        penalty_min_s: a debt below that is not collected.
        banner_limited: path of the file whose text who is refused for a limit is sent; empty: none.
    """

    max_connections: int = 256
    max_connections_per_source: int = 64
    rate: Rate = NO_RATE
    burst: int = 0
    rate_per_source: Rate = NO_RATE
    burst_per_source: int = 0
    source_prefix_ipv4: int = 32
    source_prefix_ipv6: int = 64
    max_sources: int = 100_000
    exempt: tuple[str, ...] = ()
    on_excess: OnExcess = OnExcess.REFUSE
    penalty_s: float = 0.0
    penalty_max_s: float = 600.0
    penalty_failed_s: float = 0.0
    penalty_crashed_s: float = 0.0
    penalty_min_s: float = 15.0
    max_load: float = UNLIMITED
    banner_limited: str = ""


@frozen
class Access:
    """``[services.X.access]``: who, and when.

    Args:
        allow: addresses, networks and host names as text; empty: everyone.
        deny: the same; empty: nobody.
        hours: calendar expressions as text; empty: always.
        hosts_access: hosts.allow and hosts.deny are asked too.
        banner_denied: path of the file whose text who is refused by access is sent; empty: none.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    hours: tuple[str, ...] = ()
    hosts_access: bool = False
    banner_denied: str = ""


@frozen
class ProxyProtocol:
    """``[services.X.proxy_protocol]``.

    Args:
        accept_from: addresses and networks whose connections begin with a PROXY header; empty: none do.
        timeout_s: how long the header may take to arrive.
        send: with ``forward``, the version of the header that the backend is sent; 0: none.
    """

    accept_from: tuple[str, ...] = ()
    timeout_s: float = 5.0
    send: int = 0
