"""PROXY headers: read off a connection before anything else knows of it, and not a byte more.

The header is looked at in the kernel's buffer (MSG_PEEK) until it is whole, then exactly its bytes are taken. The
kernel tells of each arrival once (edge-triggered), so a header that comes in drops costs a look for each drop.

Those that wait may take half of their service's room. Past that, who has waited longest of the source that has most
waiting makes room for the next one: a proxy sends the header at once, and who sends none keeps nobody out.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable

from attrs import define

from superd.acceptor.dispatch import PARKED_RETRY_S
from superd.acceptor.poller import THE_LAST, Poller
from superd.acceptor.services import Listener, Service
from superd.acceptor.timers import Timer, Timers
from superd.policy.proxy_header import MAX_HEADER_BYTES, Header, HeaderError, parse
from superd.wire.messages import Peer


@define(eq=False)
class Announced:
    """A connection whose header is under way.

    Args:
        peer, source, port: who connected: the proxy.
        is_read: its header is here, and what is parked is in its way.
    """

    listener: Listener
    sock: socket.socket
    peer: Peer
    source: str
    port: int
    is_read: bool = False
    timer: Timer | None = None


class Headers:
    """Waits for PROXY headers. Connections that wait take room of their service as if they were sent.

    Args:
        admitted: given the connection and its header, once that is read.
        refused: given the connection and what is wrong with its header.
        most: how many of one service may wait.
    """

    def __init__(
        self,
        poller: Poller,
        timers: Timers,
        admitted: Callable[[Announced, Header], None],
        refused: Callable[[Announced, str], None],
        most: Callable[[], int],
    ) -> None:
        self._poller = poller
        self._timers = timers
        self._admitted = admitted
        self._refused = refused
        self._most = most
        self._waiting: dict[Service, dict[Announced, None]] = {}  # the longest first

    def expect(self, announced: Announced) -> None:
        """Wait for the header of a connection."""
        service = announced.listener.service
        waiting = self._waiting.get(service, {})
        if len(waiting) >= self._most():
            self._make_room([one for one in waiting if not one.is_read])
        service.newcomers += 1
        service.unjudged += 1
        self._waiting.setdefault(service, {})[announced] = None
        seconds = service.engine.proxy_protocol.timeout_s
        announced.timer = self._timers.after(
            seconds, lambda: self._turn_away(announced, "it did not come in time")
        )
        self._poller.watch_edges(announced.sock.fileno(), lambda events: self._look(announced, events))

    def _make_room(self, waiting: list[Announced]) -> None:
        counts = Counter(one.source for one in waiting)
        most = max(counts.values(), default=0)
        for one in waiting:
            if counts[one.source] == most:
                self._turn_away(one, "it had not come when others needed the room")
                return

    def _look(self, announced: Announced, events: int) -> None:
        try:
            data = announced.sock.recv(MAX_HEADER_BYTES, socket.MSG_PEEK)
            header = parse(data)
        except BlockingIOError:
            return
        except HeaderError as error:
            self._turn_away(announced, str(error))
            return
        except OSError as error:
            self._turn_away(announced, error.strerror or str(error))
            return
        if header is None and events & THE_LAST:
            self._turn_away(announced, "the connection ended before it")
        elif header is not None:
            announced.sock.recv(header.length)
            self._pass_on(announced, header)

    def _pass_on(self, announced: Announced, header: Header) -> None:
        """Let it in, once what is parked before it has gone, and it can be judged."""
        self._quieten(announced)
        announced.is_read = True
        if announced.listener.service.parked or announced.listener.service.unready:
            announced.timer = self._timers.after(PARKED_RETRY_S, lambda: self._pass_on(announced, header))
            return
        self._take_out(announced)
        self._admitted(announced, header)

    def _turn_away(self, announced: Announced, problem: str) -> None:
        self._quieten(announced)
        self._take_out(announced)
        self._refused(announced, problem)

    def _quieten(self, announced: Announced) -> None:
        self._poller.forget(announced.sock.fileno())
        if announced.timer is not None:
            announced.timer.cancel()

    def _take_out(self, announced: Announced) -> None:
        service = announced.listener.service
        waiting = self._waiting[service]
        del waiting[announced]
        if not waiting:
            del self._waiting[service]
        service.newcomers -= 1
        service.unjudged -= 1

    def forget(self, listener: Listener) -> None:
        """A listener is closed for good: who waits there for a header is let go."""
        waiting = self._waiting.get(listener.service, {})
        for announced in [one for one in waiting if one.listener is listener]:
            self._quieten(announced)
            self._take_out(announced)
            announced.sock.close()
