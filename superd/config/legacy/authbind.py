"""/etc/authbind: who may bind which privileged port, as ``[[grants]]``.

Source: authbind 2.1.3, authbind(1) and helper.c.
"""

from __future__ import annotations

import grp
import os
import pwd
import re
import stat
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network, summarize_address_range

from attrs import field, mutable

from superd.config.legacy.carried import Carried, Fate, GrantLines, LegacyError, Origin, Remark
from superd.config.legacy.reading import lines_of
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes
from superd.policy.grants import Ports

FOLDERS = ("byport", "byaddr", "byuid")

_HEAD = (
    "authbind asks byport, then byaddr, then byuid, and the first that has something for the port decides, refusals "
    "too. Grants of superd only ever allow: compare what was in several of these folders.",
    "authbind does not tell TCP from UDP, so that each grant is for both.",
    "Everybody who may execute a file of byport or byaddr may bind. That holds for root anyway.",
)
_OLD_LINE = re.compile(r"([0-9.]+)/([0-9]+):([0-9]+),([0-9]+)")
_LINE = re.compile(r"([^,/]+?)(?:/([0-9]+)|-([^,/-]+))?,([0-9]+)(?:-([0-9]+))?")
_LOW_PORTS = range(1, 1024)
_MARKED_PORTS = range(512, 1024)  # whose files begin with a !


def read_authbind(folder: str, content: bytes, surroundings: Surroundings, wishes: Wishes) -> Carried:
    """What a folder of authbind grants.

    Args:
        folder: its name, as ``/etc/authbind``.
        content: nothing; a folder has none.
        surroundings: how files are read.
        wishes: the options of the import; none concerns it.

    Raises:
        LegacyError: the folder cannot be read.
    """
    reading = _Folder(folder, surroundings)
    present = set(surroundings.entries(folder))
    for name in (name for name in FOLDERS if name in present):
        reading.read(name)
    return Carried(
        dialect="authbind",
        head=_HEAD,
        grants=tuple(reading.grants),
        remarks=tuple(reading.remarks),
        files=(folder, *reading.files),
    )


@mutable
class _Folder:
    """One run over the three folders."""

    folder: str
    surroundings: Surroundings
    grants: list[GrantLines] = field(factory=list)
    remarks: list[Remark] = field(factory=list)
    files: list[str] = field(factory=list)

    def read(self, name: str) -> None:
        """Read one of the folders, file by file."""
        for leaf in sorted(self.surroundings.entries(os.path.join(self.folder, name))):
            path = os.path.join(self.folder, name, leaf)
            self.files.append(path)
            if name == "byuid":
                self._user(path, leaf)
            else:
                self._leaf(path, leaf, is_address=name == "byaddr")

    def _leaf(self, path: str, leaf: str, *, is_address: bool) -> None:
        """A file whose name says what, and whose mode says who."""
        origin = Origin(path, 0)
        address, port = _split(leaf) if is_address else ("*", leaf.removeprefix("!"))
        if address is None or not _is_port(port):
            self._fault(origin, f"{leaf} names no address and port" if is_address else f"{leaf} is no port")
            return
        if leaf.startswith("!") != (int(port) in _MARKED_PORTS):
            self._fault(origin, "authbind wants a ! before ports from 512 on, and before no others")
            return
        users, groups = _who(path)
        if not users and not groups:
            self.remarks.append(Remark(origin, Fate.CARRIED, "nobody but root may execute it: no grant"))
            return
        self._grant(origin, (int(port), int(port)), (address,), users, groups)

    def _user(self, path: str, leaf: str) -> None:
        """A file with a line for each range of addresses and ports."""
        origin, number = Origin(path, 0), leaf.removeprefix("!")
        if not (number.isascii() and number.isdigit() and len(number) < 11):
            self._fault(origin, f"{leaf} is no user's number")
            return
        try:
            lines = lines_of(path, self.surroundings.read(path))
        except LegacyError as error:
            self._fault(origin, error.fault.problem)
            return
        for line in lines:
            found = _ranges(line.text.strip())
            if found is None:
                self._fault(
                    line.origin,
                    "authbind skips the line: no addresses and ports, or bits beyond the network's",
                )
                continue
            addresses, first, last = found
            for ports in _served(first, last, marked=leaf.startswith("!")):
                self._grant(line.origin, ports, addresses, (_user_name(int(number)),))

    def _grant(
        self,
        origin: Origin,
        ports: tuple[int, int],
        addresses: tuple[str, ...],
        users: tuple[str, ...],
        groups: tuple[str, ...] = (),
    ) -> None:
        keys = {
            "ports": [str(Ports(transport, *ports)) for transport in ("tcp", "udp")],
            "addresses": [_plain(text) for text in addresses],
            "users": list(users),
            "groups": list(groups),
        }
        self.grants.append(GrantLines({key: value for key, value in keys.items() if value}, origin))

    def _fault(self, origin: Origin, reason: str) -> None:
        self.remarks.append(Remark(origin, Fate.FAULT, reason))


