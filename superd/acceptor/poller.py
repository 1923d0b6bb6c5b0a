"""One epoll for every descriptor of the hot path.

trio waits for the epoll itself, which is readable while anything in it is: one wake-up of trio serves all
listeners and links that are ready, and a thousand idle services cost a thousand entries in the kernel instead
of a thousand tasks.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable

import trio

LINGER_S = 0.001
"""After something happened, how long to wait for more before trio gets its turn …"""

TURN_S = 0.01
"""… and for how long at the most, if there is always more."""

NAP_S = 0.001
"""How long a busy acceptor lets connections gather."""

FIRST_TRIAL_S, LAST_TRIAL_S = 0.05, 1.0
"""When a nap gathered nothing, how long until it is tried again: doubling from the first to the last."""

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


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
    """Calls back when a descriptor is ready, level-triggered unless asked otherwise."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._moderation = Moderation()
        self.taken = 0  # connections accepted since it was last looked at

    def watch(self, descriptor: int, callback: Callable[[], None], *, edge: bool = False) -> None:
        """Call ``callback`` whenever ``descriptor`` is readable, or its other end is gone; with ``edge`` once for
        each arrival, whoever reads it."""
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, READ | select.EPOLLET if edge else READ)

    def watch_writing(self, descriptor: int, wanted: bool) -> None:
        """Call back for writing too (or no more)."""
        self._epoll.modify(descriptor, READ | WRITE if wanted else READ)

    def watch_ways(self, descriptor: int, *, reading: bool, writing: bool) -> None:
        """Call back when it can be read, written, or either; when its other end is gone, in any case."""
        self._epoll.modify(descriptor, (READ if reading else 0) | (WRITE if writing else 0))

    def forget(self, descriptor: int) -> None:
        """Stop watching; harmless when it was not watched. To be called before the descriptor is closed."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    async def run(self, after: Callable[[], None]) -> None:
        """Serve for ever; ``after`` runs at the end of each wake-up.

        A busy server stays here, waiting in the kernel a millisecond at a time, and pays for a turn of trio's
        scheduler every ten instead of with every connection.
        """
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            turn_ends = time.monotonic() + TURN_S
            while (ready := self._epoll.poll(LINGER_S)) and (now := time.monotonic()) < turn_ends:
                self._call(ready)
                if self.taken:
                    self._moderation.took(self.taken, now)
                    self.taken = 0
                    if self._moderation.napping:
                        time.sleep(NAP_S)
            self._call(ready)
            after()

    def _call(self, ready: list[tuple[int, int]]) -> None:
        for descriptor, _ in ready:
            callback = self._callbacks.get(descriptor)
            if callback is not None:  # an earlier callback of this wake-up may have forgotten it
                callback()
