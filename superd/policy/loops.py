"""Datagrams that must not be answered, or two machines would talk for ever.

A forged datagram that seems to come from an echoing port is answered to that port, which answers in turn. One packet
is enough to keep both busy until one of them is stopped. Source: CERT Advisory CA-1996-01.
"""

from __future__ import annotations

_ANSWERING = frozenset(
    {
        0,  # takes no answer, and a socket connected to it would hear every port
        7,  # echo, RFC 862
        13,  # daytime, RFC 867
        17,  # qotd, RFC 865
        19,  # chargen, RFC 864
        37,  # time, RFC 868
    }
)


def answers_by_itself(port: int) -> bool:
    """Whether what comes from that port is no client's, but the answer of a service that answers whatever it gets."""
    return port in _ANSWERING
