"""Words of a line, as each inetd tells them apart."""

from __future__ import annotations

import re

from superd.config.legacy.inetd.dialects import Quotes

_WORD = re.compile(r"[^ \t]+")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<inside>.*?)(?:(?P=quote)|$)|[^ \t]+""")
_ESCAPED = re.compile(r"""(?P<quote>["'])(?P<inside>(?:\\.|(?!(?P=quote)).)*)(?:(?P=quote)|$)|[^ \t]+""")
_ESCAPE = re.compile(r"""\\(?:x([0-9A-Fa-f]{2})|(.))""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def words_of(text: str, quotes: Quotes) -> list[str]:
    """The words of a line, without the blanks and quotes around them.

    Args:
        text: a line.
        quotes: how words with blanks in them are written.
    """
    if quotes is Quotes.NONE:
        return _WORD.findall(text)
    escapes = quotes is Quotes.ESCAPES
    pattern = _ESCAPED if escapes else _QUOTED
    return [_unquoted(match, escapes=escapes) for match in pattern.finditer(text)]


def _unquoted(match: re.Match[str], *, escapes: bool) -> str:
    if not match["quote"]:
        return match[0]
    return unescaped(match["inside"]) if escapes else match["inside"]


def unescaped(text: str) -> str:
    """NetBSD's backslashes: ``\\\\n \\\\t \\\\r \\\\xHH``; any other character stands for itself."""
    return _ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else _ESCAPES.get(match[2], match[2])
