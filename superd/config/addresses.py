"""One value of ``listen``, parsed. Pure: no name is resolved, no socket opened.

Only ``localhost`` and addresses are taken as hosts: a name would make a root process ask the network where to
listen.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Literal

from attrs import frozen

from superd.config.findings import RejectedError, reject, toml_text
from superd.config.model import Listen, Scheme

LookupPort = Callable[[str, Literal["tcp", "udp"]], int | None]
"""The port of a service name in /etc/services for a transport; None when it is not known there."""

MAX_UNIX_PATH = 107
"""Bytes of a unix socket's path: ``sun_path`` has 108, one of them for the NUL. Source: unix(7)."""

_SCHEMES = {scheme.value: scheme for scheme in Scheme}
ENDPOINT = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<host>[^:\[\]/]+)):(?P<port>[^:/]+)")
_TCPMUX_NAME = re.compile(r"(?P<plus>\+?)(?P<name>[A-Za-z0-9_][A-Za-z0-9_./+-]{0,63})")
_INTERFACE = re.compile(r"[^\s/%:]{1,15}")  # IFNAMSIZ of <linux/if.h>, less the NUL
_PORT = r"(?P<port>[A-Za-z0-9._+-]+)"
_USAGE = 'write "tcp://*:PORT", "udp://*:PORT" or "unix:///PATH"'


@frozen
class _Mistake:
    """A value that people write, and what they meant."""

    pattern: re.Pattern[str]
    problem: str
    meant: str  # format string over the groups of the pattern


def _mistake(pattern: str, problem: str, meant: str) -> _Mistake:
    return _Mistake(re.compile(pattern), problem, meant)


# The first fitting row answers.
_MISTAKES = (
    _mistake(r"(?P<path>/.+)", "no scheme", "unix://{path}"),
    _mistake(r"(?P<name>@.+)", "no scheme", "unix://{name}"),
    _mistake(r"(?P<port>[0-9]+)", "no scheme", "tcp://*:{port}"),
    _mistake(rf":{_PORT}", "no scheme", "tcp://*:{port}"),
    _mistake(rf"(?P<scheme>tcp[46]?|udp[46]?):{_PORT}", "no host", "{scheme}://*:{port}"),
    _mistake(
        r"(?P<scheme>unix(-dgram|-seqpacket)?)://(?P<path>[^/@].*)", "relative path", "{scheme}:///{path}"
    ),
    _mistake(r"(?P<scheme>unix(-dgram|-seqpacket)?)://@", "no name after the @", "{scheme}://@NAME"),
    _mistake(r"(?P<scheme>unix(-dgram|-seqpacket)?):(?P<path>/[^/].*|@.+)", "no ://", "{scheme}://{path}"),
    _mistake(rf"(?P<rest>(\[[^\[\]]+\]|[^:\[\]/]+):{_PORT})", "no scheme", "tcp://{rest}"),
    _mistake(r"https?://(?P<rest>(\[[^\[\]]+\]|[^:\[\]/]+):[0-9]+)(/.*)?", "unknown scheme", "tcp://{rest}"),
    _mistake(r"http://(?P<rest>[^:/]+)(/.*)?", "unknown scheme", "tcp://{rest}:80"),
    _mistake(r"https://(?P<rest>[^:/]+)(/.*)?", "unknown scheme", "tcp://{rest}:443"),
    _mistake(r"(?P<scheme>tcp[46]?|udp[46]?)://(?P<port>[0-9]+)", "no host", "{scheme}://*:{port}"),
    _mistake(rf"(?P<scheme>tcp[46]?|udp[46]?)://:{_PORT}", "no host", "{scheme}://*:{port}"),
    _mistake(
        r"(?P<scheme>tcp[46]?|udp[46]?)://(?P<six>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[^:]+)?):(?P<port>[0-9]+)",
        "IPv6 address without brackets",
        "{scheme}://[{six}]:{port}",
    ),
    _mistake(r"(?P<rest>(tcp|udp)[46]?://[^/]+:[^:/]+)/.*", "a path after the port", "{rest}"),
    _mistake(r"(?P<rest>(tcp|udp)[46]?://(\[[^\[\]]+\]|[^:\[\]/]+)):?", "no port", "{rest}:PORT"),
)


def parse_listen(text: str, lookup_port: LookupPort) -> Listen:
    """Parse ``scheme://host:port``, ``unix:///path``, ``unix://@abstract`` or ``tcpmux://name``.

    Args:
        text: the value as written.
        lookup_port: turns a service name into a port; may answer 0 for "known, but not looked up".

    Raises:
        RejectedError: it is no such value; the remedy is the value that was probably meant.
    """
    name, separator, rest = text.partition("://")
    scheme = _SCHEMES.get(name)
    if not separator or scheme is None:
        raise _explain(text, "unknown scheme" if separator else "no scheme")
    if scheme.is_unix:
        return parse_unix(text, scheme, rest)
    if scheme is Scheme.TCPMUX:
        return _parse_tcpmux(text, rest)
    return _parse_inet(text, scheme, rest, lookup_port)


