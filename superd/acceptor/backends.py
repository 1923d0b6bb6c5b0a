"""Where forwards lead: targets and the addresses they stand for, names looked up anew while they are in use."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import Any

import trio
from attrs import frozen

from superd.acceptor.names import Addresses, Answer, Names
from superd.acceptor.timers import Timers
from superd.config.model import Target
from superd.config.targets import parse_target
from superd.log import Logger
from superd.policy.networks import address_text

RENEW_S = 5.0
"""A name whose addresses cannot be reached is looked up again at once, but not more often than that."""

_LOOPBACK = (("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6))


@frozen
class Address:
    """One address of a target: what connect(2) takes, and how the log writes it."""

    family: socket.AddressFamily
    where: Any
    text: str


class Backends:
    """Knows the addresses of every target.

    Args:
        ask: has a host name looked up.
        wanted: the targets that services forward to now, as text.
    """

    def __init__(
        self,
        log: Logger,
        timers: Timers,
        ask: Callable[[str, Answer], None],
        wanted: Callable[[], Iterable[str]],
    ) -> None:
        self._wanted = wanted
        self._names = Names(log, timers, ask, self._wanted_names, lambda _, __: None)
        self._targets: dict[str, Target] = {}
        self._good: dict[str, Address] = {}
        self._renewed: dict[str, float] = {}

    def update(self) -> None:
        """Services came, changed or went."""
        wanted = frozenset(self._wanted())
        self._targets = {text: parse_target(text) for text in wanted}
        for kept in (self._good, self._renewed):
            for text in kept.keys() - wanted:
                del kept[text]
        self._names.update()

    def _wanted_names(self) -> Iterable[str]:
        return (target.host for target in self._targets.values() if target.is_name)

    def addresses(self, text: str) -> list[Address]:
        """All addresses of a target, the one that was reached last before the others; none for an unknown name."""
        target = self._targets.get(text) or parse_target(text)
        found = [_address(target, family, host) for family, host in self._hosts(target)]
        good = self._good.get(text)
        if good in found:
            found.remove(good)
            found.insert(0, good)
        return found

    def _hosts(self, target: Target) -> list[tuple[socket.AddressFamily, str]]:
        if target.path:
            return [(socket.AF_UNIX, target.path)]
        if target.is_name:
            known: Addresses = self._names.known(target.host)
            return [
                (socket.AF_INET if version == 4 else socket.AF_INET6, address_text(version, value))
                for version, value in known
            ]
        if target.host == "localhost":
            return [(family, host) for host, family in _LOOPBACK]
        return [(socket.AF_INET6 if ":" in target.host else socket.AF_INET, target.host)]

    def problem(self, text: str) -> str:
        """Why a target has no address."""
        return f"{parse_target(text).host} could not be looked up"

    def reached(self, text: str, address: Address) -> None:
        """An address answered: it is tried first from now on."""
        if text in self._targets:
            self._good[text] = address

    def renew(self, text: str) -> None:
        """No address of a target could be reached: perhaps its name has others by now."""
        target = self._targets.get(text)
        now = trio.current_time()
        if target is not None and target.is_name and now - self._renewed.get(text, -RENEW_S) >= RENEW_S:
            self._renewed[text] = now
            self._names.renew(target.host)


def _address(target: Target, family: socket.AddressFamily, host: str) -> Address:
    if family == socket.AF_UNIX:
        path = "\0" + host[1:] if host.startswith("@") else host
        return Address(family, path, f"unix://{host}")
    if family == socket.AF_INET:
        return Address(family, (host, target.port), f"{target.transport}://{host}:{target.port}")
    scoped = f"{host}%{target.scope}" if target.scope else host
    text = f"{target.transport}://[{scoped}]:{target.port}"
    return Address(family, (host, target.port, 0, _scope_id(target.scope)), text)


def _scope_id(interface: str) -> int:
    """The number of an interface; of one that is not there 0, with which the kernel says what is missing."""
    try:
        return socket.if_nametoindex(interface) if interface else 0
    except OSError:
        return 0
