"""The messages by which each peer of a UDP listener gets a socket of its own (superd-design(7), DATAGRAMS).

The acceptor hears a new peer, the master opens the socket, the acceptor connects it, and the master puts what was
heard into its queue. No message carries an address: the kernel knows to whom a socket is connected.
"""

from __future__ import annotations

from attrs import frozen

MAX_DATAGRAM_BYTES = 65_527
"""Longest payload of a UDP datagram: that of IPv6 without jumbograms."""


@frozen
class PeerSocketWanted:
    """Acceptor to master: open a socket for a new peer of a UDP listener (its place in ``listen``)."""

    service: int
    listener: int


@frozen
class PeerSocket:
    """Master to acceptor: the answer to ``PeerSocketWanted``; requests are answered in their order.

    Descriptors: the socket, bound and not connected; none when there is a ``reason`` why it cannot be had.
    """

    service: int
    listener: int
    reason: str


@frozen
class Deliver:
    """Acceptor to master: put a datagram that a listener has heard into the queue of its sender's own socket.

    Descriptors: that socket, connected.
    """

    service: int
    payload: bytes
