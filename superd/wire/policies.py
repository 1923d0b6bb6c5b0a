"""The messages by which the acceptor learns who is admitted, and what it wants the next acceptor to know of that."""

from __future__ import annotations

from attrs import frozen

from superd.policy.rules import Access, Limits, ProxyProtocol


@frozen
class ServicePolicy:
    """Who is admitted to a service, and how many. Follows ``ServiceUp``, and comes alone when only this changed.

    Args:
        banner_denied, banner_limited, banner: the texts themselves; the last is for who is admitted, and for
            the builtin qotd the file of quotes.
        tuned: what ``Tuned`` said last, for an acceptor that has not heard it; else empty.
    """

    service: int
    limits: Limits
    access: Access
    proxy_protocol: ProxyProtocol
    banner_denied: str
    banner_limited: str
    tuned: str
    banner: str = ""


@frozen
class HostsFiles:
    """What stands in hosts.allow and hosts.deny, for the services that ask them; sent anew when it changes."""

    allow: str
    deny: str


@frozen
class Tuned:
    """What an administrator set on the live system, in the acceptor's own words: kept for the next acceptor, which
    gets it back with ``ServicePolicy``, and never read by the master."""

    service: int
    tuned: str
