"""tcpmux: one port for many services, which a client asks for by name. Source: RFC 1078.

The line with the name is looked at in the kernel's buffer until it is whole, and exactly its bytes are taken: what
follows is the service's. The connection is then that service's, by whose access and limits it is judged. Which service
has which name stands in what they listen on, so this needs to be told nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Mapping

import trio
from attrs import define, frozen

from superd.acceptor.accept import Accepting
from superd.acceptor.builtins.streams import Streams, part
from superd.acceptor.dispatch import PARKED_RETRY_S, Dispatch
from superd.acceptor.poller import THE_LAST, Poller
from superd.acceptor.services import Arrival, Listener, Service
from superd.acceptor.timers import Timer, Timers
from superd.policy.outcome import Outcome

MAX_LINE_BYTES = 256
"""Of the name and its line's end."""

LINE_S = 10.0
"""How long the line may take, and a service that has no room."""

GO_AHEAD = b"+Go\r\n"
UNKNOWN = b"-Service not available\r\n"
REFUSED = b"-Not admitted\r\n"
BUSY = b"-No room, try again later\r\n"
TOO_LONG = b"-Line too long\r\n"

_SCHEME = "tcpmux://"


@frozen
class Line:
    """The name that a client asks for, in lower case, and how many bytes it took to say so."""

    name: str
    length: int


def parse_line(data: bytes) -> Line | None:
    """What a client has said so far; None while the line is not whole.

    Raises:
        ValueError: it is too long.
    """
    end = data.find(b"\n")
    if end < 0 and len(data) < MAX_LINE_BYTES:
        return None
    if not 0 <= end < MAX_LINE_BYTES:
        raise ValueError("the line is too long")
    return Line(data[:end].removesuffix(b"\r").decode("latin-1").lower(), end + 1)


@frozen
class Target:
    """A service that can be asked for.

    Args:
        greets: superd says that the client is through, not the program.
    """

    service: Service
    text: str
    greets: bool


def targets(services: Iterable[Service]) -> Mapping[str, Target]:
    """Who can be asked for, by name."""
    found = {}
    for service in services:
        for text in service.settings.listen:
            if text.startswith(_SCHEME) and not (service.fault or service.retired):
                name = text.removeprefix(_SCHEME).lower()
                greets = name.startswith("+") or bool(service.settings.builtin)
                found[name.removeprefix("+")] = Target(service, text, greets)
    return found


@define(eq=False)
class Asking:
    """A connection whose client has yet to say what it wants.

    Args:
        line: what it wants, once that is known.
        timer: looks again after a while, at a service without room.
    """

    tcpmux: Tcpmux
    arrival: Arrival
    sock: socket.socket
    began: float
    line: Line | None = None
    deadline: Timer | None = None
    timer: Timer | None = None

    def end(self, why: Outcome) -> None:
        """Let the client go."""
        self.tcpmux.say(self, b"", why)


class Tcpmux:
    """Asks each client for a name, and hands it over.

    Args:
        streams: accounts for the connections meanwhile.
        services: all of them.
    """

    def __init__(
        self,
        timers: Timers,
        poller: Poller,
        dispatch: Dispatch,
        accepting: Accepting,
        streams: Streams,
        services: Callable[[], Iterable[Service]],
    ) -> None:
        self._timers = timers
        self._poller = poller
        self._dispatch = dispatch
        self._accepting = accepting
        self._streams = streams
        self._services = services

    def begin(self, arrival: Arrival, sock: socket.socket) -> None:
        """Wait for the name."""
        sock.setblocking(False)
        asking = Asking(self, arrival, sock, trio.current_time())
        arrival.listener.service.served[arrival.id] = asking
        self._streams.log_begin(arrival)
        self._poller.watch_edges(sock.fileno(), lambda events: self._look(asking, events))
        asking.deadline = self._timers.after(LINE_S, lambda: self._late(asking))

    def _late(self, asking: Asking) -> None:
        if asking.line is None:
            self.say(asking, b"", Outcome.TIMED_OUT)
        else:
            self.say(asking, BUSY, Outcome.CLEAN)

    def _look(self, asking: Asking, events: int) -> None:
        try:
            data = asking.sock.recv(MAX_LINE_BYTES, socket.MSG_PEEK)
            line = parse_line(data)
        except BlockingIOError:
            return
        except ValueError:
            self.say(asking, TOO_LONG, Outcome.FAILED)
            return
        except OSError:
            self.say(asking, b"", Outcome.RESET)
            return
        if line is None and events & THE_LAST:
            self.say(asking, b"", Outcome.FAILED)
        elif line is not None:
            asking.sock.recv(line.length)
            self._poller.forget(asking.sock.fileno())
            asking.line = line
            self._find(asking, line.name)

    def _find(self, asking: Asking, name: str) -> None:
        found = targets(self._services())
        if name == "help":
            names = "".join(f"{known}\r\n" for known in sorted(found))
            self.say(asking, names.encode(), Outcome.CLEAN)
        elif name not in found:
            self.say(asking, UNKNOWN, Outcome.CLEAN)
        elif not self._has_room(found[name].service):
            asking.timer = self._timers.after(PARKED_RETRY_S, lambda: self._find(asking, name))
        else:
            self._hand_over(asking, found[name])

    def _has_room(self, service: Service) -> bool:
        """Whether a connection can be taken at once, as its own listeners would have it."""
        if service.unready or service.parked:
            return False
        return service.server is not None or self._dispatch.room(service) > 0

    def _hand_over(self, asking: Asking, target: Target) -> None:
        """From here on the connection is the other service's, or nobody's."""
        arrival = asking.arrival
        try:
            descriptor = os.dup(asking.sock.fileno())
        except OSError:  # out of descriptors
            self.say(asking, BUSY, Outcome.CLEAN)
            return
        os.set_blocking(descriptor, True)
        mux = arrival.listener
        listener = Listener(target.service, -1, target.text, mux.sock, False, mux.local, is_unix=mux.is_unix)
        id_ = self._accepting.new_id()
        again = Arrival(listener, id_, descriptor, arrival.peer, arrival.source, arrival.port)
        if self._accepting.take(again, GO_AHEAD if target.greets else b""):
            self._leave(asking)
            asking.sock.close()
            self._account(asking, Outcome.CLEAN)
        else:
            os.close(descriptor)
            self.say(asking, REFUSED, Outcome.CLEAN)

    def say(self, asking: Asking, text: bytes, why: Outcome) -> None:
        """Say a last word, and let the client go, unless it has gone."""
        if asking.arrival.id not in asking.arrival.listener.service.served:
            return
        self._leave(asking)
        try:
            asking.sock.send(text, socket.MSG_NOSIGNAL)
        except OSError:
            pass  # it has gone
        part(asking.sock)
        self._account(asking, why)

    def _leave(self, asking: Asking) -> None:
        for timer in (asking.timer, asking.deadline):
            if timer is not None:
                timer.cancel()
        self._poller.forget(asking.sock.fileno())

    def _account(self, asking: Asking, why: Outcome) -> None:
        arrival = asking.arrival
        self._streams.account(arrival.listener.service, arrival.id, arrival.source, asking.began, why)
