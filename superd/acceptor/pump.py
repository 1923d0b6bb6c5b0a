"""Two sockets joined: what comes from either goes to the other, each way by itself, until both ways have ended.

The poller tells of edges, so two sockets that are silent cost nothing, and none is asked whether there is more while
the other cannot take it.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable

import trio

from superd.acceptor.flow import Flow, Progress
from superd.acceptor.pipes import Pipes
from superd.acceptor.poller import Poller

CLIENT, BACKEND = "client", "backend"

_LINGER_0 = struct.pack("ii", 1, 0)

Over = Callable[[str, int], None]
"""Told which side broke the connection, and its errno; an empty word when both have ended as they should."""


class Pump:
    """Carries between a client and a backend.

    Args:
        client, backend: connected stream sockets that do not block. Both are the pump's from now on.
        over: called once, when nothing will move any more; ``close`` is then still to be called.

    Attributes:
        active_at: when something was to be done last, on trio's clock.
    """

    __slots__ = (
        "_backend_gone",
        "_client_gone",
        "_is_busy",
        "_over",
        "_pipes",
        "_poller",
        "active_at",
        "down",
        "up",
    )

    def __init__(
        self, client: socket.socket, backend: socket.socket, poller: Poller, pipes: Pipes, over: Over
    ) -> None:
        self.up = Flow(client, backend)
        self.down = Flow(backend, client)
        self._poller = poller
        self._pipes = pipes
        self._over: Over | None = over
        self._client_gone = self._backend_gone = False
        self.active_at = trio.current_time()
        self._is_busy = False  # on the poller's list of those who have more to do

    def start(self, events: int) -> None:
        """Begin; the poller knows the backend's socket from its connecting.

        Args:
            events: what it has told of the backend's socket already, and will not tell again.
        """
        self._poller.watch_edges(self.up.source.fileno(), self._client_told)
        self._poller.hand_over(self.down.source.fileno(), self._backend_told)
        self._backend_told(events)

    def close(self, *, reset: str = "") -> None:
        """Let go of both sockets.

        Args:
            reset: which side is to hear a reset instead of an end; the reset is lost on unix sockets.
        """
        self._over = None
        for side, flow in ((CLIENT, self.up), (BACKEND, self.down)):
            flow.abandon(self._pipes)
            self._poller.forget(flow.source.fileno())
            if side == reset and flow.source.family != socket.AF_UNIX:
                flow.source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self.up.source.close()
        self.down.source.close()

    def _client_told(self, events: int) -> None:
        self._client_gone = self._client_gone or bool(events & select.EPOLLHUP)
        self._told(self.up, self.down, events)

    def _backend_told(self, events: int) -> None:
        self._backend_gone = self._backend_gone or bool(events & select.EPOLLHUP)
        self._told(self.down, self.up, events)

    def _told(self, outward: Flow, inward: Flow, events: int) -> None:
        """One side has something to say: ``outward`` reads from it, ``inward`` writes to it."""
        self.active_at = trio.current_time()
        outward.source_told(events)
        inward.sink_told(events)
        if (
            events & select.EPOLLERR and outward.over
        ):  # nobody reads there any more, so nobody would hear of it
            error = outward.source.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error and not inward.over:
                inward.problem = error
                inward.abandon(self._pipes)
        if not self._is_busy:
            self._go()

    def _go(self) -> None:
        self._is_busy = False
        more_up = self._run(self.up, self.down, CLIENT, BACKEND)
        if self._over is None:
            return
        more_down = self._run(self.down, self.up, BACKEND, CLIENT)
        if self._over is None:
            return
        if self.up.over and self._client_gone and not self.down.over:
            self.down.abandon(self._pipes)
        if self.down.over and self._backend_gone and not self.up.over:
            self.up.abandon(self._pipes)
        if self.up.over and self.down.over:
            self._end()
        elif more_up or more_down:
            self._is_busy = True
            self._poller.go_on(self._go_on)

    def _go_on(self) -> None:
        if self._over is not None:
            self.active_at = trio.current_time()
            self._go()

    def _run(self, flow: Flow, other: Flow, source: str, sink: str) -> bool:
        """Let one way move; True when it has more to do."""
        if flow.over:
            return False
        progress = flow.run(self._pipes)
        if progress is Progress.SOURCE_BROKE:
            self._break(source, flow.problem)
        elif progress is Progress.SINK_BROKE:
            # It reads no more, but what it wrote before that is still to be read, and to be passed on.
            flow.abandon(self._pipes)
            other.source_told(select.EPOLLHUP)
            return not other.over
        return progress is Progress.HAS_MORE

    def _break(self, side: str, error: int) -> None:
        over, self._over = self._over, None
        if over is not None:
            over(side, error)

    def _end(self) -> None:
        """Both ways are over; the one that could not be written to its end has a problem."""
        if self.up.problem:
            self._break(BACKEND, self.up.problem)
        elif self.down.problem:
            self._break(CLIENT, self.down.problem)
        else:
            self._break("", 0)
