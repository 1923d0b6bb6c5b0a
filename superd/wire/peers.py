"""A peer in words: its addresses as text, and the variables that name it to a program. Pure."""

from __future__ import annotations

from socket import AF_INET, AF_INET6, AF_UNIX, inet_ntop

from superd.wire.messages import Peer

_INET_PREFIX = {False: b"TCP", True: b"UDP"}


def peer_environment(peer: Peer) -> dict[bytes, bytes]:
    """The variables that name the peer of one connection.

    UCSPI's (PROTO, TCPREMOTEIP, TCPREMOTEPORT, TCPLOCALIP, TCPLOCALPORT; UDP… for a connected datagram socket;
    UNIXREMOTEPID, …EUID, …EGID as s6-ipcserver(1) gives them), systemd's REMOTE_ADDR and REMOTE_PORT, and
    xinetd's REMOTE_HOST.
    """
    if peer.family == AF_UNIX:
        return {
            b"PROTO": b"UNIX",
            b"UNIXREMOTEPID": b"%d" % peer.pid,
            b"UNIXREMOTEEUID": b"%d" % peer.uid,
            b"UNIXREMOTEEGID": b"%d" % peer.gid,
        }
    kind = _INET_PREFIX[peer.datagram]
    remote, remote_port = address_text(peer, peer.remote).encode(), b"%d" % peer.remote_port
    return {
        b"PROTO": kind,
        kind + b"REMOTEIP": remote,
        kind + b"REMOTEPORT": remote_port,
        kind + b"LOCALIP": address_text(peer, peer.local).encode(),
        kind + b"LOCALPORT": b"%d" % peer.local_port,
        b"REMOTE_ADDR": remote,
        b"REMOTE_PORT": remote_port,
        b"REMOTE_HOST": remote,
    }


def address_text(peer: Peer, packed: bytes) -> str:
    """One of a peer's addresses, remote or local, as text; a link-local one with its scope."""
    text = inet_ntop(AF_INET if peer.family == AF_INET else AF_INET6, packed)
    is_link_local = peer.family == AF_INET6 and packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
    return f"{text}%{peer.scope}" if peer.scope and is_link_local else text
