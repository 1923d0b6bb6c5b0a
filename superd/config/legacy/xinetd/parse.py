"""xinetd.conf as it is written: stanzas of attributes, with their lines, and what is wrong with their form.

xinetd gives up a whole stanza, and sometimes the next one too, over a blank or a brace. Where it is plain what was
meant, the stanza is read as meant, and a remark says so.

Source: xinetd.conf(5); parse.c and parsesup.c of xinetd 2.3.15.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attrs import evolve, field, frozen, mutable

from superd.config.legacy.carried import Comment, Fate, Origin, Remark
from superd.config.legacy.reading import Line, lines_of

MAX_LINE = 16 * 1024
"""Characters of a line; nothing that xinetd can use is longer."""

_SETTING = re.compile(r"([^\s=]+?)(\s*)(\+=|-=|=)(.*)", re.DOTALL)
_BLANKS = " \t\f\v"
_STANZAS = ("service", "defaults")
_KEYWORDS = (*_STANZAS, "include", "includedir")
_INITIALS = frozenset("sdiSDI")


@frozen
class Setting:
    """``name = value value …`` inside a stanza.

    Args:
        name: in small letters.
        operator: ``=``, ``+=`` or ``-=``.
        values: the words behind it; xinetd knows neither quotes nor escapes.
        origin: the line.
    """

    name: str
    operator: str
    values: tuple[str, ...]
    origin: Origin


@frozen
class Stanza:
    """``service NAME { … }``, ``defaults { … }``, ``include FILE`` or ``includedir FOLDER``.

    Args:
        kind: that first word.
        name: of the service, file or folder; empty for defaults.
        origin: the line that begins it.
        settings: what stands in it, in order.
        remarks: about its form.
        is_lost: xinetd does not get to see it, and what it is meant to be is not plain either.
    """

    kind: str
    name: str
    origin: Origin
    settings: tuple[Setting, ...] = ()
    remarks: tuple[Remark, ...] = ()
    is_lost: bool = False


@frozen
class Parsed:
    """One file: its stanzas in order, the user's comments, and remarks about what is in no stanza."""

    stanzas: tuple[Stanza, ...]
    comments: tuple[Comment, ...]
    remarks: tuple[Remark, ...]


def parse(file: str, content: bytes) -> Parsed:
    """Parse one file. Never fails: what cannot be read is among the remarks."""
    lines = lines_of(file, content)
    texts = [line.text.strip(_BLANKS) for line in lines]
    marked = [number for number, text in enumerate(texts) if text and text[0] != "#"]
    used = [number for number in marked if len(texts[number]) <= MAX_LINE]
    reader = _Reader([lines[number] for number in used], [texts[number] for number in used])
    if len(used) < len(marked):
        _leave_out((line.origin for line in lines if len(line.text) > MAX_LINE), reader)
    _remark_on_characters(file, lines, reader)
    stanzas = []
    while (line := reader.take()) is not None:
        stanza = _stanza(line, reader)
        if stanza is not None:
            stanzas.append(stanza)
    comments = [
        Comment(line.origin, text[1:]) for line, text in zip(lines, texts, strict=True) if text[:1] == "#"
    ]
    return Parsed(tuple(stanzas), tuple(comments), tuple(reader.remarks))


def _leave_out(long: Iterable[Origin], reader: _Reader) -> None:
    for origin in long:
        short = evolve(origin, text=origin.text[:40] + "…")
        reader.fault(short, f"longer than {MAX_LINE} characters; left out")


def _remark_on_characters(file: str, lines: Sequence[Line], reader: _Reader) -> None:
    if any(line.had_return for line in lines):
        reason = "the lines end in CRLF; xinetd takes the return for part of the last word; mended"
        reader.remarks.append(Remark(Origin(file, 0), Fate.NOTED, reason))
    for line in reader.lines:
        if not line.is_utf8:
            reader.remarks.append(Remark(line.origin, Fate.NOTED, "not UTF-8; read as ISO 8859-1"))


def keyword(text: str) -> str:
    """The first word of a line, in small letters, when it begins something; not when an operator follows."""
    if text[:1] not in _INITIALS:
        return ""
    words = text.split(maxsplit=2)
    first = words[0].lower() if words else ""
    if first not in _KEYWORDS:
        return ""
    return "" if len(words) > 1 and words[1].startswith(("=", "+=", "-=")) else first


@mutable
class _Reader:
    """The lines that are neither blank nor comments, with and without their blanks, and the remarks about them."""

    lines: list[Line]
    texts: list[str]
    remarks: list[Remark] = field(factory=list)
    _next: int = 0
    _brace: int = -1  # where the closing brace is that was found last

    def peek(self) -> str | None:
        """The text of the next line; None at the end."""
        return self.texts[self._next] if self._next < len(self.texts) else None

    def take(self) -> Origin | None:
        """The next line; None at the end."""
        if self._next == len(self.lines):
            return None
        self._next += 1
        return self.lines[self._next - 1].origin

    def closes_here(self) -> bool:
        """Whether a closing brace comes before the next stanza begins."""
        if self._next <= self._brace:
            return True
        for number in range(self._next, len(self.texts)):
            if self.texts[number] == "}":
                self._brace = number
                return True
            if keyword(self.texts[number]) in _STANZAS:
                return False
        return False

    def note(self, origin: Origin, reason: str) -> None:
        self.remarks.append(Remark(origin, Fate.NOTED, reason))

    def fault(self, origin: Origin, reason: str) -> None:
        self.remarks.append(Remark(origin, Fate.FAULT, reason))


