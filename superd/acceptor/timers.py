"""Things to be done later: one heap, one task, whatever their number."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import trio


class Timer:
    """A call that is due once, unless cancelled."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


_FEW = 64
"""That many entries are never worth looking through."""


class Timers:
    """Calls functions when their time has come, on trio's clock.

    Cancelled ones are swept out when they may be half of all: a connection's ``runtime_max`` may be hours away
    when the connection ends after milliseconds. So memory follows the timers that live, at a constant cost each.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._changed = trio.Event()
        self._sweep_at = _FEW

    def __len__(self) -> int:
        return len(self._heap)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call ``call`` in ``seconds``."""
        timer = Timer(call)
        if len(self._heap) >= self._sweep_at:
            self._sweep()
        heapq.heappush(self._heap, (trio.current_time() + seconds, next(self._order), timer))
        if self._heap[0][2] is timer:
            self._changed.set()
        return timer

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].call is not None]
        heapq.heapify(self._heap)
        self._sweep_at = max(_FEW, 2 * len(self._heap))

    async def run(self, after: Callable[[], None]) -> None:
        """Serve for ever; ``after`` runs when calls were made."""
        while True:
            self._changed = trio.Event()
            due = self._heap[0][0] if self._heap else float("inf")
            with trio.move_on_at(due):
                await self._changed.wait()
            if self._call_due(trio.current_time()):
                after()

    def _call_due(self, now: float) -> bool:
        called = False
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            call, timer.call = timer.call, None
            if call is not None:
                call()
                called = True
        return called
