"""Entries as services: who got a socket at last, what is one service to superd, and what it is called."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from attrs import field, frozen, mutable

from superd.config.legacy.carried import Carried, Fate, Remark, ServiceTable, nested
from superd.config.legacy.inetd.dialects import Dialect, dialect_of
from superd.config.legacy.inetd.entries import Entry, EntryError, Note
from superd.config.legacy.inetd.head import defaults_of, head_of
from superd.config.legacy.inetd.lines import Pages
from superd.config.legacy.inetd.listeners import Unit, listen_texts
from superd.config.legacy.inetd.mapping import Mapped, mapped
from superd.config.legacy.names import fresh_name
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes


def read_inetd(file: str, content: bytes, surroundings: Surroundings, wishes: Wishes) -> Carried:
    """What an inetd.conf says.

    Args:
        file: its name, for messages and for what it includes.
        content: what is in it.
        surroundings: what else there is.
        wishes: the options of the import.

    Raises:
        LegacyError: there is no such dialect.
    """
    dialect = dialect_of(file, content, wishes.dialect)
    pages = Pages(dialect, surroundings)
    pages.read(file, content)
    making = _Making(dialect, surroundings, wishes, remarks=list(pages.remarks))
    making.make(pages.entries)
    return Carried(
        dialect=dialect.words,
        services=tuple(making.services),
        defaults=defaults_of(dialect, wishes),
        head=head_of(dialect, wishes),
        comments=tuple(pages.comments),
        remarks=tuple(making.remarks),
        files=tuple(pages.files),
    )


@frozen
class _Group:
    """What is one service to superd: sockets whose entries agree in all else.

    Args:
        mapped: the first of its entries.
        units: its sockets.
    """

    mapped: Mapped
    units: tuple[Unit, ...]


@mutable
class _Making:
    """Services under way."""

    dialect: Dialect
    surroundings: Surroundings
    wishes: Wishes
    services: list[ServiceTable] = field(factory=list)
    remarks: list[Remark] = field(factory=list)
    taken: dict[str, str] = field(factory=dict)  # names, and the transport of each

    def make(self, entries: Iterable[Entry]) -> None:
        """Make the services of all entries."""
        found = [one for one in map(self._mapped, entries) if one is not None]
        for group in _groups(self._winners(found)):
            self._service(group)

    def _mapped(self, entry: Entry) -> Mapped | None:
        try:
            return mapped(entry, self.dialect, self.surroundings, self.wishes)
        except EntryError as error:
            fate = error.fate if entry.enabled else Fate.NOT_CARRIED
            self.remarks.append(Remark(entry.origin, fate, error.reason))
            return None

    def _winners(self, found: Sequence[Mapped]) -> list[tuple[Mapped, tuple[Unit, ...]]]:
        """The sockets that each entry kept: a later line takes them from an earlier one. One that is off takes none."""
        owners = {unit.key: one for one in found if one.entry.enabled for unit in one.units}
        kept = []
        for one in found:
            losses = [one.entry.enabled and owners[unit.key] is not one for unit in one.units]
            units = [unit for unit, is_lost in zip(one.units, losses, strict=True) if not is_lost]
            lost = [
                owners[unit.key].entry.origin.line
                for unit, is_lost in zip(one.units, losses, strict=True)
                if is_lost
            ]
            if lost and not units:
                reason = f"line {lost[0]} says something else for the same port, and the last line counted"
                self.remarks.append(Remark(one.entry.origin, Fate.NOT_CARRIED, reason))
            elif units:
                kept.append((one, tuple(units)))
        return kept

    def _service(self, group: _Group) -> None:
        entry = group.mapped.entry
        wanted = os.path.basename(entry.service.removeprefix("tcpmux/")).lstrip("+")
        name = self._name(wanted, group.units[0])
        keys = {"listen": _listen(group.units), **group.mapped.keys}
        if _is_dual(group):
            keys["socket.dual_stack"] = True
        self.services.append(ServiceTable(name, nested(keys), entry.origin))
        lines = {unit.entry.origin.line: unit.entry.origin for unit in group.units}
        for line, origin in lines.items():
            if line != entry.origin.line:
                reason = f"one service with line {entry.origin.line}, since they differ in the protocol alone"
                self.remarks.append(Remark(origin, Fate.CARRIED, reason, name, "listen"))
        self.remarks += [
            Remark(entry.origin, note.fate, note.reason, name, note.key) for note in _notes(group)
        ]

    def _name(self, wanted: str, unit: Unit) -> str:
        """A free name; what tells two apart stands in the second's."""
        transport = unit.entry.transport
        endings = ["ipv6", f"{transport}6"] if unit.family == "6" else []
        if self.taken.get(wanted, transport) != transport:
            endings.insert(0, transport)
        name = fresh_name(wanted, self.taken, *endings)
        self.taken[name] = transport
        return name


def _is_dual(group: _Group) -> bool:
    """Whether the old inetd accepted clients of both families from one socket."""
    entry = group.mapped.entry
    return entry.transport == "tcp" and not entry.wait and _families(group) == {"46"}


def _families(group: _Group) -> set[str]:
    """Of the sockets on all addresses."""
    return {unit.family for unit in group.units if unit.host == "*"}


def _notes(group: _Group) -> list[Note]:
    notes = list(group.mapped.notes)
    if _is_dual(group):
        told = "one socket for both families, as it was: the program sees ::ffff:192.0.2.1 for 192.0.2.1"
        notes.append(Note(Fate.CARRIED, told, "socket.dual_stack"))
    elif "46" in _families(group) and not group.mapped.entry.wait:
        told = "the old inetd had one socket for both, and its program saw ::ffff:192.0.2.1 for 192.0.2.1"
        notes.append(Note(Fate.NOTED, told, "listen"))
    return notes


def _listen(units: Sequence[Unit]) -> list[str]:
    if units[0].entry.service.startswith("tcpmux/"):
        return [f"tcpmux://{units[0].place}"]
    return listen_texts(units)


def _groups(kept: Sequence[tuple[Mapped, tuple[Unit, ...]]]) -> list[_Group]:
    """One service for each entry; with wait one for each socket, whose child owns that and no other.

    Entries that differ in the protocol alone are one service.
    """
    groups: list[_Group] = []
    joined: dict[object, int] = {}
    for one, units in kept:
        if one.entry.wait and not one.entry.is_internal:
            groups += [_Group(one, (unit,)) for unit in units]
            continue
        profile = _profile(one)
        index = joined.setdefault(profile, len(groups))
        if index < len(groups):
            groups[index] = _Group(groups[index].mapped, (*groups[index].units, *units))
        else:
            groups.append(_Group(one, units))
    return groups


def _profile(one: Mapped) -> object:
    """What entries agree in that are one service."""
    entry = one.entry
    keys = tuple(sorted((key, str(value)) for key, value in one.keys.items()))
    return entry.service, entry.hosts, entry.socket_type, entry.transport, keys