def _split(leaf: str) -> tuple[str | None, str]:
    """``192.0.2.1:80`` or ``2001:db8::1,80``; None for what is no address."""
    text = leaf.removeprefix("!")
    address, comma, port = text.rpartition(",")
    if not comma:
        address, _, port = text.rpartition(":")
    found = _address(address)
    return (None if found is None else str(found)), port


def _plain(text: str) -> str:
    """IPv4 in the clothes of IPv6 is IPv4 to superd."""
    if ":" not in text:
        return text
    network = ip_network(text)
    first = ip_address(network.network_address)
    mapped = first.ipv4_mapped if isinstance(first, IPv6Address) else None
    if mapped is None or network.prefixlen < 96:
        return text
    return str(mapped) if network.prefixlen == 128 else f"{mapped}/{network.prefixlen - 96}"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 5 and int(text) in _LOW_PORTS


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _who(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Users and groups that may execute a file."""
    try:
        status = os.stat(path)
    except OSError:
        return (), ()
    mode = status.st_mode
    if mode & stat.S_IXOTH:
        return ("*",), ()
    users = (_user_name(status.st_uid),) if mode & stat.S_IXUSR and status.st_uid else ()
    groups = (_group_name(status.st_gid),) if mode & stat.S_IXGRP else ()
    return users, groups


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return str(gid)


def _ranges(line: str) -> tuple[tuple[str, ...], int, int] | None:
    """Addresses, first and last port of a line of byuid; None for what authbind skips."""
    old = _OLD_LINE.fullmatch(line)
    if old:
        address, length, first, last = old.groups()
        return _checked(_network(address, length), first, last)
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    low, length, high, first, last = match.groups()
    addresses = _between(low, high) if high else _network(low, length)
    return _checked(addresses, first, last or first)


def _checked(
    addresses: tuple[str, ...] | None, first: str, last: str
) -> tuple[tuple[str, ...], int, int] | None:
    if addresses is None or max(len(first), len(last)) > 5 or not int(first) <= int(last) <= 65535:
        return None
    return addresses, int(first), int(last)


def _network(address: str, length: str | None) -> tuple[str, ...] | None:
    try:
        network = ip_network(f"{address}/{length}" if length else address)
    except ValueError:
        return None
    is_single = network.prefixlen == network.max_prefixlen
    return (str(network.network_address) if is_single else str(network),)


def _between(low: str, high: str) -> tuple[str, ...] | None:
    first, last = _address(low), _address(high)
    if isinstance(first, IPv4Address) and isinstance(last, IPv4Address) and first <= last:
        return tuple(map(str, summarize_address_range(first, last)))
    if isinstance(first, IPv6Address) and isinstance(last, IPv6Address) and first <= last:
        return tuple(map(str, summarize_address_range(first, last)))
    return None


def _served(first: int, last: int, *, marked: bool) -> Iterator[tuple[int, int]]:
    """The part of a range that a file is asked about: up to 511, or from 512 on when its name begins with a !."""
    low, high = (512, 1023) if marked else (1, 511)
    if max(first, low) <= min(last, high):
        yield max(first, low), min(last, high)
