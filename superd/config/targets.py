"""One value of ``forward``, parsed. Pure: a name is kept as it is, and looked up by the part that is never root."""

from __future__ import annotations

import re
from socket import AF_INET, inet_ntop, inet_pton

from superd.config.addresses import ENDPOINT, LookupPort, parse_ipv6, parse_port, parse_unix
from superd.config.findings import RejectedError, reject
from superd.config.model import Scheme, Target

_SCHEMES = {"tcp": Scheme.TCP, "udp": Scheme.UDP, "unix": Scheme.UNIX}
_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[A-Za-z0-9_-]{1,63}(\.(?!-)[A-Za-z0-9_-]{1,63})*\.?")
_USAGE = 'write "tcp://HOST:PORT", "udp://HOST:PORT" or "unix:///PATH"'
_HOST_PORT = re.compile(r"(\[[^\[\]]+\]|[^:\[\]/]+)[: ](?P<port>[^: /]+)")


def parse_target(text: str, lookup_port: LookupPort = lambda name, transport: None) -> Target:
    """Parse ``tcp://host:port``, ``udp://host:port``, ``unix:///path`` or ``unix://@abstract``.

    Args:
        text: the value as written.
        lookup_port: turns a service name into a port.

    Raises:
        RejectedError: it is no such value; the remedy is the value that was probably meant.
    """
    name, separator, rest = text.partition("://")
    scheme = _SCHEMES.get(name)
    if not separator or scheme is None:
        raise _explain(text, separator)
    if scheme is Scheme.UNIX:
        return Target(name, path=parse_unix(text, scheme, rest).path)
    match = ENDPOINT.fullmatch(rest)
    if match is None:
        raise reject("not host:port", f'write "{name}://{rest.partition("/")[0].partition(":")[0]}:PORT"')
    six, host, port = match.groups()
    number = parse_port(port, scheme, lookup_port)
    if six is not None:
        host, scope = parse_ipv6(six, scheme)
        return Target(name, host, number, scope)
    return _named(name, host, number)


def _named(transport: str, host: str, port: int) -> Target:
    if host in ("*", "0.0.0.0"):  # noqa: S104  nothing is bound
        raise reject("no address that can be connected to", f'write "{transport}://localhost:{port}"')
    try:
        return Target(transport, inet_ntop(AF_INET, inet_pton(AF_INET, host)), port)
    except (OSError, ValueError):
        pass  # no address: a name, if anything
    if host.strip("0123456789.") == "":
        raise reject("not an IPv4 address", "write four numbers of 0 to 255, without leading zeros")
    if not _NAME.fullmatch(host):
        raise reject("not a host name", "use letters, digits, - and dots")
    return Target(transport, host, port, is_name=host != "localhost")


def _explain(text: str, separator: str) -> RejectedError:
    """What somebody meant who wrote no scheme, or one of listen's that says too much."""
    if text.startswith(("/", "@")):
        return reject("no scheme", f'write "unix://{text}"')
    if separator:
        name, _, rest = text.partition("://")
        if name.startswith(("tcp", "udp", "http")):
            plain = name[:3] if name[0] != "h" else "tcp"
            return reject("unknown scheme", f'write "{plain}://{rest.rstrip("/")}"')
        return reject("unknown scheme", _USAGE)
    match = _HOST_PORT.fullmatch(text)
    return reject("no scheme", f'write "tcp://{match[1]}:{match["port"]}"' if match else _USAGE)
