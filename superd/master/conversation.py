"""The master's side of a link to a process that strangers may have taken over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from superd.errors import WireError
from superd.master.loop import Loop
from superd.wire.fds import Link, close_all


class Conversation:
    """What is said is watched for, heard in portions, and answered; until the link breaks, or is closed.

    Args:
        link: it is closed with the conversation.
        most_at_once: messages that are heard in one turn, so that other things of the master's come to theirs.
        heard: given each message, and the descriptors that came with it, which are closed afterwards; a WireError says
            that the message breaks the rules.
        broken: told why the conversation is over; empty when the other end is gone. It closes it.
    """

    def __init__(
        self,
        loop: Loop,
        link: Link,
        most_at_once: int,
        heard: Callable[[Any, list[int]], None],
        broken: Callable[[str], None],
    ) -> None:
        self.link = link
        self._loop = loop
        self._most_at_once = most_at_once
        self._heard = heard
        self._broken = broken
        self._is_open = True
        loop.watch(link.fileno(), self._readable)

    def tell(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Send a message, now or when there is room for it."""
        try:
            self.link.post(message, descriptors)
            self._loop.watch_writing(self.link.fileno(), self.link.wants_write)
        except OSError:
            self._broken("")

    def close(self) -> None:
        """Hang up. Nothing more is heard, not even what has already arrived."""
        self._is_open = False
        self._loop.forget(self.link.fileno())
        self.link.close()

    def _readable(self) -> None:
        """Hear what came. Who does not read the answers is not heard: they would pile up in a root process."""
        link = self.link
        try:
            link.flush()
            self._loop.watch_writing(link.fileno(), link.wants_write)
            if link.wants_write:
                return
            for received in link.receive(self._most_at_once):
                try:
                    self._heard(received.message, received.descriptors)
                finally:
                    close_all(received.descriptors)
                if not self._is_open or link.wants_write:
                    return
        except (EOFError, OSError):
            self._broken("")  # it ends by itself, and then its status says how, or it goes on for nobody
        except WireError as error:
            self._broken(f"broke the rules of the wire: {error}")
