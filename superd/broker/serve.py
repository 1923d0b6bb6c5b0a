"""The broker at work: connections in, questions to the master, and what is decided to the workers.

Here everything of a stranger is only passed around: ``workers.py`` says why. All that he can have at once is bounded,
and so is how often he asks and how much of the log he fills.
"""

from __future__ import annotations

import errno
import itertools
import os
import select
import socket
from collections import Counter
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from superd.broker import requests
from superd.broker.journal import Journal
from superd.broker.listing import listing
from superd.broker.requests import BindRequest, Client, ListRequest, RequestError
from superd.broker.workers import CLOSER, Workers
from superd.kernel.peers import credentials
from superd.log import Sink, SinkKind
from superd.policy.buckets import Bucket, SourceBuckets
from superd.policy.grants import Grant, GrantDecision, Refusal, Who, decide
from superd.policy.rules import NS_PER_S, Rate
from superd.wire.fds import Link, Received, close_all
from superd.wire.grants import GrantsUp, Program, ProgramWanted

PATIENCE_NS = 5 * NS_PER_S
"""For who has connected and says nothing."""

MOST_SILENT, MOST_AT_WORK = 16, 64
"""Connections of one user: such as say nothing yet, the oldest of which makes room, and such as are being served."""

MOST_ACCEPTED = 64
"""In one turn."""

RATE, BURST = Rate(1000, NS_PER_S), 1000
"""Of requests of one user."""

_MOST_USERS = 4096
_TICK_S, _WATCH_S = 1.0, 0.1


