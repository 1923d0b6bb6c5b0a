"""The syntax of an ``environment_file``; pure."""

from __future__ import annotations

import re

from superd.config.findings import reject
from superd.config.kinds import is_owned

_LINE = re.compile(r"[ \t]*(?:[#;][^\n]*)?(?:\n|\Z)")  # one that says nothing
_NAME = re.compile(r"[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=")
_SINGLE = re.compile(r"'([^']*)'")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED_IN_DOUBLE = re.compile(r'\\(?:\n|(["\\`$]))')
_PLAIN = re.compile(r"\\(?:.|\Z)|[^\\\n]", re.DOTALL)  # one character, escaped or not


def parse_environment_file(text: str) -> dict[str, str]:
    """Variables of an ``environment_file``, as systemd.exec(5) has it under EnvironmentFile=.

    ``NAME=value`` a line. Blank lines and lines that start with ``#`` or ``;`` are skipped. A value in ``'`` is
    taken as it is; in ``"`` a backslash escapes ``"``, ``\\``, a backtick and ``$``; without quotes it escapes
    any character. Quoted values may span lines, and a backslash at the end of a line joins the next one. Nothing
    is expanded.

    Raises:
        ValueError: a line is no assignment (systemd skips it, and a typing error with it), a quote is not closed,
            or a NUL, which no environment can hold; the text names the line and never its content.
        RejectedError: a variable is superd's to set; it is named.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    variables: dict[str, str] = {}
    position = 0
    while position < len(text):
        if silent := _LINE.match(text, position):
            position = silent.end()
            continue
        start = position
        name = _NAME.match(text, start)
        if name is None:
            raise _error(text, start, "not NAME=value")
        if is_owned(name[1]):
            raise reject(f"{_line_at(text, name.start(1))}: superd sets {name[1]}", "remove it")
        value, position = _value(text, name.end())
        if "\0" in value:
            raise _error(text, start, "NUL")
        variables[name[1]] = value
    return variables


def _value(text: str, position: int) -> tuple[str, int]:
    """The value that starts at ``position``, and where the next line does: quoted pieces, then a plain one."""
    pieces: list[str] = []
    while True:
        while text[position : position + 1] in (" ", "\t"):
            position += 1
        quote = text[position : position + 1]
        if quote not in ("'", '"'):
            plain, position = _plain(text, position)
            return "".join((*pieces, plain)), position + 1
        quoted = (_SINGLE if quote == "'" else _DOUBLE).match(text, position)
        if quoted is None:
            raise _error(text, position, "no closing quote")
        pieces.append(quoted[1] if quote == "'" else _ESCAPED_IN_DOUBLE.sub(r"\1", quoted[1]))
        position = quoted.end()


def _plain(text: str, position: int) -> tuple[str, int]:
    """The rest of a line without quotes, and where it ends; blanks at its end count only if they are escaped."""
    characters = []
    while character := _PLAIN.match(text, position):
        characters.append(character[0])
        position = character.end()
    while characters and characters[-1] in " \t":
        characters.pop()
    return "".join(map(_meant, characters)), position


def _meant(character: str) -> str:
    """What a character of a plain value stands for; nothing, when it only joins two lines or ends the file."""
    return "" if character in ("\\\n", "\\") else character[-1]


def _error(text: str, position: int, problem: str) -> ValueError:
    return ValueError(f"{_line_at(text, position)}: {problem}")


def _line_at(text: str, position: int) -> str:
    return f"line {text.count(chr(10), 0, position) + 1}"
