"""What the parsers of single values raise, where it stands, and how TOML would spell it.

A parser knows neither file nor key: it raises ``RejectedError`` with its findings, and a ``Place`` turns those into
faults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from attrs import frozen

from superd.errors import Fault, SuperdError, UnitError

_WHOLE: Final = object()
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MAX_SHOWN = 80  # characters of a value in a fault
_MAX_ITEMS = 8  # of a list or table in a fault


@frozen
class Finding:
    """One thing wrong with one value.

    Args:
        problem: what is wrong, in a few words.
        remedy: what to write instead.
        value: the part of the value that is meant, when it is not all of it.
        at: the key inside the value that is meant (a variable of ``environment``), or empty.
    """

    problem: str
    remedy: str = ""
    value: object = _WHOLE
    at: str = ""


class RejectedError(SuperdError, ValueError):
    """A value, or a whole file, that cannot be used. Carries everything found about it."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings
        super().__init__("; ".join(finding.problem for finding in findings))


def reject(problem: str, remedy: str = "") -> RejectedError:
    """The usual case: one finding, about the whole value."""
    return RejectedError(Finding(problem, remedy))


def findings_of(error: RejectedError | UnitError) -> tuple[Finding, ...]:
    """The findings of either kind of error that a parser of values may raise."""
    return error.findings if isinstance(error, RejectedError) else (Finding(error.problem, error.remedy),)


@frozen
class Place:
    """A table of a file: where faults about its keys stand.

    Args:
        file: the file, as the administrator named it.
        path: dotted path of the table (``services.ftp.socket``); empty for the whole file.
        service: the service it belongs to, None outside of ``[services.*]``.
    """

    file: str
    path: str = ""
    service: str | None = None

    def key(self, name: str) -> str:
        """The dotted path of a key of this table, quoted where TOML wants it."""
        return ".".join(part for part in (self.path, toml_key(name) if name else "") if part)

    def inside(self, name: str, service: str | None = None) -> Place:
        """The table ``name`` of this one."""
        return Place(self.file, self.key(name), service or self.service)

    def fault(self, name: str, problem: str, remedy: str = "", value: object = None) -> Fault:
        """A fault about the key ``name`` (empty: about the table); ``value`` is shown unless it is None."""
        shown = None if value is None else toml_text(value)
        return Fault(self.file, self.key(name), problem, remedy, shown, self.service)

    def faults(
        self, name: str, value: object, error: RejectedError | UnitError, *, secret: bool
    ) -> list[Fault]:
        """What a parser found about the value of the key ``name``; a secret value is never shown."""
        found = []
        for finding in findings_of(error):
            place, key = (self.inside(name), finding.at) if finding.at else (self, name)
            shown = value if finding.value is _WHOLE else finding.value
            found.append(place.fault(key, finding.problem, finding.remedy, None if secret else shown))
        return found


def toml_key(name: str) -> str:
    """A key as TOML spells it: bare where it may be, else quoted."""
    return name if _BARE_KEY.fullmatch(name) else toml_text(name)


def toml_text(value: object) -> str:
    """A value as TOML spells it, shortened, and with nothing in it that a terminal or a log would obey."""
    text = _spell(value, 2)
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def toml_value(value: object) -> str:
    """A value as TOML spells it, whole, on one line."""
    if isinstance(value, str):
        return _spell_text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping):
        rows = ", ".join(f"{toml_value(name)} = {toml_value(inner)}" for name, inner in value.items())
        return f"{{ {rows} }}" if rows else "{}"
    return _spell(value, 0)


def _spell_text(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_spell_character, text))}"'


def _spell(value: object, depth: int) -> str:
    if isinstance(value, str):
        return _spell_text(value[:_MAX_SHOWN])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 64:
        return hex(value)  # str() refuses numbers of more than 4,300 digits
    if isinstance(value, list):
        inner = ", ".join(_spell(item, depth - 1) for item in value[:_MAX_ITEMS]) if depth else "…"
        return f"[{inner}]"
    if isinstance(value, Mapping):
        rows = list(value.items())[:_MAX_ITEMS] if depth else []
        return "{ " + ", ".join(f"{toml_key(key)} = {_spell(item, depth - 1)}" for key, item in rows) + " }"
    return str(value)


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _spell_character(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"
