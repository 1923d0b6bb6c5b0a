"""Another super-server's file as superd's main configuration, without being converted first."""

from __future__ import annotations

import os
from typing import Literal

from superd.config.files import read_trusted_bytes
from superd.config.findings import RejectedError, findings_of
from superd.config.legacy.carried import Carried, LegacyError
from superd.config.legacy.detect import detect
from superd.config.legacy.importers import IMPORTERS, read_all
from superd.config.legacy.inetd.dialects import DIALECTS
from superd.config.legacy.surroundings import Surroundings, entries, no_addresses, this_machine
from superd.config.legacy.wishes import Wishes


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
    if detect(content) not in IMPORTERS and not (wishes.dialect in DIALECTS and content):
        return None
    surroundings = _surroundings(system=system)
    beside = {path: surroundings.read(path) for path in wishes.beside if os.path.exists(path)}
    return read_all({file: content, **beside}, surroundings, wishes)


def _surroundings(*, system: bool) -> Surroundings:
    """This machine, with files that a root process may believe; the network is not asked where to listen."""

    def read(path: str) -> bytes:
        try:
            return read_trusted_bytes(path, system=system)
        except RejectedError as error:
            found = findings_of(error)[0]
            raise LegacyError(path, found.problem, found.remedy) from None

    return this_machine(read) if system else Surroundings(read, entries, _any_port, no_addresses, None)


def _any_port(name: str, transport: Literal["tcp", "udp"]) -> int | None:
    return 0
