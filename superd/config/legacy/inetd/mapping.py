"""From an entry to the keys of a service."""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import evolve, field, frozen, mutable

from superd.config.legacy.carried import Fate
from superd.config.legacy.inetd.accounts import account_of
from superd.config.legacy.inetd.dialects import Dialect
from superd.config.legacy.inetd.entries import Entry, EntryError, Note
from superd.config.legacy.inetd.limits import limits_of
from superd.config.legacy.inetd.listeners import Unit, units_of
from superd.config.legacy.inetd.programs import builtin_of, program_of
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes

_SIZE = re.compile(r"(\d{1,9})([kKmM]?)")
_UNITS = {"": "B", "k": "KiB", "m": "MiB"}
_BUFFERS = {"sndbuf": "socket.send_buffer", "rcvbuf": "socket.receive_buffer"}
_DEFERRED_FOR = "30s"


@frozen
class Mapped:
    """An entry with all that superd makes of it, but its name and its listeners.

    Args:
        units: the sockets that the old inetd opened for it.
        keys: by their dotted names.
        notes: what there is to tell.
    """

    entry: Entry
    units: tuple[Unit, ...]
    keys: Mapping[str, object]
    notes: tuple[Note, ...]


def mapped(entry: Entry, dialect: Dialect, surroundings: Surroundings, wishes: Wishes) -> Mapped:
    """What superd makes of an entry.

    Raises:
        EntryError: no service.
    """
    mapping = _Mapping(entry, dialect, surroundings, wishes, list(entry.notes))
    if entry.service.startswith("tcpmux/"):
        if dialect.name == "gnu":
            told = 'GNU inetd opened port 1 by itself; superd does so for a service with builtin = "tcpmux" alone'
            mapping.notes.append(Note(Fate.NOTED, told, "listen"))
        units = [Unit(entry, "", "", entry.service.partition("/")[2])]
    elif entry.transport == "rpc":
        raise EntryError(
            "superd registers nothing with rpcbind; run the program as a service of its own", _LOST
        )
    else:
        units = units_of(_with_hosts(entry, wishes), dialect, surroundings, wishes.ports, mapping.notes)
    keys = mapping.keys()
    return Mapped(entry, tuple(units), keys, tuple(mapping.notes))


_LOST = Fate.NOT_CARRIED


def _with_hosts(entry: Entry, wishes: Wishes) -> Entry:
    return entry if entry.hosts or not wishes.hosts else evolve(entry, hosts=wishes.hosts)


@mutable
class _Mapping:
    """One entry under way."""

    entry: Entry
    dialect: Dialect
    surroundings: Surroundings
    wishes: Wishes
    notes: list[Note] = field(factory=list)

    def keys(self) -> dict[str, object]:
        entry = self.entry
        keys: dict[str, object] = {}
        if entry.is_internal:
            keys |= builtin_of(entry, self.dialect, self.notes)
        else:
            keys |= self._mode()
            keys |= program_of(entry, self.dialect, self.wishes.folder, self.notes)
            keys["user"] = self._user()
            if self.wishes.tcpd_asked and entry.transport in ("tcp", "udp") and not _hides_peers(entry):
                keys["access.hosts_access"] = True
        keys |= limits_of(entry, self.dialect, self.notes)
        if "access.deny" in keys and _hides_peers(entry):
            del keys["mode"]  # its program is never started, and superd has to see whom it turns away
        keys |= self._socket()
        if not entry.enabled:
            keys["enabled"] = False
        if entry.protected:
            keys["enabled"] = False
            self.notes.append(
                Note(Fate.FAULT, "it stood under an IPsec policy, which superd cannot set", "enabled")
            )
        return keys

    def _mode(self) -> dict[str, object]:
        entry = self.entry
        if entry.wait:
            if entry.socket_type == "stream":
                told = "the program gets the listening socket and accepts from it, as it did"
                self.notes.append(Note(Fate.CARRIED, told, "mode"))
            return {"mode": "wait"}
        if entry.socket_type == "dgram":
            if not self.dialect.has_udp_nowait:
                raise EntryError(f"dgram with nowait, which {self.dialect.words} refused; write wait")
            told = "busybox started a child for each datagram; superd starts one for each peer"
            self.notes.append(Note(Fate.NOTED, told, "listen"))
        return {}

    def _user(self) -> str:
        text = self.entry.user
        faithful, is_user = self.wishes.faithful, self.surroundings.is_user
        account = account_of(text, self.dialect, is_user, self.notes, faithful=faithful)
        return str(evolve(account, group=self.entry.group)) if self.entry.group else str(account)

    def _socket(self) -> dict[str, object]:
        entry = self.entry
        keys: dict[str, object] = {_BUFFERS[name]: _size(value) for name, value in entry.buffers.items()}
        if entry.filter:
            keys["socket.defer_accept"] = _DEFERRED_FOR
            told = f"the accept filter {entry.filter} kept a client back until it had sent something, as this does"
            self.notes.append(Note(Fate.NOTED, told, "socket.defer_accept"))
        if self.wishes.backlog is not None and entry.socket_type == "stream":
            keys["socket.backlog"] = self.wishes.backlog
        if entry.transport == "unix":
            keys |= self._owner()
        return keys

    def _owner(self) -> dict[str, object]:
        """Owner and mode of a socket's file."""
        user, group, mode = self.entry.socket_owner
        mode = mode or self.dialect.unix_mode
        owner = {"socket_user": user, "socket_group": group, "socket_mode": mode}
        return {f"socket.{name}": value for name, value in owner.items() if value}


def _hides_peers(entry: Entry) -> bool:
    return entry.wait and entry.socket_type == "stream"


def _size(text: str) -> str:
    match = _SIZE.fullmatch(text)
    if match is None:
        raise EntryError(f"{text}: not the size of a buffer")
    return f"{match[1]}{_UNITS[match[2].lower()]}"
