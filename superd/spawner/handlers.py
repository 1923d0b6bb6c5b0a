"""A service's handler, from the spawner's side: the caller is started, and asked for a child for each connection.

``superd/handler/caller.py`` says what the caller is and why. The spawner waits for its answer, as it waits for exec
when it starts a program: so a caller that stands still is a spawner that does not answer its pings, and both are
replaced.
"""

from __future__ import annotations

import array
import errno
import marshal
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

from superd.config.model import Service
from superd.errors import SuperdError
from superd.handler.connection import Address
from superd.handler.loading import LoadError
from superd.handler.messages import CALL, ENDED, FAILED, KILL, NAMED, PID, READY, REQUEST_BYTES
from superd.handler.places import search_path
from superd.kernel import rlimits
from superd.spawner.plan import Environment
from superd.spawner.spawn import fork_exec
from superd.wire.messages import Peer
from superd.wire.peers import address_text, peer_environment

MOST_LINES, MOST_CHARS = 30, 250
"""Of a traceback: even if JSON needs two bytes for each character, a ``HandlerFailed`` holds it."""

NULL, LINK = 0, 3
"""Descriptors: /dev/null here, and the caller's link there."""

_BOOT = (
    "import sys\nsys.path[:] = sys.argv[2:]\nfrom superd.handler.caller import main\nmain(int(sys.argv[1]))"
)

_OF_THE_CALLER = {b"LD_BIND_NOW": b"1"}
"""The caller's own variables: symbols are looked up once, and not by every child anew (ld.so(8))."""

Ended = tuple[int, int, float, int]
"""As ``messages.ENDED`` has it."""


class CallerGoneError(SuperdError):
    """The caller ended, and nothing more can be served."""


def fitting(lines: Sequence[str]) -> tuple[str, ...]:
    """As much of a traceback as a message carries: its last lines, in printable ASCII."""
    plain = (line.encode("ascii", "backslashreplace").decode() for line in lines[-MOST_LINES:])
    return tuple("".join(c if c.isprintable() else "?" for c in line)[:MOST_CHARS] for line in plain)


def start_caller(service: Service, environment: Environment, *, names: bool = False) -> Caller | None:
    """Start the process that imports a service's handler, and wait until it has; None where there is none.

    Args:
        names: each child is asked about by its pid, so it must not be collected before ``Caller.named``.

    Raises:
        LoadError: the handler cannot be used.
        OSError: there is no Python to execute in root_directory, or the sandbox.
        CallerGoneError: it died meanwhile.
    """
    if service.handler is None:
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with theirs:
            caller = Caller(ours, _execute(environment, theirs.fileno()), service.name)
        caller.prepare(_settings(service, environment, names=names))
    except BaseException:
        ours.close()
        raise
    return caller


def _execute(environment: Environment, link: int) -> int:
    """Start a fresh interpreter with our rights, which ends with us; returns its pid."""
    argv = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, str(LINK), *search_path()]
    try:
        return fork_exec(
            os.fsencode(sys.executable),
            tuple(map(os.fsencode, argv)),
            lambda _: {**environment, **_OF_THE_CALLER},
            (NULL, NULL, NULL, link),
            {},
            signal.SIGKILL,
        )
    except OSError as error:
        raise OSError(error.errno, f"{sys.executable}: {error.strerror}") from error


def _settings(service: Service, environment: Environment, *, names: bool) -> dict[str, Any]:
    """What the caller is told first."""
    assert service.handler is not None  # noqa: S101  else there is no caller
    return {
        "service": service.name,
        "source": service.handler.source,
        "function": service.handler.function,
        "folders": search_path(service.environment.get("PYTHONPATH", "")),
        "standard_error": str(service.standard_error.value),
        "limits": rlimits.numbers(rlimits.split(service.resource_limits)[1]),
        "names": names,
        # and what Python adds where there is no locale (PEP 538)
        "unset": [name for name in (*_OF_THE_CALLER, b"LC_CTYPE") if name not in environment],
    }


