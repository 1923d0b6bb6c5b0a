"""The lines of a file, its fields and its lists, cut where libwrap cuts them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import frozen

from superd.policy.hosts_access.texts import fold

MAX_LINE = 2047
"""Bytes of a line, those that continue it and its newline included. Source: BUFLEN in hosts_access.c."""

_WORD = re.compile(r"[^, \t\r\n]+")
_BLANKS = " \t\r"

Groups = tuple[tuple[str, ...], ...]
"""``a b EXCEPT c EXCEPT d`` as ``(a, b), (c,), (d,)``."""


@frozen
class Line:
    """A line with those that continue it.

    Args:
        number: of the first of them, 1 and up.
        text: without newlines.
        problem: why libwrap stops reading here; empty for any line but the last.
        remedy: what to do about that.
    """

    number: int
    text: str
    problem: str = ""
    remedy: str = ""

    @property
    def is_rule(self) -> bool:
        """Whether it says anything. A comment is a line that begins with ``#``, and all that continues it."""
        return not self.text.startswith("#") and bool(self.text.strip(_BLANKS))


def read_lines(text: str) -> Iterator[Line]:
    """The lines as libwrap reads them; the last one has a problem when it does not read to the end."""
    first, begun, size = 1, "", 0
    *whole, rest = text.split("\n")
    for number, piece in enumerate(whole, 1):
        length = _bytes(piece) + 1
        if size + length > MAX_LINE:
            problem = f"longer than {MAX_LINE} bytes: tcpd reads no further"
            yield Line(first, begun + piece, problem, "write several rules")
            return
        if piece.endswith("\\"):
            begun, size = begun + piece[:-1], size + length - 2
            continue
        yield Line(first, begun + piece)
        first, begun, size = number + 1, "", 0
    if begun + rest:
        yield Line(first, begun + rest, "no newline at its end: tcpd does not read it", "add the newline")


def _bytes(piece: str) -> int:
    """How many bytes they were in the file; one that was not UTF-8 is a lone surrogate now."""
    return len(piece) if piece.isascii() else len(piece.encode(errors="replace"))


def split_at(text: str, delimiter: str, start: int = 0) -> tuple[str, str | None]:
    """What is before the first delimiter outside of brackets, and what is behind it; None when there is none.

    Args:
        start: where in the text to begin; brackets before do not count.
    """
    found = text.find(delimiter, start)
    while found >= 0:
        if text.count("[", start, found) == text.count("]", start, found):
            return text[:found], text[found + 1 :]
        found = text.find(delimiter, found + 1)
    return text, None


def list_groups(text: str) -> Groups:
    """The patterns of a list, cut at each EXCEPT."""
    groups: list[list[str]] = [[]]
    for word in _WORD.findall(text):
        if fold(word) == "except":
            groups.append([])
        else:
            groups[-1].append(word)
    return tuple(map(tuple, groups))
