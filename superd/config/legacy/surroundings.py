"""What an importer may find out beside its file: other files, and what this machine knows by name."""

from __future__ import annotations

import pwd
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Literal

from attrs import frozen

from superd.config.addresses import LookupPort
from superd.config.legacy.guarded import GuardedFiles

LookupHost = Callable[[str], Sequence[str]]
"""The numeric addresses of a host name; none when it has none, or nobody may ask."""

_HOSTS = "/etc/hosts"

MAX_HOSTS = 256
"""Names of hosts that are looked up."""


@frozen
class Surroundings:
    """What there is around a file; tests give their own.

    Args:
        read: the content of a file; raises LegacyError.
        entries: the names in a folder, in no order; raises LegacyError.
        lookup_port: the port of a service's name; None when this machine does not know it.
        lookup_host: the addresses of a host's name.
        is_user: whether this machine has a user of that name; None when nobody may ask.
    """

    read: Callable[[str], bytes]
    entries: Callable[[str], Sequence[str]]
    lookup_port: LookupPort
    lookup_host: LookupHost
    is_user: Callable[[str], bool] | None


def this_machine(
    read: Callable[[str], bytes] | None = None,
    list_folder: Callable[[str], Sequence[str]] | None = None,
    *,
    ask_network: bool = False,
) -> Surroundings:
    """The machine superd runs on.

    Args:
        read: how files are read; as ``GuardedFiles`` does it unless given.
        list_folder: how folders are; the same.
        ask_network: whether a name server may be asked for hosts; else /etc/hosts alone is.
    """
    lookup_host = addresses_of if ask_network else addresses_in_hosts
    files = GuardedFiles()
    return Surroundings(read or files.read, list_folder or files.entries, port_of, lookup_host, is_user)


def port_of(name: str, transport: Literal["tcp", "udp"]) -> int | None:
    """The port that /etc/services has for a name."""
    try:
        return socket.getservbyname(name, transport)
    except (OSError, ValueError):
        return None


def is_user(name: str) -> bool:
    """Whether there is a user of that name."""
    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):
        return False
    return True


def asked_of_few(lookup_host: LookupHost) -> LookupHost:
    """The same for the first ``MAX_HOSTS`` names; no file makes anybody wait for thousands of name servers."""
    known: dict[str, Sequence[str]] = {}

    def ask(host: str) -> Sequence[str]:
        if host not in known and len(known) < MAX_HOSTS:
            known[host] = lookup_host(host)
        return known.get(host, ())

    return ask


def addresses_of(host: str) -> Sequence[str]:
    """The addresses that a host has now."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))


def addresses_in_hosts(host: str) -> Sequence[str]:
    """The addresses that /etc/hosts has for a host; no network is asked."""
    try:
        with open(_HOSTS, encoding="utf-8", errors="replace") as file:
            rows = [line.partition("#")[0].split() for line in file]
    except OSError:
        return ()
    found = (row[0] for row in rows if host.lower() in map(str.lower, row[1:]))
    return tuple(dict.fromkeys(address for address in found if _is_address(address)))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def no_addresses(host: str) -> Sequence[str]:
    """No network is asked."""
    return ()
