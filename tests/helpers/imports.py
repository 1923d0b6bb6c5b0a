"""Old files in memory, imported and loaded as superd would load what is written."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from superd.config.legacy.carried import Carried, Fate, LegacyError
from superd.config.legacy.importers import read_all
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.write import to_toml
from superd.config.load import load
from superd.config.model import Config, Service

PORTS = {"ftp": 21, "telnet": 23, "tftp": 69, "echo": 7, "web": 80, "time": 37}


@frozen
class Imported:
    """What came out of an import.

    Args:
        carried: of the importer.
        text: what is written.
        config: that, loaded as ``superd --check --no-system -f -`` loads it.
    """

    carried: Carried
    text: str
    config: Config

    def service(self, name: str) -> Service:
        return self.config.services[name]

    def only(self) -> Service:
        (service,) = self.config.services.values()
        return service

    def said(self, *fates: Fate) -> list[str]:
        """The reasons of the remarks with one of these fates; of all, when none is named."""
        return [one.reason for one in self.carried.remarks if not fates or one.fate in fates]

    def says(self, words: str, *fates: Fate) -> bool:
        return any(words in reason for reason in self.said(*fates))


def surroundings(
    files: Mapping[str, str | bytes] | None = None,
    ports: Callable[[str, str], int | None] | None = None,
    hosts: Mapping[str, Sequence[str]] | None = None,
) -> Surroundings:
    """A machine that has these files alone, and knows these names."""
    known = {path: text.encode() if isinstance(text, str) else text for path, text in (files or {}).items()}

    def read(path: str) -> bytes:
        if path not in known:
            raise LegacyError(path, "no such file or directory")
        return known[path]

    def entries(folder: str) -> Sequence[str]:
        prefix = folder.rstrip("/") + "/"
        names = {path.removeprefix(prefix).partition("/")[0] for path in known if path.startswith(prefix)}
        if not names:
            raise LegacyError(folder, "no such file or directory")
        return sorted(names, reverse=True)

    lookup = ports or (lambda name, transport: PORTS.get(name))
    return Surroundings(read, entries, lookup, lambda host: (hosts or {}).get(host, ()), None)


def imported(
    content: str | bytes,
    file: str = "/etc/xinetd.conf",
    machine: Surroundings | None = None,
    wishes: Mapping[str, Any] | None = None,
) -> Imported:
    """Import one file, write it, and load what was written."""
    raw = content.encode() if isinstance(content, str) else content
    carried = read_all({file: raw}, machine or surroundings(), Wishes(**(wishes or {})))
    text = to_toml(carried)
    return Imported(carried, text, load("-", system=False, stdin=io.StringIO(text)))
