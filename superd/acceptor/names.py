"""Host names of the policy, looked up forward and kept fresh.

getaddrinfo(3) waits, so threads of their own do that: a few, so that names whose server does not answer hold up few
others. They are started before the acceptor takes from itself the right to start anything (main.py), and do nothing
until a service names a host.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterable

from attrs import define

from superd.acceptor.timers import Timer, Timers
from superd.log import EventName, Level, Logger
from superd.policy.networks import parse_address

REFRESH_S = 300.0
"""How long what was found is believed; getaddrinfo(3) does not tell how long it may be."""

RETRY_S = 30.0
"""When a name that could not be looked up is tried again; what was known of it holds until then."""

THREADS = 8
"""Names that are looked up at once. A name server that is away takes half a minute of a thread each time."""

Addresses = tuple[tuple[int, int], ...]
"""Version and value of each address, as ``policy.networks`` has them."""

Answer = Callable[[str, Addresses, str], None]
"""Given a name, its addresses, and what went wrong (then empty)."""


def look_up(name: str) -> Addresses:
    """Every address of a name, IPv4-mapped ones as IPv4.

    Raises:
        OSError: it cannot be looked up (socket.gaierror).
    """
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    addresses = (parse_address(str(entry[4][0])) for entry in found)
    return tuple(sorted(set(addresses)))


class Resolver:
    """Looks names up in threads, each name in the next one that is free.

    Args:
        look: finds the addresses of a name; raises OSError, or ValueError for what cannot be asked at all.
        threads: how many names at once.
    """

    def __init__(self, look: Callable[[str], Addresses] = look_up, threads: int = THREADS) -> None:
        self._look = look
        self._questions: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
        for _ in range(threads):
            threading.Thread(target=self._work, daemon=True, name="resolver").start()

    def ask(self, name: str, answer: Answer) -> None:
        """Look a name up; ``answer`` is called from a thread."""
        self._questions.put((name, answer))

    def _work(self) -> None:
        while True:
            name, answer = self._questions.get()
            try:
                addresses, failure = self._look(name), ""
            except (OSError, ValueError) as error:
                addresses, failure = (), getattr(error, "strerror", None) or str(error)
            answer(name, addresses, failure)


@define
class _Name:
    addresses: Addresses = ()
    failure: str = ""
    is_asked: bool = False
    timer: Timer | None = None


class Names:
    """Keeps every name that some service wants looked up.

    Args:
        ask: has a name looked up (``Resolver.ask``, its answer brought back into trio).
        wanted: every name that is wanted now.
        changed: told when something is known of a name for the first time, or something else than before.
    """

    def __init__(
        self,
        log: Logger,
        timers: Timers,
        ask: Callable[[str, Answer], None],
        wanted: Callable[[], Iterable[str]],
        changed: Callable[[str, Addresses], None],
    ) -> None:
        self._log = log
        self._timers = timers
        self._ask = ask
        self._wanted = wanted
        self._changed = changed
        self._names: dict[str, _Name] = {}

    def update(self) -> None:
        """Look up what is newly wanted, and forget what is not wanted any more."""
        wanted = frozenset(self._wanted())
        for name in [name for name in self._names if name not in wanted]:
            timer = self._names.pop(name).timer
            if timer is not None:
                timer.cancel()
        for name in wanted - self._names.keys():
            self._names[name] = _Name()
            self._ask(name, self.answered)

    def known(self, name: str) -> Addresses:
        """The addresses of a name; none while nothing is known of it."""
        found = self._names.get(name)
        return found.addresses if found is not None else ()

    def is_settled(self, names: Iterable[str]) -> bool:
        """Whether each of these names was looked up once, well or in vain."""
        return all(name in self._names and self._names[name].is_asked for name in names)

    def renew(self, name: str) -> None:
        """Look a name up now, unless that is under way."""
        entry = self._names.get(name)
        if entry is not None and entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
            self._ask(name, self.answered)

    def answered(self, name: str, addresses: Addresses, failure: str) -> None:
        """A name was looked up."""
        entry = self._names.get(name)
        if entry is None:
            return  # no longer wanted
        is_first, entry.is_asked = not entry.is_asked, True
        if failure and failure != entry.failure:
            kept = "; what was known holds" if entry.addresses else ""
            self._log.log(EventName.WARNING, Level.WARNING, f"cannot look up {name}: {failure}{kept}")
        is_new = not failure and addresses != entry.addresses
        entry.failure = failure
        if is_new:
            entry.addresses = addresses
        if entry.timer is not None:  # it was wanted, unwanted and wanted again meanwhile, so two answers come
            entry.timer.cancel()
        entry.timer = self._timers.after(
            RETRY_S if failure else REFRESH_S, lambda: self._ask(name, self.answered)
        )
        if is_new or is_first:
            self._changed(name, entry.addresses)
