"""Words of a value: quotes, escapes, specifiers and variables, and the marks in front of a command.

Source: systemd.syntax(7), "Quoting"; systemd.unit(5), "Specifiers"; systemd.service(5), "Command lines".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from attrs import frozen

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_CODED = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-3][0-7]{2})")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|(\$))")
_WHOLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_SPECIFIER = re.compile(r"%(.)", re.DOTALL)

# Of the system's manager; those of the machine itself (%m %b %H …) are not known here.
_FIXED = {"%": "%", "t": "/run", "S": "/var/lib", "C": "/var/cache", "L": "/var/log", "E": "/etc", "h": "/root",
          "u": "root", "U": "0", "g": "root", "G": "0", "s": "/bin/sh",
          "T": "/tmp", "V": "/var/tmp"}  # fmt: skip  # noqa: S108 - systemd's words, nothing is written there


class WordError(ValueError):
    """A value cannot be taken apart; the text says why."""


@frozen
class Command:
    """A command line.

    Args:
        path: the program.
        argv: from argv[0] on.
        marks: what stood in front: ``-`` ``@`` ``:`` ``+`` ``!``.
    """

    path: str
    argv: tuple[str, ...]
    marks: str


def split_words(text: str) -> list[str]:
    """The words of a value.

    Raises:
        WordError: a quote is not closed, or an escape means nothing.
    """
    words: list[str] = []
    word, quote, started = "", "", False
    position = 0
    while position < len(text):
        character = text[position]
        position += 1
        if character == "\\":
            piece, position = _escape(text, position)
            word, started = word + piece, True
        elif quote and character == quote:
            quote = ""
        elif not quote and character in "\"'":
            quote, started = character, True
        elif not quote and character in " \t\n\r\f\v":
            if started:
                words.append(word)
            word, started = "", False
        else:
            word, started = word + character, True
    if quote:
        raise WordError("a quote is not closed")
    return [*words, word] if started else words


def _escape(text: str, position: int) -> tuple[str, int]:
    """What a backslash and what follows it mean, and where it ends."""
    if position >= len(text):
        raise WordError("a backslash at the end")
    character = text[position]
    if character in "\\\"'":
        return character, position + 1
    if character in _ESCAPES:
        return _ESCAPES[character], position + 1
    match = _CODED.match(text, position)
    if match is None:
        raise WordError(f"\\{character} means nothing")
    hexadecimal = match[1] or match[2] or match[3]
    code = int(hexadecimal, 16) if hexadecimal else int(match[4], 8)
    if not 0 < code < 0x110000 or 0xD800 <= code < 0xE000:
        raise WordError(f"\\{match[0]} is no character")
    return chr(code), match.end()


def resolve(text: str, known: Mapping[str, str]) -> str:
    """A value with its specifiers replaced.

    Args:
        known: those of the unit, beside the fixed ones.

    Raises:
        WordError: one is not known here.
    """

    def replaced(match: re.Match[str]) -> str:
        found = known.get(match[1], _FIXED.get(match[1]))
        if found is None:
            raise WordError(f"%{match[1]} is not known before the unit runs")
        return found

    return _SPECIFIER.sub(replaced, text)


def unescaped(name: str) -> str:
    """A name of a unit with its escapes undone. Source: systemd-escape(1)."""
    plain = name.replace("-", "/")
    return re.sub(r"\\x([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), plain)


def command_of(
    text: str, known: Mapping[str, str], variables: Mapping[str, str]
) -> tuple[Command, Sequence[str]]:
    """A command line, and the variables in it that have no value.

    Args:
        text: the value of ExecStart=.
        known: specifiers of the unit.
        variables: the environment of the service, as far as it is known.

    Raises:
        WordError: it is none.
    """
    plain = text.lstrip("@-:+!|")
    marks = text[: len(text) - len(plain)]
    words = [resolve(word, known) for word in split_words(plain)]
    if not words or not words[0]:
        raise WordError("no program")
    path, *rest = words
    missing: list[str] = []
    if ":" not in marks:
        rest = [part for word in rest for part in _substituted(word, variables, missing)]
    if "@" not in marks:
        return Command(path, (path, *rest), marks), missing
    if not rest:
        raise WordError("no name behind the program that @ asks for")
    return Command(path, tuple(rest), marks), missing


def _substituted(word: str, variables: Mapping[str, str], missing: list[str]) -> list[str]:
    """``$NAME`` as a word of its own is several words or none, ``${NAME}`` is part of one."""
    whole = _WHOLE.fullmatch(word)
    if whole:
        if whole[1] not in variables:
            missing.append(whole[1])
        return variables.get(whole[1], "").split()

    def replaced(match: re.Match[str]) -> str:
        if match[2]:
            return "$"
        if match[1] not in variables:
            missing.append(match[1])
        return variables.get(match[1], "")

    return [_VARIABLE.sub(replaced, word)]