class Broker:
    """One broker's life.

    Args:
        link: to the master.
        clock: wall clock for the log, seconds since the epoch.
        now_ns: a clock that only goes forward.
    """

    def __init__(self, link: Link, clock: Callable[[], float], now_ns: Callable[[], int]) -> None:
        self._link = link
        self._now = now_ns
        self._journal = Journal(clock, now_ns)
        self._grants: tuple[Grant, ...] = ()
        self._listener: socket.socket | None = None
        self._silent: dict[int, Client] = {}  # by descriptor, the oldest first
        self._at_work: Counter[int] = Counter()
        self._asked: dict[int, tuple[Client, BindRequest]] = {}
        self._numbers = itertools.count(1)
        self._buckets = SourceBuckets(Bucket(RATE, BURST), _MOST_USERS)
        self._workers = Workers()
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._wakeup = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll = select.epoll()
        self._epoll.register(link.fileno(), select.EPOLLIN)
        self._epoll.register(self._wakeup, select.EPOLLIN)

    def serve(self) -> None:
        """Serve until the master is gone."""
        while True:
            for descriptor, _ in self._epoll.poll(self._timeout()):
                if descriptor == self._link.fileno():
                    if not self._hear():
                        return
                elif descriptor == self._wakeup:
                    self._do_calls()
                elif self._listener is not None and descriptor == self._listener.fileno():
                    self._accept(self._listener)
                elif descriptor in self._silent:
                    self._begin(self._forget(descriptor))
            self._tend()

    def _timeout(self) -> float | None:
        if self._workers.busy or self._link.wants_write:
            return _WATCH_S
        return _TICK_S if self._silent or self._journal.pending else None

    def _tend(self) -> None:
        late = self._now() - PATIENCE_NS
        for descriptor, client in list(self._silent.items()):
            if client.since > late:
                break
            self._dispose(self._forget(descriptor))
        if self._workers.busy:
            self._workers.nudge()
        self._link.flush()
        self._journal.flush()

    # --- the master ---

    def _hear(self) -> bool:
        """Take the master's orders; False when it is gone."""
        try:
            self._link.flush()
            for received in self._link.receive():
                self._obey(received)
        except (EOFError, OSError):
            return False
        return True

    def _obey(self, received: Received) -> None:
        message = received.message
        if isinstance(message, GrantsUp):
            self._take_over(message, received.descriptors)
        elif isinstance(message, Program):
            close_all(received.descriptors)
            client, request = self._asked.pop(message.number)
            self._judge(client, request, message)

    def _take_over(self, message: GrantsUp, descriptors: list[int]) -> None:
        """New grants, or a new place to listen or to log."""
        listening, log = descriptors
        self._grants = message.grants
        sink = Sink(SinkKind(message.log_kind), log, message.log_format, message.syslog_facility)
        self._journal.replace_sink(sink)
        if self._listener is not None:
            self._epoll.unregister(self._listener.fileno())
            self._workers.submit(CLOSER, self._listener.close)  # with all that waits in it
        self._listener = socket.socket(fileno=listening)
        self._listener.setblocking(False)
        self._epoll.register(listening, select.EPOLLIN)

    # --- clients ---

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(MOST_ACCEPTED):
            try:
                link, _address = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._drop_oldest()
                return
            link.setblocking(False)
            pid, uid, gids = credentials(link)
            client = Client(link, pid, uid, gids, self._now())
            own = [fd for fd, other in self._silent.items() if other.uid == uid]
            if len(own) >= MOST_SILENT:
                self._dispose(self._forget(own[0]))
            self._silent[link.fileno()] = client
            self._epoll.register(link.fileno(), select.EPOLLIN)

    def _drop_oldest(self) -> None:
        for descriptor in list(self._silent)[:1]:
            self._dispose(self._forget(descriptor))

    def _forget(self, descriptor: int) -> Client:
        self._epoll.unregister(descriptor)
        return self._silent.pop(descriptor)

    def _dispose(self, client: Client) -> None:
        """Hang up without having read anything."""
        self._workers.submit(CLOSER, client.close)

    def _begin(self, client: Client) -> None:
        """He has said something: have it read."""
        now = self._now()
        if self._at_work[client.uid] >= MOST_AT_WORK or not self._buckets.admits(client.uid, now):
            self._dispose(client)
            return
        self._buckets.take(client.uid, now)
        self._at_work[client.uid] += 1
        self._work(client, partial(self._take, client))

    def _work(self, client: Client, task: Callable[[], None]) -> None:
        if not self._workers.submit(client.uid, task):
            self._dispose(client)
            self._done(client)

    def _done(self, client: Client) -> None:
        self._at_work[client.uid] -= 1
        if not self._at_work[client.uid]:
            del self._at_work[client.uid]

    # --- by workers ---

    def _later(self, call: Callable[[], None]) -> None:
        """Have the broker itself do something."""
        self._calls.put(call)
        os.eventfd_write(self._wakeup, 1)

    def _take(self, client: Client) -> None:
        try:
            request = requests.take(client)
        except RequestError as error:
            self._later(partial(self._journal.malformed, client, str(error)))
            self._answer(client, error.number, str(error))
            return
        if isinstance(request, ListRequest):
            self._answer(client, 0, listing(self._grants, client.uid, client.gids))
        else:
            self._later(partial(self._ask, client, request))

    def _carry_out(
        self, client: Client, request: BindRequest, program: Program, decision: GrantDecision
    ) -> None:
        number = requests.carry_out(client, request)
        self._later(partial(self._journal.granted, client, request, program, decision, number))
        self._answer(client, number, os.strerror(number) if number else "")

    def _answer(self, client: Client, number: int, words: str) -> None:
        client.answer(number, words)
        self._later(partial(self._done, client))

    # --- decisions ---

    def _do_calls(self) -> None:
        os.eventfd_read(self._wakeup)
        while not self._calls.empty():
            self._calls.get()()

    def _ask(self, client: Client, request: BindRequest) -> None:
        number = next(self._numbers)
        self._asked[number] = client, request
        self._link.post(ProgramWanted(number, client.uid), [client.descriptors[1]])

    def _judge(self, client: Client, request: BindRequest, program: Program) -> None:
        """The program is known: grant it or not."""
        decision = GrantDecision("", Refusal.PROCESS)
        if not program.stranger:
            decision = decide(self._grants, Who(client.uid, client.gids, program.path), request.wish)
        if decision.granted:
            self._work(client, partial(self._carry_out, client, request, program, decision))
            return
        words = self._journal.denied(client, request, program, decision)
        self._work(client, partial(self._answer, client, errno.EACCES, words))
