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

import _signal  # type: ignore[import-not-found]  # what signal wraps, and makes no enums: a child copies less
import functools
import gc
import marshal
import os
import signal
import socket
import sys

from superd.handler.connection import Address, Connection
from superd.handler.loading import LoadError, load, traceback_lines
from superd.handler.messages import CALL, CALL_BYTES, ENDED, FAILED, KILL, PID, READY, REQUEST_BYTES
from superd.handler.process import Title, hide
from superd.handler.running import run
from superd.handler.streams import renew_for_sockets

TYPE_CHECKING = False  # see connection.py
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, NoReturn

    from superd.handler.loading import Serve

EX_SOFTWARE = 70
STANDARD_ERROR, BESIDE = 2, 3
"""The log's descriptor in a child, and where its standard error leads elsewhere."""

GENERATION = 50_000
"""New objects before a process looks for cycles among them."""

MOST_LINES, MOST_BYTES = 40, 16_000
"""Of a traceback."""

_SPACE = socket.CMSG_SPACE(2 * 4)  # two descriptors
_FLAGS = int(socket.MSG_CMSG_CLOEXEC)
_SIGCHLD, _DEFAULT = int(signal.SIGCHLD), int(signal.SIG_DFL)


def main(descriptor: int) -> NoReturn:
    """Live as a caller; never returns.

    Args:
        descriptor: of the link; the spawner's first packet says what to import.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, descriptor)
    link.set_inheritable(False)  # a module may start programs
    settings = marshal.loads(link.recv(REQUEST_BYTES))  # noqa: S302  of the spawner, which runs us
    try:
        caller = _prepared(link, settings)
    except LoadError as error:
        _last_words(link, error.lines)
    except Exception as error:  # noqa: BLE001  a defect of ours: standard error leads nowhere here
        _last_words(link, traceback_lines(error))
    link.send(READY)
    while True:
        caller.obey()


def _last_words(link: socket.socket, lines: Sequence[str]) -> NoReturn:
    link.send(FAILED + "\n".join(lines[-MOST_LINES:]).encode("utf-8", "backslashreplace")[-MOST_BYTES:])
    os._exit(1)


def _prepared(link: socket.socket, settings: Any) -> _Caller:
    title = Title()
    title.show(f"superd: handler {settings['service']}")
    hide(settings["service"])
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in settings["unset"]:
        os.environb.pop(name, None)
    sys.argv = [f"{settings['source']}:{settings['function']}"]
    caller = _Caller(link, _load(settings), settings, title)
    renew_for_sockets()
    signal.signal(signal.SIGCHLD, caller.ended)
    gc.collect()
    gc.freeze()  # what is there is shared with every child, and no cycle is ever found in it
    gc.set_threshold(GENERATION)
    return caller


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
    """Serves its spawner.

    What a child does before the handler's own first line is kept short, and done before the fork where that is
    possible: each page of memory that a child writes to, and be it the count of references to a constant, is copied
    for it alone, and costs it more than a system call does.
    """

    def __init__(self, link: socket.socket, serve: Serve, settings: Any, title: Title) -> None:
        self._link = link
        self._serve = serve
        self._service: str = settings["service"]
        self._error: str = settings["standard_error"]
        self._limits: Sequence[tuple[int, int, int]] = settings["limits"]
        self._waits: bool = settings["names"]
        self._null = os.dup(0)
        self._log = STANDARD_ERROR if self._error == "log" else BESIDE
        self._most_descriptors = os.sysconf("SC_OPEN_MAX")  # a bound for kernels without close_range(2)
        self._title = title
        self._pids: set[int] = set()
        self._is_busy = False  # forking or reaping: whoever is, looks at the next flag when he is done
        self._has_ended = False

    def obey(self) -> None:
        """Take one packet of the spawner's."""
        data, ancillary, _, _ = self._link.recvmsg(CALL_BYTES, _SPACE, _FLAGS)
        if not data:
            os._exit(0)
        request = marshal.loads(data)  # noqa: S302  of the spawner
        if request[0] == KILL:
            self._kill(*request[1:])
            return
        if request[0] == CALL:
            self._is_busy = True
            started = self._start(request, memoryview(ancillary[0][2]).cast("i").tolist())
            if started and self._waits:
                return
        self._reap()

    def _start(self, request: Any, descriptors: list[int]) -> bool:
        """Fork a child and answer; False: it could not be."""
        _, family, datagram, remote, local, changes, title = request
        for name, value in changes:
            if value is None:
                del os.environb[name]
            else:
                os.environb[name] = value
        connection = _HandedOver(family, remote, local, self._service, self._complain, datagram)
        try:
            pid = os.fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            self._live(connection, title, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._pids.add(pid)
        self._link.send(PID.pack(pid))
        return pid > 0

    def _kill(self, pid: int, number: int) -> None:
        """Signal the session that a child leads, or the child alone before it has become a leader."""
        for target in (-pid, pid) if pid in self._pids else ():
            try:
                os.kill(target, number)
            except ProcessLookupError:
                continue
            return

    def ended(self, *_: object) -> None:
        """SIGCHLD, at any moment: collected now, or when what goes on is done."""
        self._has_ended = True
        if not self._is_busy:
            self._reap()

    def _reap(self) -> None:
        """Collect every child that has ended, and tell."""
        self._has_ended = True
        while self._has_ended:
            self._is_busy, self._has_ended = True, False
            self._collect()
            self._is_busy = False

    def _collect(self) -> None:
        found = b""
        while self._pids:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid in self._pids:
                self._pids.discard(pid)
                cpu = usage.ru_utime + usage.ru_stime
                found += ENDED.pack(pid, status, cpu, usage.ru_maxrss)
        if found:
            self._link.send(found)

    # --- in the child ---

    def _live(self, connection: _HandedOver, title: str, sock: int, error: int) -> NoReturn:
        """The child's whole life."""
        status = EX_SOFTWARE
        try:
            self._place(sock, error)
            os.setsid()
            _signal.signal(_SIGCHLD, _DEFAULT)
            self._title.show(title)
            if self._limits:
                _limit(self._limits)
            status = run(self._serve, connection, self._complain)
        finally:
            os._exit(status)

    def _place(self, sock: int, error: int) -> None:
        """Set descriptors 0, 1 and 2, and that of the log; no other stays open."""
        os.dup2(sock, 0)
        os.dup2(sock, 1)
        if self._log == BESIDE:
            os.dup2(sock if self._error == "socket" else self._null, 2)
        os.dup2(error, self._log, self._log == STANDARD_ERROR)
        os.closerange(self._log + 1, self._most_descriptors)

    def _complain(self, text: str) -> None:
        data = f"{text}\n".encode("utf-8", "backslashreplace")
        try:
            while data:
                data = data[os.write(self._log, data) :]
        except BrokenPipeError:  # the spawner is gone, and a line of log is not worth a connection
            pass


class _HandedOver(Connection):
    """The connection on descriptor 0. What it has is made when it is asked for."""

    def __init__(
        self,
        family: int,
        remote: tuple[str, int, int, int, int],
        local: tuple[str, int],
        service: str,
        log: Callable[[str], object],
        datagram: bool,
    ) -> None:
        self.service = service
        self.datagram = datagram
        self._log = log
        self._family = family
        self._remote = remote
        self._local = local

    @functools.cached_property
    def peer(self) -> Address:  # type: ignore[override]  # an attribute there
        return Address(*self._remote)

    @functools.cached_property
    def local(self) -> Address:  # type: ignore[override]  # as above
        return Address(*self._local)

    @functools.cached_property
    def socket(self) -> socket.socket:  # type: ignore[override]  # an attribute there
        if self._family == socket.AF_UNIX:
            return socket.socket(fileno=0)  # a stream, or one of records: it is asked
        kind = socket.SOCK_DGRAM if self.datagram else socket.SOCK_STREAM
        return socket.socket(self._family, kind, 0, 0)


def _limit(limits: Sequence[tuple[int, int, int]]) -> None:
    import resource

    for number, soft, hard in limits:
        resource.setrlimit(number, (soft, hard))
