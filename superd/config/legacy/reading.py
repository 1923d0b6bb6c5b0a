"""From bytes to lines. Old files are in whatever character set their authors had."""

from __future__ import annotations

from typing import AnyStr

from attrs import frozen

from superd.config.legacy.carried import Origin


@frozen
class Line:
    """One line of a file, without its end.

    Args:
        origin: where it stands; its text is the line.
        is_utf8: whether it is UTF-8, as TOML must be; else it was read as Latin-1.
        had_return: whether a carriage return stood at its end, which old daemons take for part of the last word.
    """

    origin: Origin
    is_utf8: bool = True
    had_return: bool = False

    @property
    def text(self) -> str:
        return self.origin.text


def lines_of(file: str, content: bytes) -> list[Line]:
    """The lines of a file, a byte order mark apart; an unfinished last one is a line too.

    Args:
        file: its name, for messages.
        content: what is in it.
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        texts = content.decode().split("\n")
    except UnicodeDecodeError:
        return [_line(file, number, raw) for number, raw in enumerate(_without_end(content.split(b"\n")), 1)]
    return [
        Line(Origin(file, number, text.rstrip("\r")), True, text[-1:] == "\r")
        for number, text in enumerate(_without_end(texts), 1)
    ]


def _without_end(parts: list[AnyStr]) -> list[AnyStr]:
    """The lines without what stands behind the last end of a line, where that is nothing."""
    return parts if parts[-1] else parts[:-1]


def _line(file: str, number: int, raw: bytes) -> Line:
    stripped = raw.rstrip(b"\r")
    try:
        text, is_utf8 = stripped.decode(), True
    except UnicodeDecodeError:
        text, is_utf8 = stripped.decode("latin-1"), False
    return Line(Origin(file, number, text), is_utf8, len(stripped) != len(raw))
