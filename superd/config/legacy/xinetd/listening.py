"""Where a service of xinetd listens: protocol, port, address and family as values of ``listen``.

Source: service_fill and check_entry of confparse.c, bind_parser of parsers.c, activate_normal of service.c.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import Literal

from attrs import field, mutable

from superd.config.legacy.carried import Fate
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wellknown import registered_port
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.xinetd.resolve import Resolved

Say = Callable[[Fate, str, str], None]
"""Tells what became of a service: fate, reason, and the attribute whose line it is about."""

_WILDCARDS = ("0.0.0.0", "::", "*")  # noqa: S104 - nothing is bound here
_NUMERIC = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\S+)?")


class NowhereError(Exception):
    """A service listens on nothing that superd knows. Carries fate and reason."""

    def __init__(self, reason: str, fate: Fate = Fate.FAULT) -> None:
        self.reason = reason
        self.fate = fate
        super().__init__(reason)


@mutable
class Listening:
    """Finds out where one service listens.

    Args:
        service: with everything from defaults.
        surroundings: of the file.
        wishes: the options of the import.
        say: for what is done differently.
    """

    service: Resolved
    surroundings: Surroundings
    wishes: Wishes
    say: Say
    transport: Literal["tcp", "udp"] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.transport = self._transport()

    @property
    def is_muxed(self) -> bool:
        """Whether clients reach it through tcpmux alone."""
        return bool({"TCPMUX", "TCPMUXPLUS"} & set(self.service.items("type")))

    def listens(self) -> list[str]:
        """The values of ``listen``.

        Raises:
            NowhereError: there are none.
        """
        if self.is_muxed:
            plus = "+" if "TCPMUXPLUS" in self.service.items("type") else ""
            return [f"tcpmux://{plus}{self.service.name}"]
        port = self._port()
        return [f"{scheme}://{host}:{port}" for scheme, host in self._hosts()]

    def _transport(self) -> Literal["tcp", "udp"]:
        kind, protocol = self.service.word("socket_type"), self.service.word("protocol")
        if "RPC" in self.service.items("type"):
            raise NowhereError("superd registers no RPC programs with rpcbind", Fate.NOT_CARRIED)
        if kind in ("raw", "seqpacket"):
            raise NowhereError(f"superd serves no {kind} sockets of this kind", Fate.NOT_CARRIED)
        if not kind and not protocol:
            raise NowhereError("neither socket_type nor protocol; xinetd disables it")
        fitting = {"stream": "tcp", "dgram": "udp"}
        if kind and protocol and fitting[kind] != protocol[:3]:
            raise NowhereError(f"socket_type {kind} and protocol {protocol} do not go together")
        return "udp" if kind == "dgram" or protocol.startswith("udp") else "tcp"

    def _port(self) -> str:
        """A number; a name where nobody looks up what it stands for (0)."""
        name, written = self.service.name, self.service.word("port")
        is_listed = "UNLISTED" not in self.service.items("type")
        known = self.surroundings.lookup_port(name, self.transport) if is_listed or not written else None
        if not written:
            if not is_listed:
                raise NowhereError("type = UNLISTED without a port; xinetd disables it")
            return name if known == 0 else str(known or self._named_port(name))
        if is_listed and known not in (0, int(written)):
            listed = f"has {known}" if known else "does not have it"
            self.say(
                Fate.NOTED, f"xinetd wants type = UNLISTED here, since /etc/services {listed}; mended", "port"
            )
        return written

    def _named_port(self, name: str) -> int:
        """The port of a service that this machine does not know."""
        number = self.wishes.ports.get(name) or registered_port(name, self.transport)
        lacking = f"/etc/services has no {name} for {self.transport}"
        if number is None:
            raise NowhereError(f"{lacking}, and no port is given; write it, or --port {name}=NUMBER")
        if name not in self.wishes.ports:
            self.say(Fate.CARRIED, f"{lacking}; {number} is the port registered for it", "port")
        return number

    def _hosts(self) -> list[tuple[str, str]]:
        """Scheme and host of each listener."""
        flags = self.service.items("flags")
        four, six = "IPv4" in flags, "IPv6" in flags
        bound = self.service.word("bind") or "*"
        if bound in _WILDCARDS:
            return [(self._everywhere(bound, four=four and not six), "*")]
        if _NUMERIC.fullmatch(bound):
            return [(self.transport, _written(bound))]
        return self._named(bound, "4" if four and not six else "6" if six and not four else "")

    def _everywhere(self, bound: str, *, four: bool) -> str:
        """xinetd opens one socket for both families, or one for IPv4."""
        if four or bound == _WILDCARDS[0]:
            return f"{self.transport}4"
        return f"{self.transport}6" if self.service.word("v6only") == "yes" else self.transport

    def _named(self, name: str, family: str) -> list[tuple[str, str]]:
        if name.lower() == "localhost":
            return [(f"{self.transport}{family}", "localhost")]
        found = self.surroundings.lookup_host(name)
        fitting = [text for text in found if family in ("", "6" if ":" in text else "4")]
        if not fitting:
            raise NowhereError(
                f"bind = {name}: superd listens on addresses alone, and the name has none here"
            )
        self.say(Fate.NOTED, f"superd listens on addresses alone; {name} is {fitting[0]} now", "bind")
        return [(self.transport, _written(fitting[0]))]


def _written(text: str) -> str:
    """An address as it stands in ``listen``."""
    address, percent, scope = text.partition("%")
    try:
        plain = ip_address(address)
    except ValueError:
        raise NowhereError(f"bind = {text}: no address; xinetd listens nowhere, or everywhere") from None
    return f"[{plain}{percent}{scope}]" if plain.version == 6 else str(plain)
