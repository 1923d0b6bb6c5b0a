"""The master's event loop: descriptors, timers and signals, on the standard library alone."""

from __future__ import annotations

import heapq
import itertools
import os
import select
import signal
import time
from collections.abc import Callable, Iterable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT


class Timer:
    """A call that is due once, unless cancelled."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    """Calls back for what happens, one thing at a time, until ``stop``."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._signals: dict[int, Callable[[], object]] = {}
        self._running = True
        self._wakeup, self._wakeup_writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.watch(self._wakeup, self._signalled)

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, READ)

    def watch_writing(self, descriptor: int, wanted: bool) -> None:
        """Call back when it can be written, and no more when it can be read, until that is not wanted any longer."""
        if descriptor in self._callbacks:
            self._epoll.modify(descriptor, WRITE if wanted else READ)

    def forget(self, descriptor: int) -> None:
        """Stop watching; harmless when it was not watched. To be called before the descriptor is closed."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def on_signals(self, handlers: Iterable[tuple[int, Callable[[], object]]]) -> None:
        """Call a function in the loop for each signal; a signal that comes twice before that counts once."""
        self._signals = dict(handlers)
        signal.set_wakeup_fd(self._wakeup_writer, warn_on_full_buffer=False)
        for number in self._signals:
            signal.signal(number, _ignore)

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        while self._running:
            for descriptor, _ in self._epoll.poll(self._timeout()):
                callback = self._callbacks.get(descriptor)
                if callback is not None:
                    callback()
            self._call_due()

    def _timeout(self) -> float | None:
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _call_due(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heapq.heappop(self._timers)[2]
            call, timer.call = timer.call, None
            if call is not None:
                call()

    def _signalled(self) -> None:
        for number in sorted(set(os.read(self._wakeup, 4096))):
            handler = self._signals.get(number)
            if handler is not None:
                handler()


def _ignore(_number: int, _frame: object) -> None:
    """The wakeup descriptor tells the loop; the handler only keeps the signal from ending the process."""
