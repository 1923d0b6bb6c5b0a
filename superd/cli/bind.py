"""``superd-bind``: a program of an ordinary user on a port below 1024, where superd's grants allow it.

It stands in front of every program that is started with it, so it loads little: its options are read by hand.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

_USAGE = "usage: superd-bind [--depth N] [--fd TRANSPORT/[ADDRESS:]PORT]... [--] PROGRAM [ARGUMENT...]"
_USAGE_AUTHBIND = "usage: authbind [--deep | --depth N] PROGRAM [ARGUMENT...]"
_EX_USAGE, _EX_UNAVAILABLE, _EX_NOPERM = 64, 69, 77  # Exit of superd.errors, which brings attrs with it
_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START, sd_listen_fds(3)
_BACKLOG = 4096
_MOST_LEVELS = 1_000_000


class UsageError(Exception):
    """The command line makes no sense."""


class Wanted(NamedTuple):
    """What the command line asks for.

    Args:
        depth: how many levels of programs may bind what is granted; 0 for all.
        sockets: transport, address and port of each that is to be passed on.
        argv: the program and its arguments.
    """

    depth: int
    sockets: tuple[tuple[str, str, int], ...]
    argv: tuple[str, ...]


def parse(arguments: Sequence[str], *, as_authbind: bool = False) -> Wanted:
    """Read the options of superd-bind, or those of authbind, which stop at the first program.

    Raises:
        UsageError: says which word it cannot use.
    """
    depth, sockets, words = (1 if as_authbind else 0), [], list(arguments)
    while words and words[0].startswith("-"):
        option, equals, value = words.pop(0).partition("=")
        if option == "--" and not equals:
            break
        if option == "--deep" and as_authbind and not equals:
            depth = 0
            continue
        if option not in (("--depth",) if as_authbind else ("--depth", "--fd")):
            raise UsageError(f"unknown option {option}")
        if not equals and not words:
            raise UsageError(f"{option} without a value")
        value = value if equals else words.pop(0)
        if option == "--depth":
            depth = _number(value, f"--depth {value}", 1, _MOST_LEVELS)
        else:
            sockets.append(parse_socket(value))
    if not words:
        raise UsageError("no program")
    return Wanted(depth, tuple(sockets), tuple(words))


def parse_socket(text: str) -> tuple[str, str, int]:
    """Parse ``tcp/80``, ``udp/192.0.2.1:53`` or ``tcp/[::]:80``; without an address it is 0.0.0.0.

    Raises:
        UsageError: it is none of them.
    """
    transport, slash, place = text.partition("/")
    host, _, port = place.rpartition(":")
    if transport not in ("tcp", "udp") or not slash:
        raise UsageError(f"--fd {text}: write tcp/80, udp/192.0.2.1:53 or tcp/[::]:80")
    host = host.removeprefix("[").removesuffix("]") or "0.0.0.0"  # noqa: S104 - the grants decide
    return transport, host, _number(port, f"--fd {text}", 1, 65535)


def _number(text: str, where: str, low: int, high: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < 8 and low <= int(text) <= high:
        return int(text)
    raise UsageError(f"{where}: write a number of {low} to {high}")


def main() -> NoReturn:
    """Run ``superd-bind``, or ``authbind``: become the program, or its parent."""
    as_authbind = os.path.basename(sys.argv[0]) == "authbind"
    if sys.argv[1:2] == ["--version"]:
        from superd import __version__

        print(f"superd-bind {__version__}")
        sys.exit(0)
    try:
        wanted = parse(sys.argv[1:], as_authbind=as_authbind)
    except UsageError as error:
        _fail(f"{error}\n{_USAGE_AUTHBIND if as_authbind else _USAGE}", _EX_USAGE)
    _start(wanted)


def _fail(text: str, code: int) -> NoReturn:
    print(f"superd-bind: {text}", file=sys.stderr)
    sys.exit(code)


def _start(wanted: Wanted) -> NoReturn:
    from superd.kernel import notification
    from superd.supervise import child, parent

    mask = set(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    if wanted.sockets:
        _pass_sockets(wanted, mask)
    if os.geteuid() == 0:  # may bind anything
        child.become(wanted.argv, mask)
    machine = notification.this_machine()
    if machine is None:
        _fail("it does not know the system calls of this architecture", _EX_UNAVAILABLE)
    parent.run(wanted.argv, machine, wanted.depth)


def _pass_sockets(wanted: Wanted, mask: set[int]) -> NoReturn:
    """Bind what is wanted and become the program, which gets it as systemd would give it (sd_listen_fds(3))."""
    from superd.bind import BrokerError, request
    from superd.supervise import child

    sockets: list[socket.socket] = []
    for transport, host, port in wanted.sockets:
        try:
            sock = _own(transport, host, port) if os.geteuid() == 0 else request(transport, host, port)
        except BrokerError as error:
            _fail(f"{error.filename}: {error.strerror}", _EX_UNAVAILABLE)
        except OSError as error:
            _fail(f"{transport}/{host}:{port}: {error.strerror}", _EX_NOPERM)
        if transport == "tcp":
            sock.listen(_BACKLOG)
        sockets.append(sock)
    _place([sock.detach() for sock in sockets])
    names = ":".join(f"{transport}-{port}" for transport, _, port in wanted.sockets)
    told = {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": names}
    child.become(wanted.argv, mask, {**os.environ, **told})


def _own(transport: str, host: str, port: int) -> socket.socket:
    """Root's own, without a broker."""
    kind = socket.SOCK_STREAM if transport == "tcp" else socket.SOCK_DGRAM
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_NUMERICHOST)[0]
    sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if transport == "tcp" else 0)
    sock.bind(address)
    return sock


def _place(descriptors: list[int]) -> None:
    """Move descriptors to 3 and up, for the program to inherit; what was there goes."""
    high = [_raised(descriptor, _FIRST_DESCRIPTOR + len(descriptors)) for descriptor in descriptors]
    for place, descriptor in enumerate(high, _FIRST_DESCRIPTOR):
        os.dup2(descriptor, place, inheritable=True)


def _raised(descriptor: int, low: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, low)


if __name__ == "__main__":
    main()