def _explain(text: str, otherwise: str) -> RejectedError:
    for mistake in _MISTAKES:
        match = mistake.pattern.fullmatch(text)
        if match:
            return reject(mistake.problem, f'write "{mistake.meant.format(**match.groupdict())}"')
    return reject(otherwise, _USAGE)


def parse_unix(text: str, scheme: Scheme, path: str) -> Listen:
    if path[:1] not in ("/", "@") or path in ("/", "@"):
        raise _explain(text, "no path")
    if not path.isprintable():
        raise reject("a control character in the path", "remove it")
    length = len(path.encode())
    if length > MAX_UNIX_PATH:
        raise reject(f"{length} bytes of path", f"use at most {MAX_UNIX_PATH}")
    if path.endswith("/"):
        raise reject("a folder", "write the path of the socket")
    return Listen(text, scheme, path=path)


def _parse_tcpmux(text: str, rest: str) -> Listen:
    """``NAME`` or ``+NAME``. Source: RFC 1078, which reserves help; inetd(8) for the plus."""
    match = _TCPMUX_NAME.fullmatch(rest)
    if match is None:
        raise reject("not a name", 'write "tcpmux://NAME" or "tcpmux://+NAME"')
    name = match["name"].lower()
    if name == "help":
        raise reject("tcpmux answers help itself", "use another name")
    return Listen(text, Scheme.TCPMUX, path=name, greets=bool(match["plus"]))


def _parse_inet(text: str, scheme: Scheme, rest: str, lookup_port: LookupPort) -> Listen:
    match = ENDPOINT.fullmatch(rest)
    if match is None:
        raise _explain(text, "not host:port")
    six, host, port = match.groups()
    if six is not None:
        family, (host, scope) = "6", parse_ipv6(six, scheme)
    else:
        (family, host), scope = _parse_host(host), ""
    if family and scheme[3:] not in ("", family):
        raise reject(f"an IPv{family} address with {scheme}", f'write "{scheme[:3]}{family}://{rest}"')
    return Listen(text, scheme, host, parse_port(port, scheme, lookup_port), scope)


def _parse_host(host: str) -> tuple[str, str]:
    """Family (empty: both) and canonical spelling of a host without brackets."""
    if host in ("*", "localhost"):
        return "", host
    try:
        return "4", inet_ntop(AF_INET, inet_pton(AF_INET, host))
    except (OSError, ValueError):
        pass  # not an address: the two faults below say what else it may be
    if host.strip("0123456789.") == "":
        raise reject("not an IPv4 address", "write four numbers of 0 to 255, without leading zeros")
    raise reject("a host name", "write the address")


def parse_ipv6(text: str, scheme: Scheme) -> tuple[str, str]:
    """Canonical spelling and scope of what stands in brackets."""
    address, percent, scope = text.partition("%")
    try:
        packed = inet_pton(AF_INET6, address)
    except (OSError, ValueError):
        raise reject("not an IPv6 address", f'write "{scheme}://[::1]:PORT"') from None
    if packed.startswith(bytes(10) + b"\xff\xff"):
        raise reject("an IPv4-mapped address", f"write {inet_ntop(AF_INET, packed[12:])}, without brackets")
    canonical = inet_ntop(AF_INET6, packed)
    if _is_link_local(packed):
        if not _INTERFACE.fullmatch(scope):
            raise reject("a link-local address without its interface", f"write [{canonical}%eth0]")
    elif percent:
        raise reject("an interface on an address that is not link-local", f"write [{canonical}]")
    return canonical, scope


def _is_link_local(packed: bytes) -> bool:
    """Whether the kernel wants a scope: fe80::/10, ff01::/16, ff02::/16. Source: __ipv6_addr_needs_scope_id."""
    return (packed[0] == 0xFE and packed[1] & 0xC0 == 0x80) or (
        packed[0] == 0xFF and packed[1] & 0xF in (1, 2)
    )


def parse_port(port: str, scheme: Scheme, lookup_port: LookupPort) -> int:
    if port.isascii() and port.isdigit():
        number = int(port) if len(port) <= 5 else 0
        if not 1 <= number <= 65535:
            raise reject("no such port", "write 1 to 65535")
        return number
    found = lookup_port(port, "udp" if scheme.is_datagram else "tcp") if port.isascii() else None
    if found is None:
        raise reject(f"/etc/services has no {toml_text(port)} for {scheme[:3]}", "write the number")
    return found
