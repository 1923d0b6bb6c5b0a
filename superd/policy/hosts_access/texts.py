"""Patterns of texts: the name of a daemon, the spelling of an address."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

TextMatch = Callable[[str], bool]


def fold(text: str) -> str:
    """The text for comparison: libwrap takes capital for small letters, of ASCII alone."""
    return text.lower() if text.isascii() else text


def partial_match(pattern: str) -> TextMatch | None:
    """A wildcard, ``.suffix`` or ``prefix.`` pattern; None when it is none of these."""
    if "*" in pattern or "?" in pattern:
        return _wildcard_match(pattern)
    folded = fold(pattern)
    if pattern.startswith("."):
        return lambda text: len(text) > len(folded) and fold(text).endswith(folded)
    if pattern.endswith("."):
        return lambda text: fold(text).startswith(folded)
    return None


def daemon_match(pattern: str) -> TextMatch:
    """Any pattern of a daemon's name."""
    folded = fold(pattern)
    if (match := partial_match(pattern)) is not None:
        return match
    if folded == "all":
        return lambda text: True
    if folded == "known":
        return lambda text: fold(text) != "unknown"
    return lambda text: fold(text) == folded


def _wildcard_match(pattern: str) -> TextMatch:
    # in libwrap several stars at the end stand for at least one character
    shell = re.sub(r"\*\*+\Z", "?*", pattern).replace("[", "[[]")
    compiled = re.compile(fnmatch.translate(shell), re.IGNORECASE | re.ASCII)
    return lambda text: compiled.match(text) is not None
