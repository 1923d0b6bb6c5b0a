"""Where a socket unit listens. Source: systemd.socket(5), systemd 252; socket-util.c, socket_address_parse."""

from __future__ import annotations

import re

from superd.config.legacy.systemd.words import WordError

_SCHEMES = {
    "ListenStream": ("tcp", "unix"),
    "ListenDatagram": ("udp", "unix-dgram"),
    "ListenSequentialPacket": ("", "unix-seqpacket"),
}
LISTENING = tuple(_SCHEMES)

_FOUR = re.compile(r"(?P<host>[0-9.]+):(?P<port>[0-9]+)")
_SIX = re.compile(r"\[(?P<host>[^\]]+)\]:(?P<port>[0-9]+)(?:%(?P<scope>\S+))?")


def listen_of(name: str, value: str, *, six_only: bool) -> str:
    """One value of ``listen``.

    Args:
        name: ListenStream, ListenDatagram or ListenSequentialPacket.
        value: a port, an address with a port, a path or ``@name``.
        six_only: BindIPv6Only=ipv6-only.

    Raises:
        WordError: superd does not listen there.
    """
    inet, unix = _SCHEMES[name]
    if value.startswith(("/", "@")):
        return f"{unix}://{value}"
    if not inet:
        raise WordError("superd has sequential packets on unix sockets alone")
    if value.isascii() and value.isdigit():
        return f"{inet}{'6' if six_only else ''}://*:{value}"
    four = _FOUR.fullmatch(value)
    if four:
        everywhere = four["host"] == "0.0.0.0"  # noqa: S104 - nothing is bound here
        return f"{inet}4://*:{four['port']}" if everywhere else f"{inet}://{value}"
    six = _SIX.fullmatch(value)
    if six is None:
        raise WordError("superd listens on TCP, UDP and unix sockets")
    if six["host"] == "::":
        return f"{inet}{'6' if six_only else ''}://*:{six['port']}"
    host = f"{six['host']}%{six['scope']}" if six["scope"] else six["host"]
    return f"{inet}://[{host}]:{six['port']}"
