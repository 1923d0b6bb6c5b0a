"""Unit files: sections of assignments, with the drop-ins that belong to them.

Source: systemd.syntax(7), systemd.unit(5), systemd 252.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

from attrs import evolve, field, frozen, mutable

from superd.config.legacy.carried import Fate, LegacyError, Origin, Remark
from superd.config.legacy.reading import lines_of
from superd.config.legacy.surroundings import Surroundings

FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
           "/lib/systemd/system")  # fmt: skip
"""Where systemd looks, the first with a file of that name first."""

_BLANKS = " \t\f\v"


@frozen
class Assignment:
    """``Name=value`` in a section.

    Args:
        section: ``Socket``, as written.
        name: as written; systemd minds its case.
        value: without blanks around it, lines that a backslash continues joined by a blank.
        origin: its first line.
    """

    section: str
    name: str
    value: str
    origin: Origin


@frozen
class Unit:
    """A unit with its drop-ins.

    Args:
        name: of its file, as ``ftp@.service``.
        assignments: in the order in which systemd reads them.
        remarks: about lines that are none.
        files: that were read.
    """

    name: str
    assignments: tuple[Assignment, ...]
    remarks: tuple[Remark, ...]
    files: tuple[str, ...]

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return self.name.rpartition(".")[0]

    @property
    def prefix(self) -> str:
        """What stands before the @."""
        return self.stem.partition("@")[0]

    @property
    def instance(self) -> str | None:
        """What stands behind the @; None for a template, empty for a unit without one."""
        _, mark, instance = self.stem.partition("@")
        return (instance or None) if mark else ""

    @property
    def has_sockets(self) -> bool:
        return any(one.section == "Socket" for one in self.assignments)

    def all(self, section: str, name: str) -> list[Assignment]:
        """The assignments that count: those after the last empty one."""
        return effective(one for one in self.assignments if (one.section, one.name) == (section, name))

    def last(self, section: str, name: str) -> str:
        """The value of the last one; empty when there is none."""
        found = self.all(section, name)
        return found[-1].value if found else ""

    def is_set(self, section: str, name: str, *, otherwise: bool = False) -> bool:
        """A boolean, as systemd reads it."""
        value = self.last(section, name)
        return boolean(value) if value else otherwise


def effective(assignments: Iterable[Assignment]) -> list[Assignment]:
    """An empty assignment takes back all before it."""
    found: list[Assignment] = []
    for one in assignments:
        found = [*found, one] if one.value else []
    return found


def boolean(text: str) -> bool:
    return text.lower() in ("1", "yes", "y", "true", "t", "on")


def read_unit_file(path: str, content: bytes, surroundings: Surroundings) -> Unit:
    """A unit, with the drop-ins of its own folders."""
    name = os.path.basename(path)
    parser = _Parser()
    parser.read(path, content)
    for drop_in in _drop_ins(name, os.path.dirname(path), surroundings):
        try:
            parser.read(drop_in, surroundings.read(drop_in))
        except LegacyError as error:
            parser.remarks.append(Remark(Origin(drop_in, 0), Fate.FAULT, error.fault.problem))
    return Unit(name, tuple(parser.assignments), tuple(parser.remarks), tuple(parser.files))


def find_unit(name: str, beside: str, surroundings: Surroundings) -> Unit | None:
    """A unit by its name: beside another file, else where systemd looks; None when there is none.

    An instance is what its template says, unless it has a file of its own.
    """
    stem, _, ending = name.rpartition(".")
    template = f"{stem.partition('@')[0]}@.{ending}" if "@" in stem else ""
    for candidate in (name, template) if template else (name,):
        for folder in (beside, *FOLDERS):
            path = os.path.join(folder, candidate)
            try:
                content = surroundings.read(path)
            except LegacyError:
                continue  # not here: the next folder is asked
            return evolve(read_unit_file(path, content, surroundings), name=name)
    return None


def _drop_ins(name: str, beside: str, surroundings: Surroundings) -> Iterator[str]:
    """The drop-ins of a unit, sorted by their names; of the same name the first counts."""
    found: dict[str, str] = {}
    for folder in dict.fromkeys((beside, *FOLDERS)):
        for owner in _owners(name):
            path = os.path.join(folder, f"{owner}.d")
            for leaf in _listing(path, surroundings):
                if leaf.endswith(".conf"):
                    found.setdefault(leaf, os.path.join(path, leaf))
    return (found[leaf] for leaf in sorted(found))


def _owners(name: str) -> Sequence[str]:
    """An instance has the drop-ins of its template too."""
    stem, _, ending = name.rpartition(".")
    prefix, mark, instance = stem.partition("@")
    return (name, f"{prefix}@.{ending}") if mark and instance else (name,)


def _listing(folder: str, surroundings: Surroundings) -> Sequence[str]:
    try:
        return surroundings.entries(folder)
    except LegacyError:
        return ()  # most units have no such folder


@mutable
class _Parser:
    """Takes one file after the other."""

    assignments: list[Assignment] = field(factory=list)
    remarks: list[Remark] = field(factory=list)
    files: list[str] = field(factory=list)

    def read(self, path: str, content: bytes) -> None:
        self.files.append(path)
        section = ""
        for origin, text in _logical(path, content):
            if text.startswith("[") and text.endswith("]"):
                section = text[1:-1]
                continue
            name, equals, value = text.partition("=")
            if not equals or not name.strip() or not section:
                reason = "an assignment outside of every section" if equals else "no assignment"
                self.remarks.append(Remark(origin, Fate.FAULT, f"{reason}, which systemd ignores"))
                continue
            self.assignments.append(Assignment(section, name.strip(), value.strip(_BLANKS), origin))


def _logical(path: str, content: bytes) -> Iterator[tuple[Origin, str]]:
    """Lines with those that they continue; comments inside are left out, as systemd does."""
    begun: Origin | None = None
    text = ""
    for line in lines_of(path, content):
        stripped = line.text.strip(_BLANKS)
        if stripped.startswith(("#", ";")) or (not stripped and begun is None):
            continue
        begun = begun or line.origin
        if stripped.endswith("\\"):
            text += stripped[:-1] + " "
            continue
        yield begun, text + stripped
        begun, text = None, ""
    if begun is not None:
        yield begun, text.strip(_BLANKS)
