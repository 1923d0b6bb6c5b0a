"""The acceptor's process: started, pinged, replaced."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from superd.errors import WireError
from superd.kernel.identity import Identity
from superd.master.births import BirthError, execute_role
from superd.master.conversation import Conversation
from superd.master.loop import Loop
from superd.policy.outcome import status_word
from superd.wire.fds import Link, pair
from superd.wire.messages import Ping
from superd.wire.table import Phase, Role

PING_S = 2.0
PONG_S = 4.0
LAST_PONG_S = 60.0
"""However much it has to say: thousands of services that all want their first spawner take the master a while."""

FIRST_DELAY_S = 0.05
LAST_DELAY_S = 30.0
STEADY_S = 10.0

MOST_AT_ONCE = 64
"""Packets that are taken in one turn: an acceptor that never stops talking must not keep out signals and others."""


class AcceptorKeeper:
    """Keeps one acceptor alive.

    Args:
        identity: whom it runs as.
        environ: the few variables it is given.
        introduce: tells a new acceptor all there is.
        heard: given each of its messages, and the descriptors that came with it, which are closed afterwards.
        warn: logs what happened to it.
    """

    def __init__(
        self,
        loop: Loop,
        identity: Identity,
        environ: Mapping[str, str],
        introduce: Callable[[], None],
        heard: Callable[[Any, list[int]], None],
        warn: Callable[[str], None],
    ) -> None:
        self.epoch = 0
        self.pid = 0
        self.identity = identity
        self._loop = loop
        self._environ = environ
        self._introduce = introduce
        self._heard = heard
        self._warn = warn
        self._conversation: Conversation | None = None
        self._pinged = self._ponged = 0
        self.deaths = 0
        self._born = 0.0
        self._reason = ""

    def start(self) -> None:
        """Execute a new acceptor and tell it everything.

        Raises:
            BirthError: it cannot be executed.
        """
        ours, theirs = pair()
        try:
            self.pid = execute_role("acceptor", theirs, self.identity, self._environ)
        except (BirthError, OSError):
            ours.close()
            raise
        finally:
            theirs.close()
        self.epoch += 1
        self._born = time.monotonic()
        self._reason = ""
        link = Link(ours, Role.MASTER, Role.ACCEPTOR)
        link.phase = Phase.STARTING
        self._pinged = self._ponged = 0
        self._conversation = Conversation(self._loop, link, MOST_AT_ONCE, self._heard, self._end)
        self._introduce()
        self._loop.after(PING_S, self._ping_of(self.pid))

    def set_phase(self, phase: Phase) -> None:
        if self._conversation is not None:
            self._conversation.link.phase = phase

    def tell(self, message: object, descriptors: list[int] | None = None) -> None:
        """Send a message; dropped while no acceptor is there, since the next one is told everything anyway."""
        if self._conversation is not None:
            self._conversation.tell(message, descriptors or ())

    def _end(self, reason: str) -> None:
        self.kill(reason)
        self._hang_up()

    def _hang_up(self) -> None:
        """Nothing more comes from this one; SIGCHLD tells how it ended."""
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None

    def kill(self, reason: str) -> None:
        if self.pid:
            self._reason = self._reason or reason
            os.kill(self.pid, signal.SIGKILL)

    def _ping_of(self, pid: int) -> Callable[[], None]:
        """Pings go on as long as the same acceptor lives."""

        def ping() -> None:
            if self.pid != pid:
                return
            if self._pinged == self._ponged:
                self._pinged += 1
                self.tell(Ping(self._pinged))
                self._loop.after(PONG_S, lambda: self._expect(pid, self._pinged))
            self._loop.after(PING_S, ping)

        return ping

    def _expect(self, pid: int, number: int, waited_s: float = PONG_S) -> None:
        """The answer to a ping is due. While something of it is still to be read, it is the master that is behind."""
        if self.pid != pid or self._ponged >= number:
            return
        if waited_s < LAST_PONG_S and self._is_unread:
            self._loop.after(PONG_S, lambda: self._expect(pid, number, waited_s + PONG_S))
        else:
            self.kill("did not answer")

    @property
    def _is_unread(self) -> bool:
        if self._conversation is None or self._conversation.link.wants_write:
            return False
        unread = select.poll()
        unread.register(self._conversation.link, select.POLLIN)
        return bool(unread.poll(0))

    def answered(self, number: int) -> None:
        """A ``Pong`` came. Raises WireError: nothing was asked yet that it could answer."""
        if number > self._pinged:
            raise WireError(f"Pong {number} before its Ping")
        self._ponged = max(self._ponged, number)

    def ended(self, pid: int, status: int) -> bool:
        """A process ended; True when it was the acceptor."""
        if pid != self.pid:
            return False
        self.pid = 0
        self._hang_up()
        self.deaths = 0 if time.monotonic() - self._born > STEADY_S else self.deaths + 1
        self._loop.after(min(LAST_DELAY_S, FIRST_DELAY_S * 2 ** min(self.deaths, 10)), self._restart)
        self._warn(
            f"the acceptor (pid {pid}) ended ({self._reason or status_word(status)}); starting another"
        )
        return True

    def _restart(self) -> None:
        try:
            self.start()
        except (BirthError, OSError) as error:
            self._warn(f"cannot start the acceptor: {error}; tried again in {LAST_DELAY_S:.0f} s")
            self._loop.after(LAST_DELAY_S, self._restart)

    def dismiss(self) -> None:
        """superd ends: hang up, which ends it."""
        self._hang_up()
