"""Another super-server's file as superd's main configuration, without being converted first."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Literal

from attrs import evolve, field, mutable

from superd.config.files import read_trusted_bytes
from superd.config.findings import RejectedError, findings_of
from superd.config.legacy.carried import Carried, Fate, LegacyError, Origin, Remark
from superd.config.legacy.detect import detect, importable
from superd.config.legacy.folders import entries, sorted_out
from superd.config.legacy.importers import IMPORTERS, read_all
from superd.config.legacy.inetd.dialects import DIALECTS
from superd.config.legacy.report import shown
from superd.config.legacy.surroundings import Surroundings, no_addresses, this_machine
from superd.config.legacy.wishes import Wishes
from superd.config.places import CONFIG_FILE
from superd.errors import Fault

_TOLD = (Fate.FAULT, Fate.NOT_CARRIED)
_LEFT_OVER = "not read, since an editor or a package left it behind; name it if it is meant"


def read_foreign(file: str, content: bytes, wishes: Wishes, *, system: bool) -> Carried | None:
    """What another super-server's file says; None when it is no such file.

    Args:
        file: its name.
        content: what is in it, which is not TOML.
        wishes: how it is read.
        system: False leaves out what depends on this machine, as for superd's own files.

    Raises:
        LegacyError: it is one, and cannot be used as a whole.
    """
    kind = detect(content) or wishes.usual
    if kind not in IMPORTERS and not (wishes.dialect in DIALECTS and content):
        return None
    reading = _Reading(_surroundings(system=system), wishes)
    for path in filter(os.path.exists, wishes.beside):
        reading.add(path)
    return reading.all({file: content, **reading.contents})


def read_together(wishes: Wishes, *, system: bool) -> Carried:
    """What several files and folders of inetd.conf say.

    Args:
        wishes: with ``files``.
        system: as ``read_foreign`` takes it.

    Raises:
        LegacyError: one that was named cannot be read.
    """
    reading = _Reading(_surroundings(system=system), wishes)
    for path in wishes.files:
        reading.add(path)
    return reading.all(reading.contents or {wishes.files[0]: b""})


def has_company(wishes: Wishes) -> bool:
    """Whether there are files to read beside the one that is named, which may then hold comments alone."""
    return any(map(os.path.exists, wishes.beside))


@mutable
class _Reading:
    """Files under way.

    Args:
        surroundings: how they are read.
        wishes: how they are understood.
        contents: of each, by path.
        remarks: about files of folders that are not read.
    """

    surroundings: Surroundings
    wishes: Wishes
    contents: dict[str, bytes] = field(factory=dict)
    remarks: list[Remark] = field(factory=list)

    def add(self, path: str) -> None:
        """Read a file, or every file of a folder; one that cannot be used keeps none of the others from being read.

        Raises:
            LegacyError: a file that was named, or a folder, cannot be read.
        """
        if not os.path.isdir(path):
            self.contents[path] = self.surroundings.read(path)
            return
        files, leftovers = sorted_out(path, self.surroundings.entries(path))
        for left in leftovers:
            self.remarks.append(Remark(Origin(left, 0), Fate.NOT_CARRIED, _LEFT_OVER))
        for file in files:
            try:
                content = self.surroundings.read(file)
                if self.wishes.dialect not in DIALECTS:
                    importable(file, content, self.wishes.usual)
                self.contents[file] = content
            except LegacyError as error:
                self.remarks.append(Remark(Origin(file, 0), Fate.FAULT, f"not read: {error.fault.advice}"))

    def all(self, contents: Mapping[str, bytes]) -> Carried:
        """What they say together."""
        carried = read_all(contents, self.surroundings, self.wishes)
        return evolve(carried, remarks=(*self.remarks, *carried.remarks))


def _surroundings(*, system: bool) -> Surroundings:
    """This machine, with files that a root process may believe; no name server is asked where to listen."""

    def read(path: str) -> bytes:
        try:
            return read_trusted_bytes(path, system=system)
        except RejectedError as error:
            found = findings_of(error)[0]
            raise LegacyError(path, found.problem, found.remedy) from None

    return (
        this_machine(read, entries) if system else Surroundings(read, entries, _any_port, no_addresses, None)
    )


def _any_port(name: str, transport: Literal["tcp", "udp"]) -> int | None:
    return 0


def told(carried: Carried, wishes: Wishes) -> Iterator[Fault]:
    """Warnings: whose file it is and how it is converted, and each line that makes no service."""
    named = wishes.files or (*carried.files[:1], *filter(os.path.exists, wishes.beside))
    remedy = f"convert it with: superctl import -o {CONFIG_FILE} {' '.join(map(shlex.quote, named))}"
    yield Fault(carried.files[0], "", f"read as {carried.dialect} reads it", remedy)
    for remark in carried.remarks:
        if remark.fate in _TOLD:
            reason = shown(f"{remark.fate}: {remark.reason}")
            yield Fault(shown(str(remark.origin)), "", reason, service=remark.service or None)
