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
        note: what ``Keep`` said last, for an acceptor that has not heard of the service yet.
    """

    service: int
    limits: Limits
    access: Access
    proxy_protocol: ProxyProtocol
    banner_denied: str
    banner_limited: str
    note: str
    banner: str = ""


@frozen
class HostsFiles:
    """What stands in hosts.allow and hosts.deny, for the services that ask them; sent anew when it changes."""

    allow: str
    deny: str


@frozen
class Keep:
    """What the next acceptor is to know of a service, in the acceptor's own words: what an administrator set on the
    live system, and what was counted. It gets it back with ``ServicePolicy``; the master never reads it."""

    service: int
    note: str
