"""What an importer may find out beside its file: other files, and what this machine knows by name."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Literal

from attrs import frozen

from superd.config.addresses import LookupPort
from superd.config.files import MAX_BYTES
from superd.config.legacy.carried import LegacyError

LookupHost = Callable[[str], Sequence[str]]
"""The numeric addresses of a host name; none when it has none, or nobody may ask."""

_HOSTS = "/etc/hosts"

MAX_FILES = 10_000
"""Of one folder."""


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


def this_machine(read: Callable[[str], bytes] | None = None, *, ask_network: bool = False) -> Surroundings:
    """The machine superd runs on.

    Args:
        read: how files are read; plainly unless given.
        ask_network: whether a name server may be asked for hosts; else /etc/hosts alone is.
    """
    lookup_host = addresses_of if ask_network else addresses_in_hosts
    return Surroundings(read or read_plain, entries, port_of, lookup_host, is_user)


def read_plain(path: str) -> bytes:
    """The content of a file.

    Raises:
        LegacyError: it cannot be read, or is too large.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if len(content) > MAX_BYTES:
        raise LegacyError(path, "larger than 16 MiB", "split it")
    return content


def entries(folder: str) -> Sequence[str]:
    """The names in a folder.

    Raises:
        LegacyError: it cannot be read.
    """
    try:
        names = os.listdir(folder)
    except (OSError, ValueError) as error:
        raise _unreadable(folder, error) from None
    if len(names) > MAX_FILES:
        raise LegacyError(folder, f"more than {MAX_FILES} files", "name the files")
    return names


def _unreadable(path: str, error: OSError | ValueError) -> LegacyError:
    told = os.strerror(error.errno or 0).lower() if isinstance(error, OSError) else "not a path"
    return LegacyError(path, told, "check the path")


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
