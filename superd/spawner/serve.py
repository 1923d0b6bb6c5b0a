"""The spawner's loop: connections in, children out, and word of their end back. It decides nothing."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from superd.config.model import Service, StandardError
from superd.errors import WireError
from superd.kernel import linux
from superd.kernel.namespaces import OuterPids
from superd.spawner.children import Children
from superd.spawner.descriptors import DescriptorBudget
from superd.spawner.ending import Adoption, end_instances, kill_group, outlive
from superd.spawner.handlers import Caller
from superd.spawner.output import Outputs
from superd.spawner.plan import listen_environment, listen_names
from superd.spawner.starting import Program, Starter
from superd.wire.codec import Direction
from superd.wire.fds import Link, close_all, receive_packet
from superd.wire.messages import (
    EPOCH_SHIFT,
    MAX_BATCH,
    Connections,
    Hello,
    Kill,
    Known,
    Peer,
    Ping,
    Pong,
    Retire,
    StartInstance,
    Told,
    Welcome,
)
from superd.wire.table import Role

RETRY_S = 0.1
"""After fork, pipe or memory failed for want of a resource, that long until the next try."""

GIVE_UP_S = 30.0
"""A connection that could not be started for that long is closed and reported."""

GATHER_MS = 1
"""How long ended children wait for others to be reaped with them, unless work comes first."""

READS = 2
"""Reads of one pipe in one turn: what a full one holds, and its end. A child that never stops writing must not keep
the spawner from everything else."""

WORK_BYTES = 4096 + 64
"""The longest packet of connections."""

SCARCE = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})
"""What passes when others have ended; everything else is an answer."""

_FROM_ACCEPTOR = Direction.of(Role.ACCEPTOR, Role.SPAWNER)


class Spawner:
    """Serves one service until the master retires it or is gone."""

    def __init__(
        self,
        service: Service,
        environment: dict[bytes, bytes],
        master: Link,
        own: socket.socket,
        work: socket.socket,
        listeners: Sequence[socket.socket],
        adoption: Adoption | None = None,
        pids: OuterPids | None = None,
        caller: Caller | None = None,
    ) -> None:
        self.service = service
        self.is_instance = service.has_instance
        self.environment = environment
        self.master = master
        self.own = Link(own, Role.SPAWNER, Role.ACCEPTOR)
        self.work = work
        self.listeners = listeners
        self.adoption = adoption
        self.is_init = pids is not None
        self.children = Children(adoption.strays if adoption else None, pids, caller.pid if caller else 0)
        self.outputs = Outputs()
        self.waiting: deque[tuple[int, Peer, int, float]] = deque()  # id, peer, descriptor, since
        self.retry_at = 0.0
        self.epoch = 0  # of the acceptor that said Hello last
        self.retiring = False
        self.budget = DescriptorBudget()
        self.null = os.dup(0)  # which is /dev/null; a root_directory need not hold one
        self.caller = caller
        self.starter: Starter = caller or Program(service, environment, self.budget)
        self.epoll = select.epoll()
        self.parent = os.getppid()
        self.writing = False  # whether the epoll waits for the own link to take more
        self.work_alone = select.poll()
        self.work_alone.register(work, select.POLLIN)
        self._handlers: dict[int, Callable[[], None]] = {}

    def run(self) -> None:
        """Serve; returns when there is nothing left to do."""
        signals = linux.signalfd((signal.SIGCHLD, signal.SIGTERM))
        self._watch(signals, lambda: self._signalled(signals))
        self._watch(self.master.fileno(), self._from_master)
        self._watch(self.own.fileno(), self._from_acceptor)
        if self.caller is not None:
            self._watch(self.caller.fileno(), self._from_caller)
        if not self.is_instance:
            self._handlers[self.work.fileno()] = self._take_work
            # of several spawners that wait there, one is woken: one that is not busy
            self.epoll.register(self.work.fileno(), select.EPOLLIN | select.EPOLLEXCLUSIVE)
        while not (self.retiring and self._is_done()):
            self._turn()

    def _is_done(self) -> bool:
        """Whether nothing is left to look after."""
        settled = self.children.settled and not (self.waiting or self.outputs)
        return settled and not (self.adoption and self.adoption.due(self.children) is not None)

    def _turn(self) -> None:
        for descriptor, _ in self.epoll.poll(self._timeout()):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                handler()
            elif descriptor in self.outputs:
                self._read_output(descriptor)
        now = time.monotonic()
        if self.waiting and now >= self.retry_at:
            self._start_waiting()
        if self.caller is not None and self.caller.has_news:
            self._from_caller()
        for descriptor in self.outputs.grown(now):
            self.epoll.register(descriptor, select.EPOLLIN)
        if self.adoption:
            self.adoption.tend(self.children, now)
        due = self.children.due
        if due is not None and (due <= now or self.is_instance):
            self._send_reports()

    def _timeout(self) -> float | None:
        """Seconds until something is due, None when nothing is."""
        dues = [self.children.due, self.outputs.next_grown(), self.retry_at if self.waiting else None]
        if self.adoption:
            dues.append(self.adoption.due(self.children))
        known = [due for due in dues if due is not None]
        return max(0.0, min(known) - time.monotonic()) if known else None

    def _watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        self._handlers[descriptor] = handler
        self.epoll.register(descriptor, select.EPOLLIN)

    # --- what wakes it ---

    def _signalled(self, signals: int) -> None:
        """A child ended, or the master did (PDEATHSIG); a SIGTERM of anybody else means nothing."""
        if not self.is_instance:
            self.work_alone.poll(GATHER_MS)
        numbers = linux.read_signals(signals)
        self._read_last_words(self.children.reap(time.monotonic()))
        if signal.SIGTERM in numbers and os.getppid() != self.parent:
            self._abandon()

    def _read_last_words(self, ended: Iterable[int]) -> None:
        """What children that ended had written."""
        for pid in ended:
            pipe = self.outputs.ended(pid)
            if pipe is not None and not self._read_output(pipe):
                self.epoll.register(pipe, select.EPOLLIN)  # a descendant of the child has it open

    def _from_caller(self) -> None:
        """Children that the caller forked have ended."""
        assert self.caller is not None  # noqa: S101  who else
        now, ended = time.monotonic(), self.caller.ended()
        for pid, status, cpu, peak_kib in ended:
            self.children.ended(pid, status, cpu, peak_kib * 1024, now)
        self._read_last_words(pid for pid, *_ in ended)

    def _from_master(self) -> None:
        try:
            for received in self.master.receive():
                if isinstance(received.message, Retire):
                    self._retire()
        except (EOFError, OSError, WireError):
            self._abandon()

    def _retire(self) -> None:
        """Take no more work: what still waits on the shared end is the next spawner's."""
        if not self.retiring:
            self.retiring = True
            if self._handlers.pop(self.work.fileno(), None) is not None:
                self.epoll.unregister(self.work.fileno())

    def _abandon(self) -> None:
        """The master is gone. Connections go on without us; instances would hold their ports for nobody."""
        if self.is_instance:
            end_instances(self.children, self.service)
        elif self.is_init:  # its end would be theirs
            outlive(self.children, self.service)
        os._exit(0)

    def _from_acceptor(self) -> None:
        try:
            if self.writing:
                self.own.flush()
                self._watch_writing()
            for received in self.own.receive():
                close_all(received.descriptors)
                self._obey(received.message)
        except EOFError:
            self._abandon()  # the master holds the other end too, so it is gone as well
        except (OSError, WireError):
            os._exit(1)  # a mad acceptor: the master replaces us, children go on

    def _obey(self, message: object) -> None:
        match message:
            case Ping(number, logged):
                self.children.logged(logged)
                self._say(Pong(number))
            case StartInstance(id_, listener):
                self._start_instance(id_, listener)
            case Kill(id_, number):
                self._kill(id_, number)
            case Hello(epoch):
                self.own.discard()
                known, reports = self.children.replay()
                for answer in (Welcome(epoch), *known, *reports, Told()):
                    self._say(answer)
                self.epoch = epoch
                self._name_strangers([(id_, peer) for id_, peer, _, _ in self.waiting])

    def _name_strangers(self, batch: Sequence[tuple[int, Peer]]) -> None:
        """Connections that an earlier acceptor sent: the present one must hear whose they are before they start."""
        strangers = [(id_, peer) for id_, peer in batch if self.epoch and id_ >> EPOCH_SHIFT != self.epoch]
        for cut in range(0, len(strangers), MAX_BATCH):
            self._say(Known(tuple(strangers[cut : cut + MAX_BATCH])))

    def _say(self, message: object) -> None:
        self.own.post(message)
        self._watch_writing()

    def _watch_writing(self) -> None:
        if self.own.wants_write != self.writing:
            self.writing = self.own.wants_write
            self.epoll.modify(self.own.fileno(), select.EPOLLIN | (select.EPOLLOUT if self.writing else 0))

    def _send_reports(self) -> None:
        for report in self.children.reports():
            self._say(report)

    def _read_output(self, descriptor: int) -> bool:
        """Pass on what a child wrote; True at the end of its pipe."""
        ended, messages = False, []
        for _ in range(READS):
            found, ended = self.outputs.read(descriptor, time.monotonic())
            messages += found
            if ended or not found:
                break
        if messages:
            self._send_reports()  # first that it started, then what it wrote
        for message in messages:
            if not self.own.wants_write:  # an acceptor that does not read: lines are lost, reports are not
                self._say(message)
        return ended

    def _kill(self, id_: int, number: int) -> None:
        child = self.children.find(id_)
        if child is None:
            return
        if self.caller is not None:
            self.caller.kill(child.pid, number)
        else:
            kill_group(child.pid, number)

    # --- starting children ---

    def _take_work(self) -> None:
        """One packet of connections. Descriptors are taken and pipes made with the limit lifted if need be."""
        try:
            payload, descriptors = self._receive_work()
        except BlockingIOError:
            return
        except (EOFError, OSError, WireError):
            self._retire()
            return
        try:
            message: Connections = _FROM_ACCEPTOR.decode(payload[1:], len(descriptors))
        except WireError:
            close_all(descriptors)
            os._exit(1)
        self.budget.seen(descriptors)
        self._name_strangers(message.batch)
        now = time.monotonic()
        for (id_, peer), descriptor in zip(message.batch, descriptors, strict=True):
            self.waiting.append((id_, peer, descriptor, now))
        if len(self.waiting) == len(descriptors):
            self._start_waiting()

    def _receive_work(self) -> tuple[bytes, list[int]]:
        if not self.budget.crowded:
            return receive_packet(self.work, WORK_BYTES)
        with self.budget.lifted():
            return receive_packet(self.work, WORK_BYTES)

    def _start_waiting(self) -> None:
        """Start what waits, in order, until something is scarce."""
        while self.waiting:
            id_, peer, descriptor, since = self.waiting[0]
            now = time.monotonic()
            try:
                self._start(id_, peer, descriptor, now)
            except OSError as error:
                if error.errno in SCARCE and now - since < GIVE_UP_S:
                    self.retry_at = now + RETRY_S
                    return
                self.children.failed(id_, error.errno or errno.EIO, now)
            self.waiting.popleft()
            os.close(descriptor)

    def _start(self, id_: int, peer: Peer, descriptor: int, now: float) -> None:
        self._with_standard_error(
            id_, descriptor, lambda error: self.starter.start(descriptor, error, peer), now, peer
        )

    def _with_standard_error(
        self, id_: int, sock: int, start: Callable[[int], int], now: float, peer: Peer | None = None
    ) -> None:
        kind = self.service.standard_error
        if kind is not StandardError.LOG and not self.starter.always_logs:
            self.children.started(id_, start(sock if kind is StandardError.SOCKET else self.null), now, peer)
            return
        reader, writer = self._pipe()
        try:
            pid = start(writer)
        except OSError:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        self.outputs.add(reader, id_, pid, self.children.started(id_, pid, now, peer), now)
        if self.is_init and self.caller is not None:
            self.caller.named()

    def _pipe(self) -> tuple[int, int]:
        if not self.budget.crowded:
            return os.pipe2(os.O_CLOEXEC)
        with self.budget.lifted():
            return os.pipe2(os.O_CLOEXEC)

    def _start_instance(self, id_: int, listener: int) -> None:
        """The one program of the service: a backend, which listens by itself, or one that owns the listeners."""
        now = time.monotonic()
        is_backend = self.service.forward is not None
        if not is_backend and not 0 <= listener < len(self.listeners):
            self.children.failed(id_, errno.EINVAL, now)
            return
        first = self.null if is_backend else self.listeners[listener].fileno()
        environment = self._backends_environment if is_backend else self._owners_environment

        def start(error: int) -> int:
            for sock in self.listeners:
                sock.setblocking(True)  # of a service that was nowait they are not
            descriptors = (first, first, error, *(sock.fileno() for sock in self.listeners))
            return self.starter.start_instance(descriptors, environment)

        try:
            self._with_standard_error(id_, first, start, now)
        except OSError as error:
            self.children.failed(id_, error.errno or errno.EIO, now)

    def _backends_environment(self, _: int) -> dict[bytes, bytes]:
        return self.environment

    def _owners_environment(self, pid: int) -> dict[bytes, bytes]:
        """All listeners are there from 3 on, the one that became readable as 0 and 1."""
        names = listen_names(self.service, len(self.listeners))
        return {**self.environment, **listen_environment(names, pid)}
