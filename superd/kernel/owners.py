"""Who holds an address that superd cannot bind: the answer that "Address already in use" leaves out."""

from __future__ import annotations

import ipaddress
import os
import pwd
import socket
from collections.abc import Collection, Iterator
from itertools import islice

from attrs import frozen

from superd.kernel.endpoints import Endpoint
from superd.kernel.procnet import Address, lines, parse_address

_MAX_DESCRIPTORS = (
    200_000  # looked at in one search; a machine with more is told nothing rather than kept waiting
)
_LISTEN = "0A"  # TCP_LISTEN, include/net/tcp_states.h
_ACCEPTS = 0x10000  # __SO_ACCEPTCON, the Flags column of /proc/net/unix


@frozen
class _Held:
    """A local address of /proc/net/{tcp,tcp6,udp,udp6}, the user of its socket and the inode."""

    host: Address
    port: int
    uid: int
    inode: int


def port_owner(endpoint: Endpoint) -> str | None:
    """Return who listens where ``endpoint`` wants to, as ``nginx (pid 1234, user www-data)``.

    Of several processes that share a socket, the one with the lowest pid, which mostly is the parent. Which process
    it is takes CAP_SYS_PTRACE, which the master gives up once it serves; then it is ``a process of user www-data``.
    Never raises.

    Returns:
        None when nobody does or it cannot be known: no /proc, or a unix socket of who cannot be looked into.
    """
    try:
        if isinstance(endpoint.address, str):
            pid = _holder(_unix_inodes(endpoint.address))
            return None if pid is None else _describe(pid)
        held = _inet_holders(endpoint)
        pid = _holder([one.inode for one in held])
        if pid is None:
            return f"a process of user {_user(held[0].uid)}" if held else None
        return _describe(pid)
    except (OSError, ValueError, IndexError):  # /proc is missing or unreadable, or the process has just ended
        return None


def _inet_holders(endpoint: Endpoint) -> list[_Held]:
    """Return the sockets in the way, of the same family if there are any."""
    protocol = "tcp" if endpoint.is_tcp else "udp"
    wanted, port = ipaddress.ip_address(endpoint.address[0]), endpoint.address[1]
    tables = [protocol, f"{protocol}6"]
    if endpoint.family == socket.AF_INET6:
        tables = tables[::-1] if endpoint.carries_ipv4 else [f"{protocol}6"]
    for table in tables:
        found = [held for held in _held(table) if held.port == port and _overlap(held.host, wanted)]
        if found:
            return found
    return []


def _overlap(held: Address, wanted: Address) -> bool:
    """A wildcard is in everybody's way; :: may be v6-only, which /proc does not tell."""
    return held == wanted or held.is_unspecified or wanted.is_unspecified


def _held(table: str) -> Iterator[_Held]:
    """Yield the bound sockets of one table: all of udp, the listening ones of tcp (proc_pid_net(5))."""
    for line in lines(f"/proc/self/net/{table}"):
        columns = line.split()
        if table.startswith("udp") or columns[3] == _LISTEN:
            host, _, port = columns[1].partition(":")
            yield _Held(parse_address(host), int(port, 16), int(columns[7]), int(columns[9]))


def _unix_inodes(path: str) -> list[int]:
    """Return the sockets bound to a path; accepted connections, which carry it too, only if none listens."""
    bound: list[int] = []
    listening: list[int] = []
    for line in lines("/proc/self/net/unix"):
        columns = line.rstrip("\n").split(maxsplit=7)  # the path comes last and may hold spaces
        if len(columns) == 8 and columns[7] == path:
            (listening if int(columns[3], 16) & _ACCEPTS else bound).append(int(columns[6]))
    return listening or bound


def _holder(inodes: Collection[int]) -> int | None:
    """Return the lowest pid that has one of these sockets open."""
    links = {f"socket:[{inode}]" for inode in inodes}
    if not links:
        return None
    for pid, link in islice(_open_sockets(), _MAX_DESCRIPTORS):
        if link in links:
            return pid
    return None


def _open_sockets() -> Iterator[tuple[int, str]]:
    """Yield every descriptor of every process that we may look into, by ascending pid."""
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # ended, or not ours to see
            continue
        for descriptor in descriptors:
            yield pid, _link(f"/proc/{pid}/fd/{descriptor}")


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # closed meanwhile
        return ""


def _describe(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
        name = comm.read().rstrip("\n")
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as status:
        uid = int(next((line for line in status if line.startswith("Uid:")), "").split()[2])  # effective
    # A process chooses its own name: no control character of it reaches a terminal or a log.
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return f"{printable} (pid {pid}, user {_user(uid)})"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