class Caller:
    """A caller that lives, as a starter of children.

    Args:
        link: our end.
        pid: its own.
        service: the service's name.
    """

    always_logs = True

    def __init__(self, link: socket.socket, pid: int, service: str) -> None:
        self.pid = pid
        self._link = link
        self._service = service
        self._variables: Environment = {}
        self._ended: list[Ended] = []

    def close(self) -> None:
        """Hang up: the caller goes, and its children go on."""
        self._link.close()

    def fileno(self) -> int:
        """Readable when somebody ended."""
        return self._link.fileno()

    def prepare(self, settings: dict[str, Any]) -> None:
        """Have it import the handler; raises LoadError and CallerGoneError as ``start_caller`` does."""
        self._send(settings)
        answer = self._receive()
        if answer != READY:
            os.waitpid(self.pid, 0)
            raise LoadError(fitting(answer.removeprefix(FAILED).decode().split("\n")))

    def start(self, sock: int, error: int, peer: Peer) -> int:
        remote = _remote(peer)
        changes, title = self._changes(peer_environment(peer)), f"{self._service}: {Address(*remote)}"
        request = (CALL, int(peer.family), peer.datagram, remote, _local(peer), changes, title)
        rights = array.array("i", (sock, error)).tobytes()
        self._send(request, [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        while len(answer := self._receive()) != PID.size:
            self._ended += ENDED.iter_unpack(answer)
        (pid,) = PID.unpack(answer)
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return int(pid)

    def named(self) -> None:
        """The pid of the child that was started last may become another's from now on."""
        self._send((NAMED,))

    def _changes(self, variables: Environment) -> list[tuple[bytes, bytes | None]]:
        """What makes the environment that the last child was forked with the next one's; None: it is not set."""
        last, self._variables = self._variables, variables
        gone = [(name, None) for name in last if name not in variables]
        return [*gone, *(pair for pair in variables.items() if last.get(pair[0]) != pair[1])]

    def start_instance(self, descriptors: Sequence[int], environment: Callable[[int], Environment]) -> int:
        raise OSError(errno.EINVAL, "a handler has no instance")

    def kill(self, pid: int, number: int) -> None:
        """Signal a child and its session, if it still runs."""
        self._send((KILL, pid, int(number)))

    @property
    def has_news(self) -> bool:
        """Somebody ended, and ``fileno`` will not say so."""
        return bool(self._ended)

    def ended(self) -> list[Ended]:
        """Who ended since the last time."""
        while True:
            try:
                self._ended += ENDED.iter_unpack(self._receive(socket.MSG_DONTWAIT))
            except BlockingIOError:
                break
        found, self._ended = self._ended, []
        return found

    def _send(self, request: Any, ancillary: Sequence[tuple[int, int, bytes]] = ()) -> None:
        try:
            self._link.sendmsg((marshal.dumps(request),), ancillary)
        except (BrokenPipeError, ConnectionResetError) as failure:
            raise self._gone() from failure

    def _receive(self, flags: int = 0) -> bytes:
        try:
            data = self._link.recv(REQUEST_BYTES, flags)
        except ConnectionResetError:
            data = b""
        if not data:
            raise self._gone()
        return data

    def _gone(self) -> CallerGoneError:
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:  # collected already, with the children's leavings
            return CallerGoneError("the process that calls the handler ended")
        code = os.waitstatus_to_exitcode(status)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return CallerGoneError(f"the process that calls the handler {how}")


def _remote(peer: Peer) -> tuple[str, int, int, int, int]:
    if peer.family == socket.AF_UNIX:
        return "", 0, peer.pid, peer.uid, peer.gid
    return address_text(peer, peer.remote), peer.remote_port, 0, 0, 0


def _local(peer: Peer) -> tuple[str, int]:
    if peer.family == socket.AF_UNIX:
        return "", 0
    return address_text(peer, peer.local), peer.local_port
