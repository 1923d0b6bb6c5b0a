"""Which importer reads which kind of file, and all that is done to any file."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping

from attrs import evolve

from superd.config.legacy.authbind import read_authbind
from superd.config.legacy.carried import Carried, LegacyError
from superd.config.legacy.detect import Kind, importable, is_authbind
from superd.config.legacy.fitting import fit
from superd.config.legacy.inetd import read_inetd
from superd.config.legacy.inetd.dialects import DIALECTS
from superd.config.legacy.joining import join
from superd.config.legacy.surroundings import Surroundings, asked_of_few
from superd.config.legacy.systemd import read_unit
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.xinetd import read_xinetd

Importer = Callable[[str, bytes, Surroundings, Wishes], Carried]

IMPORTERS: Mapping[Kind, Importer] = {
    Kind.INETD: read_inetd,
    Kind.XINETD: read_xinetd,
    Kind.UNIT: read_unit,
    Kind.AUTHBIND: read_authbind,
}
"""The kinds of files that can be imported."""


def read_legacy(file: str, content: bytes, surroundings: Surroundings, wishes: Wishes) -> Carried:
    """What an old file says, not yet held against superd's schema.

    Args:
        file: its name.
        content: what is in it; nothing for a folder that is imported as a whole.
        surroundings: what else there is.
        wishes: the options of the import. The name of a dialect of inetd says what the file is.

    Raises:
        LegacyError: it is none that can be imported.
    """
    return IMPORTERS[_kind(file, content, surroundings, wishes)](file, content, surroundings, wishes)


def _kind(file: str, content: bytes, surroundings: Surroundings, wishes: Wishes) -> Kind:
    if not content and is_authbind_folder(file, surroundings):
        return Kind.AUTHBIND
    return Kind.INETD if wishes.dialect in DIALECTS else importable(file, content, wishes.usual)


def is_authbind_folder(path: str, surroundings: Surroundings) -> bool:
    """Whether it is a folder, and authbind's."""
    try:
        return is_authbind(surroundings.entries(path))
    except LegacyError:
        return False


def read_all(files: Mapping[str, bytes], surroundings: Surroundings, wishes: Wishes) -> Carried:
    """What several files say together, such that superd takes it.

    Args:
        files: their contents by name; at least one.

    Raises:
        LegacyError: one of them cannot be imported.
    """
    known = _knowing(surroundings)
    carried = join([read_legacy(file, content, known, wishes) for file, content in files.items()])
    asked = evolve(carried, settings={**carried.settings, **wishes.settings})
    return fit(asked, known.lookup_port)


def _knowing(surroundings: Surroundings) -> Surroundings:
    """The same machine, asked once for each port, host and user."""
    return evolve(
        surroundings,
        lookup_port=functools.cache(surroundings.lookup_port),
        lookup_host=asked_of_few(surroundings.lookup_host),
        is_user=surroundings.is_user and functools.cache(surroundings.is_user),
    )


def left_out_of_folder(kinds: Mapping[str, Kind | None]) -> dict[str, str]:
    """The files of a folder that are not imported with the others, each with the reason.

    Args:
        kinds: what each file is, by path.
    """
    has_xinetd = Kind.XINETD in kinds.values()
    reasons: dict[str, str] = {}
    for path, kind in kinds.items():
        name = os.path.basename(path)
        if kind is None or kind is Kind.SUPERD:
            reasons[path] = "no other super-server's file"
        elif has_xinetd and ("." in name or name.endswith("~")):
            reasons[path] = "since xinetd reads no file with a dot in its name or a ~ at its end"
        elif kind is Kind.UNIT and not name.endswith(".socket"):
            reasons[path] = "since it is read with its socket"
    return reasons
