"""The caller: imports a handler once, and forks a process that calls it for each connection.

A spawner starts it as a fresh interpreter, with the rights of the service's user and inside the service's sandbox:
it has a quarter of the spawner's memory, and to fork costs what there is to copy. It does what the spawner says on
their link, answers with the pid, and tells who ended. When the link is closed it goes.

Nothing is executed for a connection, so nothing closes descriptors or clears memory for the child. It closes all but
its own, and never returns into the caller's stack. What it shares with the caller is what the service's user may know
anyway: its code and its environment. It stays undumpable as the caller is, so children of one user cannot look into
each other, which executed ones could.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import socket
import sys

from superd.handler.connection import Address, Connection
from superd.handler.loading import LoadError, load
from superd.handler.messages import ENDED, FAILED, KILL, PID, READY, REQUEST_BYTES
from superd.handler.process import Title, hide
from superd.handler.running import run
from superd.handler.streams import renew_for_sockets

TYPE_CHECKING = False  # see connection.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from superd.handler.loading import Serve

EX_SOFTWARE = 70
LOG = 3
"""The log's descriptor in a child whose standard error leads elsewhere."""

GENERATION = 50_000
"""New objects before a process looks for cycles among them."""

_SPACE = socket.CMSG_SPACE(2 * 4)  # two descriptors


def main(descriptor: int) -> NoReturn:
    """Live as a caller; never returns.

    Args:
        descriptor: of the link; the spawner's first packet says what to import.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
    settings = marshal.loads(link.recv(REQUEST_BYTES))  # noqa: S302  of the spawner, which runs us
    title = Title()
    title.show(f"superd: handler {settings['service']}", f"superd: {settings['service']}")
    hide()
    sys.argv = [f"{settings['source']}:{settings['function']}"]
    try:
        serve = _load(settings)
    except LoadError as error:
        link.send(FAILED + "\n".join(error.lines[-40:]).encode("utf-8", "backslashreplace")[-16_000:])
        os._exit(1)
    renew_for_sockets()
    gc.collect()
    gc.freeze()  # what is there is shared with every child, and no cycle is ever found in it
    gc.set_threshold(GENERATION)
    caller = _Caller(link, serve, settings, title)
    signal.signal(signal.SIGCHLD, caller.reap)
    link.send(READY)
    while True:
        caller.obey()


def _load(settings: Any) -> Serve:
    """Import the handler. What it makes of signals meanwhile would be the caller's deafness."""
    numbers = signal.valid_signals()
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        return load(settings["source"], settings["function"], settings["folders"])
    finally:
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:
                signal.signal(number, handler)


class _Caller:
    """Serves its spawner."""

    def __init__(self, link: socket.socket, serve: Serve, settings: Any, title: Title) -> None:
        self._link = link
        self._serve = serve
        self._service: str = settings["service"]
        self._error: str = settings["standard_error"]
        self._limits: Sequence[tuple[int, int, int]] = settings["limits"]
        self._null = os.dup(0)
        self._most_descriptors = os.sysconf("SC_OPEN_MAX")  # a bound for kernels without close_range(2)
        self._title = title
        self._pids: set[int] = set()
        self._is_forking = False

    def obey(self) -> None:
        """Take one packet of the spawner's."""
        flags = int(socket.MSG_CMSG_CLOEXEC)
        data, ancillary, _, _ = self._link.recvmsg(REQUEST_BYTES, _SPACE, flags)
        if not data:
            os._exit(0)
        request = marshal.loads(data)  # noqa: S302  of the spawner
        if request[0] == KILL:
            self._kill(*request[1:])
            return
        self._is_forking = True
        self._start(request, memoryview(ancillary[0][2]).cast("i").tolist())
        self._is_forking = False
        self.reap()

    def _start(self, request: Any, descriptors: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            self._live(request, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._pids.add(pid)
        self._link.send(PID.pack(pid))

    def _kill(self, pid: int, number: int) -> None:
        """Signal the session that a child leads, or the child alone before it has become a leader."""
        for target in (-pid, pid) if pid in self._pids else ():
            try:
                os.kill(target, number)
            except ProcessLookupError:
                continue
            return

    def reap(self, *_: object) -> None:
        """Collect every child that has ended, and tell; called by SIGCHLD, too, but not before its pid was told."""
        ended = b""
        while self._pids and not self._is_forking:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid in self._pids:
                self._pids.discard(pid)
                cpu = usage.ru_utime + usage.ru_stime
                ended += ENDED.pack(pid, status, cpu, usage.ru_maxrss)
        if ended:
            self._link.send(ended)

    # --- in the child ---

    def _live(self, request: Any, sock: int, error: int) -> NoReturn:
        """The child's whole life."""
        status = EX_SOFTWARE
        try:
            status = self._call(request, self._place(sock, error))
        finally:
            os._exit(status)

    def _place(self, sock: int, error: int) -> int:
        """Set descriptors 0, 1 and 2, and that of the log, which is returned; no other stays open."""
        os.dup2(sock, 0)
        os.dup2(sock, 1)
        if self._error == "log":
            os.dup2(error, 2)
            os.closerange(3, self._most_descriptors)
            return 2
        os.dup2(sock if self._error == "socket" else self._null, 2)
        os.dup2(error, LOG, inheritable=False)
        os.closerange(LOG + 1, self._most_descriptors)
        return LOG

    def _call(self, request: Any, log: int) -> int:
        def write_log(text: str) -> None:
            _write_all(log, f"{text}\n".encode("utf-8", "backslashreplace"))

        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _, family, peer, local, datagram, environment = request
        if self._limits:
            _limit(self._limits)
        os.environb.update(environment)
        remote = Address(*peer)
        self._title.show(f"{self._service}: {remote}", self._service)
        kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
        # of a unix socket it is asked what kind it is, a stream or one of records
        sock = socket.socket(fileno=0) if family == socket.AF_UNIX else socket.socket(family, kind, 0, 0)
        connection = Connection(sock, remote, Address(*local), self._service, write_log, datagram=datagram)
        return run(self._serve, connection, write_log)


def _limit(limits: Sequence[tuple[int, int, int]]) -> None:
    import resource

    for number, soft, hard in limits:
        resource.setrlimit(number, (soft, hard))


def _write_all(descriptor: int, data: bytes) -> None:
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except BrokenPipeError:  # the spawner is gone, and a line of log is not worth a connection
        pass
