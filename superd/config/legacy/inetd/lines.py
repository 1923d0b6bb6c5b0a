"""A whole inetd.conf: entries, comments and remarks, with what holds from one line to the next."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Sequence

from attrs import evolve, field, mutable

from superd.config.legacy.carried import Comment, Fate, LegacyError, Origin, Remark
from superd.config.legacy.inetd import keyvalue, positional
from superd.config.legacy.inetd.dialects import Dialect
from superd.config.legacy.inetd.entries import Entry, EntryError, Note
from superd.config.legacy.inetd.words import words_of
from superd.config.legacy.reading import Line, lines_of
from superd.config.legacy.surroundings import Surroundings

_OFF = re.compile(r"#(?:<off>#|#)[ \t]*(?P<rest>\S.*)")
_INCLUDE = re.compile(r"\.include[ \t]+[\"'](?P<glob>[^\"']+)[\"'][ \t]*")
_TRAILING = re.compile(r"[ \t]#")
_MAX_DEPTH = 16
MAX_FILES = 2_000
"""Read in all, those included."""

_MAX_DEFINITION = 100  # lines


@mutable
class Pages:
    """What has been read so far, of all files.

    Args:
        dialect: whose they are.
        surroundings: how other files are read.
    """

    dialect: Dialect
    surroundings: Surroundings
    entries: list[Entry] = field(factory=list)
    comments: list[Comment] = field(factory=list)
    remarks: list[Remark] = field(factory=list)
    files: list[str] = field(factory=list)
    hosts: tuple[str, ...] = ()
    protected: bool = False
    trail: tuple[str, ...] = ()

    def read(self, file: str, content: bytes) -> None:
        """Read a file, and those that it includes."""
        self.files.append(file)
        lines = lines_of(file, content)
        returns = next((line for line in lines if line.had_return), None)
        if returns:
            reason = (
                "lines end in CRLF; the old daemon took the return for part of the last word, superd does not"
            )
            self.remarks.append(Remark(evolve(returns.origin, text=""), Fate.NOTED, reason))
        number = 0
        while number < len(lines):
            number = self._line(lines, number)

    def _line(self, lines: Sequence[Line], number: int) -> int:
        """Read what begins in a line; returns the number of the first line that does not belong to it."""
        line = lines[number]
        text = line.text
        if not text.strip(" \t\f\v"):
            return number + 1
        if text.startswith("#"):
            self._marked(line)
            return number + 1
        if text.lstrip().startswith("#"):
            self.comments.append(Comment(line.origin, text.lstrip()[1:]))
            return number + 1
        if self.dialect.name == "netbsd" and (include := _INCLUDE.fullmatch(text)):
            self._include(line.origin, include["glob"])
            return number + 1
        if self.dialect.name == "netbsd" and (head := keyvalue.heads(text)):
            return self._definitions(lines, number, head)
        return self._fields(lines, number)

    # --- comments, and what looks like one ---

    def _marked(self, line: Line) -> None:
        text, origin = line.text, line.origin
        if text.startswith("#@") and self.dialect.has_ipsec:
            policy = text[2:].strip()
            self.protected = bool(policy)
            reason = "superd sets no IPsec policy; services that stood under one are switched off"
            told = Remark(origin, Fate.FAULT if policy else Fate.SETTING, reason)
            self.remarks.append(told)
            return
        off = _OFF.fullmatch(text)
        words = words_of(off["rest"], self.dialect.quotes) if off else []
        if off and positional.is_service(words):
            self._entry(line, words, enabled=False)
        else:
            self.comments.append(Comment(origin, text[1:]))

    # --- lines of fields ---

    def _fields(self, lines: Sequence[Line], number: int) -> int:
        line = lines[number]
        after = number + 1
        if self.dialect.continues:
            while after < len(lines) and lines[after].text[:1] in (" ", "\t") and lines[after].text.strip():
                after += 1
        parts = lines[number:after]
        words = [word for part in parts for word in words_of(part.text, self.dialect.quotes)]
        hosts, service = positional.split_hosts(words[0]) if len(words) == 1 else ((), words[0])
        if hosts and not service:
            self._default_hosts(line.origin, hosts)
            return after
        self._entry(line, words, enabled=True, more=parts[1:])
        return after

    def _default_hosts(self, origin: Origin, hosts: tuple[str, ...]) -> None:
        """Addresses for all that follows; an asterisk means all of them again."""
        if not self.dialect.has_hosts:
            reason = f"{self.dialect.words} knows no line that names addresses for what follows"
            self.remarks.append(Remark(origin, Fate.FAULT, reason))
            return
        self.hosts = () if hosts == ("*",) else hosts
        self.remarks.append(Remark(origin, Fate.SETTING, "it is in listen of each service that follows"))

    def _entry(self, line: Line, words: Sequence[str], *, enabled: bool, more: Sequence[Line] = ()) -> None:
        notes = [] if enabled else [Note(Fate.DISABLED, "")]
        for part in more:
            if part.text.lstrip().startswith("#"):
                told = f"line {part.origin.line} begins with a blank, so {self.dialect.words} took it for arguments"
                notes.append(Note(Fate.NOTED, told, "exec"))
        limit = self.dialect.line_bytes
        if limit and any(len(part.text.encode()) >= limit for part in (line, *more)):
            told = f"longer than {limit - 1} bytes; {self.dialect.words} took the rest for a line of its own"
            notes.append(Note(Fate.NOTED, told, "exec"))
        try:
            if not all(part.is_utf8 for part in (line, *more)):
                raise EntryError("not UTF-8, which TOML cannot hold")
            entry = positional.entry_of(words, line.origin, self.dialect, self.hosts)
        except EntryError as error:
            self.remarks.append(Remark(line.origin, error.fate, error.reason))
            return
        if _TRAILING.search(line.text) and any(word.startswith("#") for word in entry.argv):
            notes.append(
                Note(Fate.NOTED, "# and what follows are arguments: no inetd has comments there", "exec")
            )
        all_notes = (*entry.notes, *notes)
        self.entries.append(
            evolve(entry, enabled=enabled, protected=self.protected and enabled, notes=all_notes)
        )

    # --- NetBSD ---

    def _definitions(self, lines: Sequence[Line], number: int, head: re.Match[str]) -> int:
        """Definitions that begin in a line; several may stand in one."""
        text = "\n".join(line.text for line in lines[number : number + _MAX_DEFINITION])
        position, at = 0, number
        match: re.Match[str] | None = head
        while match:
            origin = lines[at].origin
            try:
                tokens, position = keyvalue.read_definition(text, match.end())
            except EntryError as error:
                self.remarks.append(Remark(origin, error.fate, error.reason))
                return at + 1
            self._definition(origin, match, tokens)
            at += text.count("\n", match.start(), position)
            match = keyvalue.heads(text, position)
        left = text[position:].partition("\n")[0].strip()
        if left.startswith("#"):
            self.comments.append(Comment(lines[at].origin, left[1:]))
        elif left:
            self.remarks.append(Remark(lines[at].origin, Fate.FAULT, f"{left}: stands behind a semicolon"))
        return at + 1

    def _definition(self, origin: Origin, head: re.Match[str], tokens: Sequence[keyvalue.Token]) -> None:
        enabled = head["state"] == "on"
        try:
            values = keyvalue.values_of(tokens)
            entry = keyvalue.entry_of(head["name"], values, origin, self.hosts, enabled=enabled)
        except EntryError as error:
            self.remarks.append(Remark(origin, error.fate, error.reason))
            return
        notes = () if enabled else (Note(Fate.DISABLED, ""),)
        self.entries.append(evolve(entry, protected=entry.protected or self.protected, notes=notes))

    def _include(self, origin: Origin, pattern: str) -> None:
        """The files of a glob, sorted. What holds in the file holds in them."""
        folder, name = os.path.split(os.path.join(os.path.dirname(origin.file), pattern))
        try:
            names = sorted(self.surroundings.entries(folder or "."))
            fitting = [entry for entry in names if fnmatch.fnmatchcase(entry, name)]
            found = [os.path.normpath(os.path.join(folder, entry)) for entry in fitting]
            if len(self.files) + len(found) > MAX_FILES:
                raise LegacyError(origin.file, f"more than {MAX_FILES} files in all", "include fewer")
            for path in found:
                if path in (*self.trail, origin.file) or len(self.trail) >= _MAX_DEPTH:
                    raise LegacyError(path, "includes itself", "break the circle")
            self.trail = (*self.trail, origin.file)
            for path in found:
                hosts, protected = self.hosts, self.protected
                self.read(path, self.surroundings.read(path))
                self.hosts, self.protected = hosts, protected
            self.trail = self.trail[:-1]
        except LegacyError as error:
            self.remarks.append(Remark(origin, Fate.FAULT, str(error)))
            return
        self.remarks.append(Remark(origin, Fate.SETTING, f"read: {', '.join(found) or 'no file'}"))
