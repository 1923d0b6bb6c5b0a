"""One epoll for every descriptor of the hot path.

trio waits for the epoll itself, which is readable while anything in it is: one wake-up of trio serves all
listeners and links that are ready, and a thousand idle services cost a thousand entries in the kernel instead
of a thousand tasks.
"""

from __future__ import annotations

import errno
import select
import time
from collections.abc import Callable

import trio

LINGER_S = 0.001
"""After something happened, how long to wait for more before trio gets its turn …"""

TURN_S = 0.01
"""… and for how long at the most, if there is always more."""

NAP_S = 0.0003
"""How long a busy acceptor lets connections gather."""

FIRST_TRIAL_S, LAST_TRIAL_S = 0.05, 1.0
"""When a nap gathered nothing, how long until it is tried again: doubling from the first to the last."""

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
BOTH_EDGES = select.EPOLLIN | select.EPOLLPRI | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

THE_LAST = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
"""Of an edge: what can be read now is all that will ever come."""

CROWDED_S = 0.1
"""When what the kernel had no room to watch is tried again."""

_NO_ROOM = frozenset({errno.ENOSPC, errno.ENOMEM})


class Moderation:
    """Whether to let connections gather before taking them; pure.

    Waking up costs more than accepting, so a busy acceptor takes several connections at a time, as network
    cards moderate their interrupts. It finds out by trying: a nap after which several connections wait was
    worth it; after two that were not, it is awake at once for whoever comes next, and tries again later.
    """

    def __init__(self) -> None:
        self.napping = False
        self._misses = 0
        self._trial_s = FIRST_TRIAL_S
        self._next_trial = 0.0

    def took(self, connections: int, now: float) -> None:
        """Connections were taken at one waking; decides about the next."""
        if not self.napping:
            self.napping = now >= self._next_trial
            self._misses = 0
        elif connections > 1:
            self._misses = 0
            self._trial_s = FIRST_TRIAL_S
        else:
            self._misses += 1
            if self._misses > 1:
                self.napping = False
                self._next_trial = now + self._trial_s
                self._trial_s = min(LAST_TRIAL_S, 2 * self._trial_s)


class Poller:
    """Calls back when a descriptor is ready, level-triggered unless asked otherwise.

    The kernel watches so many descriptors for each user (max_user_watches, epoll(7)), and needs memory for it. What it
    has no room for waits here, and is tried again: whoever it belongs to is late, and nobody else.

    Args:
        crowded: told each time that there is no room.
    """

    def __init__(self, crowded: Callable[[OSError], None]) -> None:
        self._crowded = crowded
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._carriers: dict[int, Callable[[int], None]] = {}
        self._unfinished: list[Callable[[], None]] = []
        self._waiting: dict[int, int] = {}  # what there is no room to watch, and for what it is to be
        self._new: set[int] = set()  # watched since the present wake-up began: what it tells of them is stale
        self._moderation = Moderation()
        self.taken = 0  # connections accepted since it was last looked at

    def watch(self, descriptor: int, callback: Callable[[], None], *, edge: bool = False) -> None:
        """Call ``callback`` whenever ``descriptor`` is readable, or its other end is gone; with ``edge`` once for
        each arrival, whoever reads it."""
        self._register(descriptor, READ | select.EPOLLET if edge else READ)
        self._callbacks[descriptor] = callback

    def watch_edges(self, descriptor: int, callback: Callable[[int], None]) -> None:
        """Call ``callback`` with what is new of ``descriptor``, once for each change: it can be read (EPOLLIN) or
        written (EPOLLOUT), something is urgent (EPOLLPRI), its peer writes no more (EPOLLRDHUP), it is over (EPOLLHUP)
        or broken (EPOLLERR)."""
        self._register(descriptor, BOTH_EDGES)
        self._carriers[descriptor] = callback

    def _register(self, descriptor: int, events: int) -> None:
        try:
            self._epoll.register(descriptor, events)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self._waiting[descriptor] = events
            self._crowded(error)
        else:
            self._new.add(descriptor)

    def _register_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for descriptor, events in waiting.items():
            self._register(descriptor, events)

    def _modify(self, descriptor: int, events: int) -> None:
        if descriptor in self._waiting:
            self._waiting[descriptor] = events
        else:
            self._epoll.modify(descriptor, events)

    def hand_over(self, descriptor: int, callback: Callable[[int], None]) -> None:
        """Somebody else hears of the edges of ``descriptor`` from now on."""
        self._carriers[descriptor] = callback

    def go_on(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once all that is ready had its turn: whoever has more to do than is fair."""
        self._unfinished.append(callback)

    def watch_writing(self, descriptor: int, wanted: bool) -> None:
        """Call back for writing too (or no more)."""
        self._modify(descriptor, READ | WRITE if wanted else READ)

    def watch_ways(self, descriptor: int, *, reading: bool, writing: bool) -> None:
        """Call back when it can be read, written, or either; when its other end is gone, in any case."""
        self._modify(descriptor, (READ if reading else 0) | (WRITE if writing else 0))

    def forget(self, descriptor: int) -> None:
        """Stop watching; harmless when it was not watched. To be called before the descriptor is closed."""
        watched = self._callbacks.pop(descriptor, None) or self._carriers.pop(descriptor, None)
        if watched and self._waiting.pop(descriptor, None) is None:
            self._epoll.unregister(descriptor)

    async def run(self, after: Callable[[], None]) -> None:
        """Serve for ever; ``after`` runs at the end of each wake-up.

        A busy server stays here, waiting in the kernel a millisecond at a time, and pays for a turn of trio's
        scheduler every ten instead of with every connection.
        """
        while True:
            await self._something()
            turn_ends = time.monotonic() + TURN_S
            while (ready := self._epoll.poll(0 if self._unfinished else LINGER_S)) or self._unfinished:
                now = time.monotonic()
                self._call(ready)
                if self.taken:
                    self._moderate(now)
                if now >= turn_ends:
                    break
            after()

    async def _something(self) -> None:
        """Wait until there is something to do."""
        if self._unfinished:
            await trio.lowlevel.checkpoint()
        elif self._waiting:
            with trio.move_on_after(CROWDED_S):
                await trio.lowlevel.wait_readable(self._epoll.fileno())
            self._register_waiting()
        else:
            await trio.lowlevel.wait_readable(self._epoll.fileno())

    def _moderate(self, now: float) -> None:
        self._moderation.took(self.taken, now)
        self.taken = 0
        if self._moderation.napping:
            time.sleep(NAP_S)

    def _call(self, ready: list[tuple[int, int]]) -> None:
        new = self._new
        new.clear()
        for descriptor, events in ready:
            if descriptor in new:  # the number was another's when the kernel was asked
                continue
            callback = self._callbacks.get(descriptor)
            if callback is not None:  # an earlier callback of this wake-up may have forgotten it
                callback()
                continue
            carrier = self._carriers.get(descriptor)
            if carrier is not None:
                carrier(events)
        unfinished, self._unfinished = self._unfinished, []
        for callback in unfinished:
            callback()
