"""The broker's process: there while there are grants, started again when it dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from superd.errors import WireError
from superd.kernel import linux
from superd.kernel.identity import UNUSED_LOW, Identity, IdentityError, unused_uid
from superd.kernel.privileges import Rights, take_on
from superd.master.births import BirthError, execute_role
from superd.master.conversation import Conversation
from superd.master.loop import Loop
from superd.master.programs import find_program
from superd.policy.outcome import status_word
from superd.wire.fds import Link, pair
from superd.wire.grants import GrantsUp, ProgramWanted
from superd.wire.table import Role

FIRST_DELAY_S = 0.05
LAST_DELAY_S = 30.0
STEADY_S = 10.0

MOST_AT_ONCE = 32
"""Questions that are answered in one turn: strangers cause them, and signals and the acceptor come first."""


def broker_identity(acceptor_uid: int) -> Identity:
    """Whom the broker runs as: a number that nobody has, and not the acceptor's, who could signal it otherwise.

    Raises:
        IdentityError: all are taken.
    """
    uid = unused_uid(acceptor_uid + 1 if acceptor_uid >= UNUSED_LOW else UNUSED_LOW)
    return Identity(uid, uid, (), str(uid), "/", "/bin/sh")


def _drop(identity: Identity) -> None:
    """Become the broker, up to exec; it proves by itself that it has nothing else."""
    mask = 1 << linux.CAP_NET_BIND_SERVICE
    take_on(identity, Rights(bounding=mask, ambient=mask))
    linux.set_no_new_privs()


class BrokerKeeper:
    """Keeps one broker alive while it is wanted.

    Args:
        acceptor_uid: tells whom the acceptor runs as.
        news: what a broker is to know, and the descriptors that go with it.
        warn: logs what happened to it.
    """

    def __init__(
        self,
        loop: Loop,
        acceptor_uid: Callable[[], int],
        news: Callable[[], tuple[GrantsUp, list[int]]],
        warn: Callable[[str], None],
    ) -> None:
        self.pid = 0
        self._loop = loop
        self._acceptor_uid = acceptor_uid
        self._news = news
        self._warn = warn
        self._wanted = False
        self._conversation: Conversation | None = None
        self._deaths = 0
        self._born = 0.0
        self._reason = ""

    def want(self) -> None:
        """Have one that knows all there is to know now."""
        starting, self._wanted = not self._wanted, True
        if starting and not self.pid:
            self._start()
        else:
            self._tell()

    def dismiss(self) -> None:
        """It is not wanted any more: hang up, which ends it."""
        self._wanted = False
        self._hang_up()

    def _start(self) -> None:
        if not self._wanted or self.pid:
            return
        try:
            self._execute()
        except (BirthError, IdentityError, OSError) as error:
            self._warn(f"cannot start the broker: {error}; tried again in {LAST_DELAY_S:.0f} s")
            self._loop.after(LAST_DELAY_S, self._start)
        else:
            self._tell()

    def _execute(self) -> None:
        ours, theirs = pair()
        try:
            self.pid = execute_role("broker", theirs, broker_identity(self._acceptor_uid()), {}, _drop)
        except (BirthError, IdentityError, OSError):
            ours.close()
            raise
        finally:
            theirs.close()
        self._born = time.monotonic()
        self._reason = ""
        link = Link(ours, Role.MASTER, Role.BROKER)
        self._conversation = Conversation(self._loop, link, MOST_AT_ONCE, self._answer, self._end)

    def _tell(self) -> None:
        if self._conversation is not None:
            self._conversation.tell(*self._news())

    def _answer(self, message: object, descriptors: list[int]) -> None:
        if not isinstance(message, ProgramWanted) or len(descriptors) != 1:
            raise WireError("ProgramWanted without its process")
        if self._conversation is not None:
            self._conversation.tell(find_program(message, descriptors[0]))

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None

    def ended(self, pid: int, status: int) -> None:
        """A process ended; if it was the broker, another is started where one is wanted."""
        if pid != self.pid:
            return
        self.pid = 0
        self._hang_up()
        if not self._wanted:
            return
        self._deaths = 0 if time.monotonic() - self._born > STEADY_S else self._deaths + 1
        self._warn(f"the broker (pid {pid}) ended ({self._reason or status_word(status)}); starting another")
        self._loop.after(min(LAST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._deaths, 10)), self._start)
