"""What comes out of somebody else's file: services as TOML has them, and what became of every line."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import Factory, frozen

from superd.config.schema import OF_SERVICE, SERVICE
from superd.errors import Fault, SuperdError


class Fate(StrEnum):
    """What became of a line of an old file."""

    CARRIED = "carried"  # as the old daemon did it, and yet there is something to tell
    DISABLED = "disabled"  # carried, with enabled = false, since it was off
    SETTING = "setting"  # it became a setting of superd's or a default of all services
    NOTED = "noted"  # carried, and superd does it differently from the old daemon
    NOT_CARRIED = "not carried"  # it was in force, and superd has nothing like it
    FAULT = "fault"  # it meant nothing to the old daemon either, or superd cannot use it


class LegacyError(SuperdError):
    """A whole file cannot be imported.

    Args:
        file: as the administrator named it.
        problem: what is wrong, in a few words.
        remedy: what to do instead; may be empty.
    """

    def __init__(self, file: str, problem: str, remedy: str = "") -> None:
        self.fault = Fault(file, "", problem, remedy)
        super().__init__(str(self.fault))


@frozen
class Origin:
    """A line of a file: where something comes from.

    Args:
        file: as the administrator named it.
        line: counted from 1; 0 means the file as a whole.
        text: the line as it stands there, without its end.
    """

    file: str
    line: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@frozen
class Remark:
    """What became of a line that was not carried exactly, or not at all.

    Args:
        origin: the line.
        fate: what became of it.
        reason: what the old daemon did, what superd does, why; or what is wrong with it. No full stop.
        service: the service that it became or belongs to; empty for none.
        key: the key of that service that it is about (``limits.rate``); empty for the whole of it. The remark is
            written as a comment above that key.
    """

    origin: Origin
    fate: Fate
    reason: str
    service: str = ""
    key: str = ""


@frozen
class Comment:
    """A comment of the user's, which stays: the text behind the mark, as it stands there."""

    origin: Origin
    text: str


Tables = Mapping[str, object]
"""TOML as a mapping: what ``tomllib`` would give. Tables inside are mappings too."""


@frozen
class ServiceTable:
    """One ``[services.NAME]``.

    Args:
        name: unique among those of a Carried; ``names.py`` makes them.
        tables: its keys, in any order: ``{"listen": [...], "limits": {"rate": "50/s"}}``.
        origin: the line that begins it.
        remains_out: it is no service that superd can have: written as a comment, never served.
    """

    name: str
    tables: Tables
    origin: Origin
    remains_out: bool = False


@frozen
class GrantLines:
    """One ``[[grants]]``: its keys, as ``tomllib`` would give them."""

    table: Tables
    origin: Origin


@frozen
class Carried:
    """What was read from one or several files.

    Args:
        dialect: whose files they are, in words for the log: ``Debian's openbsd-inetd``.
        services: in the order of the files.
        settings: of ``[superd]``.
        defaults: of ``[defaults]``, as ``tables`` of a service.
        grants: in the order of the files too.
        head: what is to be said at the top of what is written: differences that concern all services.
        comments: the user's own.
        remarks: for every line that was not carried exactly, or not at all.
        files: every file that was read.
    """

    dialect: str
    services: tuple[ServiceTable, ...] = ()
    settings: Tables = Factory(dict)
    defaults: Tables = Factory(dict)
    grants: tuple[GrantLines, ...] = ()
    head: tuple[str, ...] = ()
    comments: tuple[Comment, ...] = ()
    remarks: tuple[Remark, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def served(self) -> tuple[ServiceTable, ...]:
        """The services that superd can have, those that are off included."""
        return tuple(service for service in self.services if not service.remains_out)

    @property
    def origins(self) -> dict[str, str]:
        """Where each service stands: ``/etc/inetd.conf:12``."""
        return {service.name: str(service.origin) for service in self.services}

    def as_toml(self) -> dict[str, object]:
        """All of it as ``tomllib`` would give what is written."""
        tables = {"superd": self.settings, "defaults": self.defaults}
        found: dict[str, object] = {name: table for name, table in tables.items() if table}
        if self.grants:
            found["grants"] = [dict(grant.table) for grant in self.grants]
        return {**found, "services": {service.name: service.tables for service in self.served}}


def dotted(tables: Tables) -> dict[str, object]:
    """The keys of a service by their dotted names; the tables that hold keys are no keys themselves."""
    found: dict[str, object] = {}
    for name, value in tables.items():
        if name in OF_SERVICE and name != SERVICE and isinstance(value, Mapping):
            found.update({f"{name}.{key}": inner for key, inner in value.items()})
        else:
            found[name] = value
    return found


def nested(keys: Tables) -> dict[str, object]:
    """The tables of a service from its keys by dotted names: the inverse of ``dotted``."""
    found: dict[str, object] = {}
    for name, value in keys.items():
        table, dot, key = name.partition(".")
        if dot:
            inner = found.setdefault(table, {})
            assert isinstance(inner, dict)  # noqa: S101 - tells mypy what the line above made
            inner[key] = value
        else:
            found[name] = value
    return found
