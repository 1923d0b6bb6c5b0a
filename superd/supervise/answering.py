"""Answers to bind: the kernel's own for ordinary ports, the broker's for those below 1024.

The address is read once, and it is that copy which the broker gets, with a copy of the socket. So a thread that changes
the address meanwhile changes nothing. Where the kernel is left to answer, it reads the address again itself and judges
it as it would without us: an ordinary process gets no privileged port that way.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable
from typing import NamedTuple

from superd import bind
from superd.kernel import notification
from superd.kernel.notification import Machine, Notice
from superd.supervise.levels import Levels

_LONGEST = 28  # sizeof(struct sockaddr_in6), include/uapi/linux/in6.h
_SHORTEST: dict[int, int] = {
    socket.AF_INET: 16,
    socket.AF_INET6: 24,
}  # what the kernel takes, SIN6_LEN_RFC2133
_LEFT_TO_KERNEL = {
    errno.ENOTSOCK,
    errno.EOPNOTSUPP,
    errno.EAFNOSUPPORT,
    errno.EINVAL,
    errno.EPROTO,
}
"""What the broker says of sockets that are none of its business."""

_AT_RANDOM, _AT_RANDOM_BYTES = 25, 16  # include/uapi/linux/auxvec.h
_AUXILIARY = struct.Struct("=QQ")

MOST_AT_ONCE = 64
"""Calls that wait for the broker at the same time; more are received when one of these is answered."""


class Address(NamedTuple):
    """Where something is to be bound."""

    family: int
    host: str
    port: int
    scope: int

    @property
    def python(self) -> tuple[str | int, ...]:
        """As Python's sockets have it."""
        if self.family == socket.AF_INET:
            return self.host, self.port
        return self.host, self.port, 0, self.scope


def parse_address(raw: bytes) -> Address | None:
    """What a sockaddr says; None when it is not of the internet, or too short."""
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family not in _SHORTEST or len(raw) < _SHORTEST[family]:
        return None
    port = int.from_bytes(raw[2:4])
    if family == socket.AF_INET:
        return Address(family, socket.inet_ntop(family, raw[4:8]), port, 0)
    scope = struct.unpack("=I", raw[24:28])[0] if len(raw) >= _LONGEST else 0
    return Address(family, socket.inet_ntop(family, raw[8:24]), port, scope)


class Answering:
    """Answers the calls that come to a listener.

    Args:
        machine: this architecture.
        listener: of the filter.
        killable: a call that was received is interrupted only by death.
        depth: the last level that may bind what is granted; 0 for all.
        first: the process that executes the first program.
        complain: says something to the user, once.
    """

    def __init__(
        self,
        machine: Machine,
        listener: int,
        killable: bool,
        depth: int,
        first: int,
        complain: Callable[[str], None],
    ) -> None:
        self._machine = machine
        self._listener = listener
        self._killable = killable
        self._depth = depth
        self._complain = complain
        self._start = _unprivileged_port_start()
        self._levels = Levels(self._image_of)
        if depth:
            self._levels.first(first)
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)

    def answer_next(self) -> None:
        """Receive one call and see to its answer."""
        try:
            notice = notification.receive(self._listener)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINTR):
                raise
            return
        if notice.number != self._machine.bind:
            self._levels.announce(_process_of(notice.tid))
            self._respond(notice, None)
            return
        address = self._privileged_address(notice)
        if address is None:
            self._respond(notice, None)
            return
        self._slots.acquire()
        threading.Thread(target=self._bind, args=(notice, address), daemon=True).start()

    def finish(self) -> None:
        """Wait for what is under way."""
        for _ in range(MOST_AT_ONCE):
            self._slots.acquire()
        for _ in range(MOST_AT_ONCE):
            self._slots.release()

    def _respond(self, notice: Notice, error: int | None) -> None:
        notification.respond(self._listener, notice, error)

    def _privileged_address(self, notice: Notice) -> Address | None:
        """The address, when it is one that the kernel alone would refuse."""
        length = notice.arguments[2] & 0xFFFFFFFF
        if not notice.tid or not 2 <= length <= 128:
            return None
        try:
            raw = notification.process_vm_readv(notice.tid, notice.arguments[1], min(length, _LONGEST))
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                self._complain(
                    "a program that may not be looked into (PR_SET_DUMPABLE) binds by itself alone"
                )
            return None
        address = parse_address(raw)
        if address is None or not 0 < address.port < self._start:
            return None
        return address if not self._depth or self._levels.of(_process_of(notice.tid)) <= self._depth else None

    def _bind(self, notice: Notice, address: Address) -> None:
        try:
            self._respond(notice, self._ask(notice, address))
        finally:
            self._slots.release()

    def _ask(self, notice: Notice, address: Address) -> int | None:
        """The errno for a privileged address; None leaves it to the kernel.

        The thread id and what was read with it are the waiting thread's own if it waits still when all is in hand.
        """
        try:
            pidfd = notification.open_thread(notice.tid)
        except OSError:
            return None
        try:
            copy = notification.pidfd_getfd(pidfd, notice.arguments[0] & 0xFFFFFFFF)
        except OSError as error:
            if error.errno == errno.EPERM:
                self._complain(
                    "its sockets cannot be reached: the program may not be looked into, or Yama forbids it"
                )
            os.close(pidfd)
            return None
        try:
            if not notification.is_waiting(self._listener, notice):
                return None
            return self._ask_broker(copy, pidfd, address)
        finally:
            os.close(copy)
            os.close(pidfd)

    def _ask_broker(self, copy: int, pidfd: int, address: Address) -> int | None:
        try:
            sock = socket.socket(fileno=copy)
        except OSError:
            return None
        try:
            if sock.family != address.family:
                return None
            if not self._killable and sock.getsockname()[:2] == address.python[:2]:
                return 0  # a signal had it asked again after it was bound
            bind.bind(sock, address.python, pidfd=pidfd)
        except bind.BrokerError as error:
            self._complain(f"{error.filename}: {error.strerror}; is superd running, with [[grants]]?")
            return None
        except OSError as error:
            if error.errno == errno.EACCES:
                self._complain(f"{error.strerror}")
            return None if error.errno in _LEFT_TO_KERNEL else error.errno
        finally:
            sock.detach()
        return 0

    def _image_of(self, pid: int) -> bytes:
        """The 16 random bytes of the program that a process runs."""
        try:
            with open(f"/proc/{pid}/auxv", "rb") as file:
                content = file.read()
            whole = content[: len(content) - len(content) % _AUXILIARY.size]
            place = dict(_AUXILIARY.iter_unpack(whole)).get(_AT_RANDOM, 0)
            return notification.process_vm_readv(pid, place, _AT_RANDOM_BYTES)
        except OSError:
            return b""


def _process_of(tid: int) -> int:
    """The process of a thread; the thread itself when it is gone."""
    try:
        with open(f"/proc/{tid}/status", encoding="utf-8", errors="replace") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("Tgid:")), tid)
    except OSError:
        return tid


def _unprivileged_port_start() -> int:
    """The first port that needs no privilege: ip_sysctl(7)."""
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            return int(file.read())
    except OSError:
        return 1024
