"""xinetd.conf with all that it includes, as one run of stanzas.

Source: handle_includedir of xinetd 2.3.15; xinetd.conf(5), "CONFIGURATION FILE DIRECTIVES".
"""

from __future__ import annotations

import os

from attrs import field, mutable

from superd.config.legacy.carried import Comment, Fate, LegacyError, Origin, Remark
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.xinetd.parse import Stanza, parse

MAX_DEPTH = 16
"""Of files that include files; xinetd has no limit, and loops until its memory ends."""

MAX_FILES = 2_000
"""Read in all."""


@mutable
class Pages:
    """What has been read so far, of all files.

    Args:
        surroundings: how other files are read.
        stanzas: services and defaults, in the order in which xinetd sees them.
    """

    surroundings: Surroundings
    stanzas: list[Stanza] = field(factory=list)
    comments: list[Comment] = field(factory=list)
    remarks: list[Remark] = field(factory=list)
    files: list[str] = field(factory=list)
    _trail: tuple[str, ...] = ()

    def read(self, file: str, content: bytes) -> None:
        """Read a file, and those that it includes where it includes them."""
        self.files.append(file)
        parsed = parse(file, content)
        self.comments += parsed.comments
        self.remarks += parsed.remarks
        has_defaults = False
        for stanza in parsed.stanzas:
            if stanza.kind == "include":
                self._include(_beside(file, stanza.name), stanza.origin, file)
            elif stanza.kind == "includedir":
                self._include_folder(_beside(file, stanza.name), stanza.origin, file)
            elif stanza.kind == "defaults" and has_defaults:
                self._ignored(stanza)
            else:
                has_defaults = has_defaults or stanza.kind == "defaults"
                self.stanzas.append(stanza)

    def read_folder(self, folder: str) -> None:
        """Read a folder as includedir does: sorted, without names that have a dot or end in ~.

        Raises:
            LegacyError: it cannot be read.
        """
        for name in sorted(self.surroundings.entries(folder), key=os.fsencode):
            path = os.path.join(folder, name)
            origin = Origin(path, 0)
            if "." in name or name.endswith("~"):
                if not name.startswith("."):
                    reason = "xinetd reads no file with a dot in its name or a ~ at its end"
                    self.remarks.append(Remark(origin, Fate.CARRIED, reason))
                continue
            self._include(path, origin, folder)

    def _include(self, path: str, origin: Origin, by: str) -> None:
        before = self._trail
        if path in before or len(before) >= MAX_DEPTH:
            self._lacks(
                origin, f"{path} is included within itself" if path in before else "included too deep"
            )
            return
        if len(self.files) >= MAX_FILES:
            self._lacks(origin, f"more than {MAX_FILES} files")
            return
        self._trail = (*before, by, path)
        try:
            self.read(path, self.surroundings.read(path))
        except LegacyError as error:
            self._lacks(origin, f"{path}: {error.fault.problem}")
        finally:
            self._trail = before

    def _include_folder(self, folder: str, origin: Origin, by: str) -> None:
        before = self._trail
        self._trail = (*before, by)
        try:
            if len(before) >= MAX_DEPTH:
                self._lacks(origin, "included too deep")
            else:
                self.read_folder(folder)
        except LegacyError as error:
            self._lacks(origin, f"{folder}: {error.fault.problem}")
        finally:
            self._trail = before

    def _lacks(self, origin: Origin, reason: str) -> None:
        self.remarks.append(Remark(origin, Fate.FAULT, reason))

    def _ignored(self, stanza: Stanza) -> None:
        reason = "xinetd ignores a second block of defaults, and all that stands in it"
        self.remarks += [Remark(stanza.origin, Fate.NOTED, reason), *stanza.remarks]
        self.remarks += [
            Remark(one.origin, Fate.NOTED, "in a block that xinetd ignores") for one in stanza.settings
        ]


def _beside(file: str, name: str) -> str:
    """A path as a file names it; xinetd is in the folder / when it reads them."""
    return os.path.normpath(name if name.startswith("/") else os.path.join(os.path.dirname(file), name))