def _stanza(line: Origin, reader: _Reader) -> Stanza | None:
    """The stanza that begins with a line; None when none does."""
    kind = keyword(line.text)
    if kind in ("include", "includedir"):
        return _inclusion(kind, line, reader)
    if kind == "service":
        return _service(line, reader)
    if kind == "defaults":
        return _block(Stanza("defaults", "", line), line.text.split()[1:], reader)
    if line.text.strip() == "}":
        reader.note(line, "a closing brace too many, for which xinetd skips the next stanza; mended")
    else:
        _skip_to_stanza(line, reader)
    return None


def _inclusion(kind: str, line: Origin, reader: _Reader) -> Stanza | None:
    words = line.text.split()
    if len(words) < 2:
        reader.fault(line, f"{kind} names nothing")
        return None
    if len(words) > 2:
        reader.note(line, f"only the first name behind {kind} counts, for xinetd too")
    return Stanza(kind, words[1], line)


def _service(line: Origin, reader: _Reader) -> Stanza | None:
    words = line.text.split()[1:]
    if words and words[0] != "{" and words[0].endswith("{"):
        words = [words[0].rstrip("{"), "{", *words[1:]]
    if not words or words[0] in ("", "{"):
        reader.fault(line, "a service without a name, which xinetd skips")
        _skip_stanza(reader)
        return None
    return _block(Stanza("service", words[0], line), words[1:], reader)


def _block(stanza: Stanza, rest: Sequence[str], reader: _Reader) -> Stanza:
    """The stanza with what stands in it; remarks about it go with it."""
    before = len(reader.remarks)
    what = f"service {stanza.name}" if stanza.name else "defaults"
    _open(what, rest, stanza.origin, reader)
    settings, is_lost = _settings(stanza, what, reader)
    remarks = tuple(reader.remarks[before:])
    del reader.remarks[before:]
    return Stanza(stanza.kind, stanza.name, stanza.origin, settings, remarks, is_lost)


def _open(what: str, rest: Sequence[str], line: Origin, reader: _Reader) -> None:
    """Take the opening brace, wherever it is."""
    is_alone = reader.peek() == "{"
    if is_alone:
        reader.take()
    if rest and rest[0] == "{" and not is_alone:
        reader.note(line, f"xinetd wants the opening brace on a line by itself, and loses {what}; mended")
    elif not is_alone:
        reader.note(line, f"no opening brace follows, without which xinetd loses {what}; mended")
    elif rest and rest != ["{"]:
        reader.note(line, f"xinetd does not read what stands behind {what}")


def _settings(stanza: Stanza, what: str, reader: _Reader) -> tuple[tuple[Setting, ...], bool]:
    """Everything up to the closing brace, or to where that is missing, and whether xinetd cannot read it."""
    settings: list[Setting] = []
    is_lost = False
    while (text := reader.peek()) is not None:
        if _begins_another(text, reader):
            reader.note(
                stanza.origin, f"{what} is not closed, so that xinetd loses it and what follows; mended"
            )
            break
        line = reader.take()
        if line is None or text == "}":
            break
        setting, closes = _setting(line, text)
        if setting is None:
            reader.fault(line, f"not an attribute, an operator and values; xinetd loses all of {what}")
            is_lost = True
            continue
        settings.append(setting)
        if not text[len(setting.name)].isspace():
            reader.note(line, f"xinetd wants a blank before the {setting.operator}, and loses {what}; mended")
        if closes:
            reader.note(line, f"xinetd wants the closing brace on a line by itself, and loses {what}; mended")
            break
    else:
        reader.note(
            stanza.origin, f"{what} is not closed at the end of the file, and xinetd loses it; mended"
        )
    return tuple(settings), is_lost


def _begins_another(text: str, reader: _Reader) -> bool:
    """Whether a line inside a stanza begins the next one; an include that is followed by a brace is inside."""
    kind = keyword(text)
    return kind in _STANZAS or (kind != "" and not reader.closes_here())


def _setting(line: Origin, text: str) -> tuple[Setting | None, bool]:
    """The setting on a line, and whether the closing brace stands on it too."""
    match = _SETTING.fullmatch(text)
    if match is None:
        return None, False
    name, _, operator, rest = match.groups()
    values = rest.split()
    closes = len(values) > 1 and values[-1] == "}" and name.lower() != "server_args"
    return Setting(name.lower(), operator, tuple(values[:-1] if closes else values), line), closes


def _skip_stanza(reader: _Reader) -> None:
    """Report the rest of a stanza as unread, but not the next one."""
    while (text := reader.peek()) is not None and keyword(text) not in _STANZAS:
        line = reader.take()
        if line is None or text == "}":
            return
        if text != "{":
            reader.fault(line, "in a stanza that cannot be read")


def _skip_to_stanza(first: Origin, reader: _Reader) -> None:
    """Report lines outside of every stanza, as one."""
    last = first
    while (text := reader.peek()) is not None and not keyword(text):
        line = reader.take()
        if line is None or text == "}":
            break
        last = line
    where = f"this and all down to line {last.line}" if last is not first else "this"
    reader.fault(
        first, f"{where} is in no stanza; xinetd wants service, defaults, include or includedir there"
    )
