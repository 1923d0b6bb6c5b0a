"""What children write on standard error: one pipe a child, read line by line and passed on to the log."""

from __future__ import annotations

import os

from attrs import define

from superd.wire.messages import MAX_OUTPUT_BYTES, Output

READ_BYTES = 64 * 1024
MESSAGE_BYTES = 50_000
LINES_PER_SECOND = 200
BURST_LINES = 1000


YOUNG_S = 0.02
"""A pipe is watched from this age on. Most children end sooner; theirs is read once, when they are reaped."""


@define
class _Pipe:
    id: int
    pid: int
    shown: int
    since: float
    rest: bytes = b""


class LineRate:
    """A token bucket of log lines; pure but for its own count.

    ``take`` says how many of ``lines`` may pass now: ``LINES_PER_SECOND`` and bursts of ``BURST_LINES``.
    """

    def __init__(self) -> None:
        self._tokens = float(BURST_LINES)
        self._since = 0.0

    def take(self, lines: int, now: float) -> int:
        self._tokens = min(BURST_LINES, self._tokens + (now - self._since) * LINES_PER_SECOND)
        self._since = now
        passing = min(lines, int(self._tokens))
        self._tokens -= passing
        return passing


class Outputs:
    """All stderr pipes of a spawner, by descriptor."""

    def __init__(self) -> None:
        self._pipes: dict[int, _Pipe] = {}
        self._young: dict[int, int] = {}  # pid -> descriptor, in order of age
        self._rate = LineRate()

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._pipes

    def __len__(self) -> int:
        return len(self._pipes)

    def add(self, descriptor: int, id_: int, pid: int, shown: int, now: float) -> None:
        """Own the read end of a child's pipe; ``shown`` is its pid as messages have it."""
        self._pipes[descriptor] = _Pipe(id_, pid, shown, now)
        self._young[pid] = descriptor

    def next_grown(self) -> float | None:
        """When the oldest of those that are not watched is to be; None when there is none."""
        return next((self._pipes[descriptor].since + YOUNG_S for descriptor in self._young.values()), None)

    def grown(self, now: float) -> list[int]:
        """Descriptors to be watched from now on."""
        old = [
            (pid, descriptor)
            for pid, descriptor in self._young.items()
            if self._pipes[descriptor].since + YOUNG_S <= now
        ]
        for pid, _ in old:
            del self._young[pid]
        return [descriptor for _, descriptor in old]

    def ended(self, pid: int) -> int | None:
        """A child was reaped: the descriptor of its pipe, if nobody watches it yet; read it now."""
        return self._young.pop(pid, None)

    def read(self, descriptor: int, now: float) -> tuple[list[Output], bool]:
        """What came on one pipe as messages to send, and whether the pipe is at its end (and closed now).

        It may be one that nobody watches yet: an epoll goes on telling of a closed descriptor's number as long as
        a child that is just being executed has it open (vfork returns before exec closes it).
        """
        pipe = self._pipes[descriptor]
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return [], False
        ended = not data
        lines = self._lines(pipe, data, ended)
        if ended:
            del self._pipes[descriptor]
            self._young.pop(pipe.pid, None)
            os.close(descriptor)
        return self._messages(pipe, lines, now), ended

    @staticmethod
    def _lines(pipe: _Pipe, data: bytes, ended: bool) -> list[bytes]:
        """Whole lines; a longer one than MAX_OUTPUT_BYTES is cut into pieces of that length, so the rest stays
        bounded."""
        *whole, rest = (pipe.rest + data).split(b"\n")
        if ended or len(rest) > MAX_OUTPUT_BYTES:
            cut = len(rest) if ended else len(rest) - len(rest) % MAX_OUTPUT_BYTES
            whole.append(rest[:cut])
            rest = rest[cut:]
        pipe.rest = rest
        return [
            line[cut : cut + MAX_OUTPUT_BYTES]
            for line in whole
            if line
            for cut in range(0, len(line), MAX_OUTPUT_BYTES)
        ]

    def _messages(self, pipe: _Pipe, lines: list[bytes], now: float) -> list[Output]:
        if not lines:
            return []
        passing = self._rate.take(len(lines), now)
        lost = len(lines) - passing
        batches: list[list[str]] = [[]]
        size = 0
        for line in lines[:passing]:
            text = line.decode("utf-8", "backslashreplace")
            size += 6 * len(text) + 3  # JSON may need six bytes for one character
            if size > MESSAGE_BYTES and batches[-1]:
                batches.append([])
                size = 6 * len(text) + 3
            batches[-1].append(text)
        return [
            Output(pipe.id, pipe.shown, tuple(batch), lost if number == 0 else 0)
            for number, batch in enumerate(batches)
            if batch or lost
        ]
