"""The syntax of an ``environment_file``; pure."""

from __future__ import annotations


def parse_environment_file(text: str) -> dict[str, str]:
    """Variables of an ``environment_file``: ``NAME=value`` a line, as systemd.exec(5) reads them.

    Blank lines and lines that start with ``#`` or ``;`` are skipped; a value may be quoted with ``'`` or ``"``;
    a backslash at the end of a line joins the next one. Nothing is expanded.

    Raises:
        ValueError: a line is no assignment; the text names its number and never its content.
    """
    variables: dict[str, str] = {}
    number = 0
    lines = iter(text.splitlines())
    for line in lines:
        number += 1
        start = number
        stripped = line.strip()
        if not stripped or stripped[0] in "#;":
            continue
        while stripped.endswith("\\"):
            number += 1
            stripped = stripped[:-1] + next(lines, "").strip()
        name, equals, value = stripped.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier() or not name.isascii():
            raise ValueError(f"line {start}: not NAME=value")
        if "\0" in value:
            raise ValueError(f"line {start}: NUL")
        variables[name] = _unquote(value.strip())
    return variables


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
