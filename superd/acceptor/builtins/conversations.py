"""Both sides of a connection to a builtin, without the connection: what is heard, and what is said to that. Pure."""

from __future__ import annotations

from superd.acceptor.builtins.texts import PATTERN

BLOCK_BYTES = 2 * len(PATTERN)
"""What chargen says at a time."""

_ENDLESS = memoryview(PATTERN * 4)


class Conversation:
    """One that says nothing and listens for ever: discard, of RFC 863.

    Attributes:
        is_over: nothing more will be said.
        goes_on: it says more by itself, whether or not anything is heard.
        failed: it ended because the client broke the rules.
    """

    goes_on = False

    def __init__(self) -> None:
        self.is_over = False
        self.failed = False

    def more(self) -> bytes | memoryview:
        """What is said unasked, once all before it is sent; may be empty."""
        return b""

    def heard(self, data: bytes) -> bytes:
        """Something came; returns what is said to that, which may be nothing."""
        return b""

    def heard_end(self) -> None:
        """The client says nothing more."""
        self.is_over = True


class Echo(Conversation):
    """Source: RFC 862."""

    def heard(self, data: bytes) -> bytes:
        return data


class Chargen(Conversation):
    """Characters for as long as somebody reads them, even if he says no more. Source: RFC 864."""

    goes_on = True

    def __init__(self) -> None:
        super().__init__()
        self._said = 0

    def more(self) -> memoryview:
        return _ENDLESS[self._said : self._said + BLOCK_BYTES]

    def sent(self, count: int) -> None:
        """So many bytes of it were taken."""
        self._said = (self._said + count) % len(PATTERN)

    def heard_end(self) -> None:
        """It goes on: half a connection is enough to read from."""


class Once(Conversation):
    """One text, and no more: daytime, time and qotd."""

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self._text = text

    def more(self) -> bytes:
        text, self._text = self._text, b""
        self.is_over = True
        return text
