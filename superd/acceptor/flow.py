"""Bytes that go one way, from one socket to another, without waiting for either.

While bytes come and go they pass through a pipe inside the kernel (splice(2)), and Python sees only their number.
Where there is no pipe, or a socket that cannot be spliced, they are copied: looked at (MSG_PEEK), sent, and then
taken off as far as they were. So a sink that is slow holds nothing of ours but a pipe at most, and the source's own
queue tells its peer to wait.

A byte that TCP calls urgent stays where it was sent, or of telnet's IAC DM half would arrive. splice(2) does not get
past it, so from then on that way is copied.

The end of the source (its peer has shut down writing) becomes a shutdown of the sink once all before it is written.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from enum import Enum

from superd.acceptor.pipes import SIZE_BYTES, Pipe, Pipes
from superd.acceptor.poller import THE_LAST

ROUNDS = 4
"""Moves in one turn: then the other connections have theirs."""

COPY_BYTES = 256 * 1024

_TO_THE_LAST = THE_LAST | select.EPOLLPRI
_TO_READ = select.EPOLLIN | _TO_THE_LAST
_TO_WRITE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
_SPLICE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
_UNSPLICEABLE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})

_scratch = memoryview(bytearray(COPY_BYTES))
"""What is copied passes through here, and nothing stays."""


class Progress(Enum):
    """What stopped a flow for now."""

    WAITS = "waits"  # for its source or its sink
    HAS_MORE = "has more"  # it was its turn's end
    OVER = "over"  # everything is written, and the sink was told that nothing follows
    SOURCE_BROKE = "source broke"
    SINK_BROKE = "sink broke"


class Flow:
    """One direction.

    Attributes:
        moved: bytes that the sink's kernel has taken.
        over: nothing will move any more.
        problem: errno of what broke; 0.
    """

    __slots__ = (
        "_copies",
        "_pipe",
        "_readable",
        "_to_the_last",
        "_waiting",
        "_writable",
        "moved",
        "over",
        "problem",
        "sink",
        "source",
    )

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        source.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        self.source = source
        self.sink = sink
        self.moved = 0
        self.over = False
        self.problem = 0
        self._readable = self._writable = True
        self._to_the_last = False  # there is more than one read shows: reading goes on until nothing is left
        self._copies = False  # splice(2) cannot serve these sockets, or does not get past something urgent
        self._pipe: Pipe | None = None
        self._waiting = 0  # bytes in the pipe

    def source_told(self, events: int) -> None:
        """What epoll says of the source."""
        if events & _TO_READ:
            self._readable = True
        if events & _TO_THE_LAST:
            self._to_the_last = True
        if events & select.EPOLLPRI:
            self._copies = True

    def sink_told(self, events: int) -> None:
        """What epoll says of the sink."""
        if events & _TO_WRITE:
            self._writable = True

    def run(self, pipes: Pipes) -> Progress:
        """Move what can be moved now."""
        for _ in range(ROUNDS):
            if self.over:
                return Progress.OVER
            if not self._writable:
                return Progress.WAITS
            progress = self._drain(pipes) if self._waiting else self._fill(pipes)
            if progress is not None:
                return progress
        return Progress.HAS_MORE

    def _fill(self, pipes: Pipes) -> Progress | None:
        """Take something from the source; None: go on."""
        if not self._readable:
            return Progress.WAITS
        pipe = None if self._copies else pipes.take()
        if pipe is None:
            return self._copy()
        try:
            taken = os.splice(self.source.fileno(), pipe[1], SIZE_BYTES, flags=_SPLICE)
        except OSError as error:
            pipes.give(pipe)
            return self._not_taken(error)
        if not taken:  # the end; or before it something urgent, where splice(2) stands still for good
            pipes.give(pipe)
            self._copies = self._to_the_last = True
            return None
        self._pipe, self._waiting = pipe, taken
        return None

    def _not_taken(self, error: OSError) -> Progress | None:
        if error.errno == errno.EAGAIN:  # the pipe is empty, so it is the source that has nothing
            self._readable = False
            return Progress.WAITS
        if error.errno in _UNSPLICEABLE:
            self._copies = True
            return None
        return self._broke(error, Progress.SOURCE_BROKE)

    def _drain(self, pipes: Pipes) -> Progress | None:
        """Write what is in the pipe."""
        assert self._pipe is not None  # noqa: S101  something waits in it
        try:
            written = os.splice(self._pipe[0], self.sink.fileno(), self._waiting, flags=_SPLICE)
        except BlockingIOError:
            self._writable = False
            return Progress.WAITS
        except OSError as error:
            return self._broke(error, Progress.SINK_BROKE)
        self.moved += written
        self._waiting -= written
        if not self._waiting:
            pipes.give(self._pipe)
            self._pipe = None
        return None

    def _copy(self) -> Progress | None:
        try:
            seen = self.source.recv_into(_scratch, COPY_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            self._readable = False
            return Progress.WAITS
        except OSError as error:
            return self._broke(error, Progress.SOURCE_BROKE)
        if not seen:
            return self._finish()
        try:
            sent = self.sink.send(_scratch[:seen])
        except BlockingIOError:
            sent = 0
        except OSError as error:
            return self._broke(error, Progress.SINK_BROKE)
        if sent:
            self.source.recv_into(_scratch, sent)
            self.moved += sent
        self._writable = sent == seen
        self._readable = self._to_the_last or sent < seen or seen == COPY_BYTES
        return None

    def _finish(self) -> Progress:
        """The source has ended, and so does the sink."""
        self.over = True
        try:
            self.sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # its peer has gone, which its own flow finds out
        return Progress.OVER

    def _broke(self, error: OSError, progress: Progress) -> Progress:
        self.problem = error.errno or 0
        return progress

    def abandon(self, pipes: Pipes) -> None:
        """Nothing more can be written: what is on its way is lost."""
        self.over = True
        if self._pipe is not None:
            pipes.drop(self._pipe)
            self._pipe, self._waiting = None, 0
