"""Which importer reads which kind of file, and all that is done to any file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from attrs import evolve

from superd.config.legacy.carried import Carried, LegacyError
from superd.config.legacy.detect import Kind, importable
from superd.config.legacy.fitting import fit
from superd.config.legacy.inetd import read_inetd
from superd.config.legacy.inetd.dialects import DIALECTS
from superd.config.legacy.joining import join
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes

Importer = Callable[[str, bytes, Surroundings, Wishes], Carried]

IMPORTERS: Mapping[Kind, Importer] = {Kind.INETD: read_inetd}
"""The kinds of files that can be imported."""


def read_legacy(file: str, content: bytes, surroundings: Surroundings, wishes: Wishes) -> Carried:
    """What an old file says, not yet held against superd's schema.

    Args:
        file: its name.
        content: what is in it.
        surroundings: what else there is.
        wishes: the options of the import. The name of a dialect of inetd says what the file is.

    Raises:
        LegacyError: it is none that can be imported.
    """
    kind = Kind.INETD if wishes.dialect in DIALECTS else importable(file, content)
    importer = IMPORTERS.get(kind)
    if importer is None:
        raise LegacyError(file, f"superd cannot import a {kind} yet")
    return importer(file, content, surroundings, wishes)


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
    """The same machine, asked once for each port."""
    return evolve(surroundings, lookup_port=functools.cache(surroundings.lookup_port))
