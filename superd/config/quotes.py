"""The file of quotes of ``builtin = "qotd"``, in the form of fortune(6): texts with lines of ``%`` in between. Pure."""

from __future__ import annotations

from superd.config.findings import reject

MAX_QUOTE_BYTES = 512
"""Source: RFC 865."""

MAX_QUOTES_BYTES = 64 * 1024
"""Of the whole file; the acceptor keeps it."""


def split_quotes(text: str) -> tuple[bytes, ...]:
    """The quotes of a file, each as it is sent, its lines ended by CR LF.

    Raises:
        RejectedError: there is none, or one is longer than ``MAX_QUOTE_BYTES``.
    """
    quotes: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.rstrip() == "%":
            quotes.append([])
        else:
            quotes[-1].append(line)
    sent = tuple("".join(f"{line}\r\n" for line in lines).encode() for lines in quotes if any(lines))
    if not sent:
        raise reject("no quote in it", "write one, and a line of % between two")
    longest = max(sent, key=len)
    if len(longest) > MAX_QUOTE_BYTES:
        words = longest.decode().split("\r\n", 1)[0][:40]
        raise reject(f'{len(longest)} bytes of "{words}…"', f"use at most {MAX_QUOTE_BYTES} a quote")
    return sent
