"""Where an entry listens: one unit for each socket that the old inetd opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from socket import AF_INET, AF_INET6, inet_pton
from typing import Literal

from attrs import frozen

from superd.config.legacy.carried import Fate
from superd.config.legacy.inetd.dialects import Dialect
from superd.config.legacy.inetd.entries import Entry, EntryError, Note
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wellknown import registered_port

_SCHEMES = {"stream": "unix", "dgram": "unix-dgram", "seqpacket": "unix-seqpacket"}
_TYPES = {"tcp": "stream", "udp": "dgram"}


@frozen
class Unit:
    """One socket of the old inetd.

    Args:
        family: ``4``, ``6``, ``46`` for one socket that is both, or empty.
        host: ``*``, an address, or empty.
        place: the port as written, or the path.
    """

    entry: Entry
    family: str
    host: str
    place: str

    @property
    def key(self) -> tuple[str, ...]:
        """What only one socket of an inetd may have: the last line that asks for it gets it."""
        return self.entry.transport, self.entry.socket_type, self.family, self.host, self.entry.service


def units_of(
    entry: Entry, dialect: Dialect, surroundings: Surroundings, ports: Mapping[str, int], notes: list[Note]
) -> list[Unit]:
    """The sockets of an entry; notes are added to. Ports are those that somebody gave by name.

    Raises:
        EntryError: it has none.
    """
    if entry.transport == "unix":
        return [_unix(entry, dialect)]
    family = _family(entry, dialect)
    port = _port(entry, surroundings, ports, notes)
    families = family.split("+")
    if not entry.hosts:
        return [Unit(entry, one, "*", port) for one in families]
    found = [unit for host in entry.hosts for unit in _at(entry, host, families, port, surroundings, notes)]
    if not found:
        raise EntryError("; ".join(note.reason for note in notes if note.fate is Fate.FAULT))
    return found


def _unix(entry: Entry, dialect: Dialect) -> Unit:
    if not dialect.has_unix:
        raise EntryError(f"{dialect.words} has no unix sockets")
    if entry.socket_type not in _SCHEMES:
        raise EntryError(f"{entry.socket_type} with unix")
    if not entry.service.startswith("/"):
        raise EntryError(f"{entry.service}: not an absolute path")
    return Unit(entry, "", "", entry.service)


def _family(entry: Entry, dialect: Dialect) -> str:
    """The families of an entry with tcp or udp.

    Raises:
        EntryError: it is no such protocol, or another type.
    """
    protocol = entry.protocol
    stripped, slash, extra = protocol.partition("/")
    if (slash and extra in ("ttcp", "faith")) or stripped == "faith":
        raise EntryError(f"{protocol}: no Linux has it", Fate.NOT_CARRIED)
    if entry.socket_type not in _TYPES.values():
        kind = "streams module" if entry.socket_type in ("tli", "xti") else "socket type"
        raise EntryError(f"{entry.socket_type}: no {kind} that superd has", Fate.NOT_CARRIED)
    family = dialect.families.get(protocol)
    if family is None:
        raise EntryError(f"{protocol}: not a protocol of {dialect.words}")
    if _TYPES[protocol[:3]] != entry.socket_type:
        raise EntryError(f"{entry.socket_type} with {protocol}")
    return family


def _port(entry: Entry, surroundings: Surroundings, ports: Mapping[str, int], notes: list[Note]) -> str:
    """The port as listen has it: a number, or a name that this machine knows."""
    name = entry.service
    transport: Literal["tcp", "udp"] = "udp" if entry.transport == "udp" else "tcp"
    if name.isascii() and name.isdigit():
        return name.lstrip("0") or "0"
    if name in ports:
        return str(ports[name])
    if "/" not in name and surroundings.lookup_port(name, transport) is not None:
        return name
    number = registered_port(name, transport)
    if number is None:
        raise EntryError(
            f"/etc/services has no {name} for {transport}; write its number, or --port {name}=NUMBER"
        )
    told = f"/etc/services has no {name} for {transport}; {number} is the port registered for it"
    notes.append(Note(Fate.CARRIED, told, "listen"))
    return str(number)


def _at(
    entry: Entry,
    host: str,
    families: Sequence[str],
    port: str,
    surroundings: Surroundings,
    notes: list[Note],
) -> Iterator[Unit]:
    """The sockets at one host; a fault among the notes where there is none."""
    if host == "*":
        yield from (Unit(entry, family, "*", port) for family in families)
        return
    addresses = [host] if family_of(host) else surroundings.lookup_host(host)
    if not family_of(host) and host != "localhost":
        has = f"now has {', '.join(addresses)}" if addresses else "is not known as a host here"
        fate = Fate.NOTED if addresses else Fate.FAULT
        notes.append(Note(fate, f"{host} {has}; superd wants addresses", "listen"))
    if host == "localhost":
        addresses = ["127.0.0.1", "::1"]
    for address in addresses:
        version = family_of(address)
        fitting = [family for family in families if version in family]
        if not fitting and address == host:
            told = f"{host}: an IPv{version} address with {entry.protocol}, which has none"
            notes.append(Note(Fate.FAULT, told, "listen"))
        elif fitting:
            wild = address in ("::", "0.0.0.0")  # noqa: S104 - nothing is bound here
            family = fitting[0] if wild else version
            yield Unit(entry, family, "*" if wild else address, port)


def family_of(address: str) -> str:
    """``4``, ``6``, or empty for what is no address; an interface may stand behind it."""
    for family, name in ((AF_INET, "4"), (AF_INET6, "6")):
        try:
            inet_pton(family, address.partition("%")[0])
        except (OSError, ValueError):
            continue
        return name
    return ""


def listen_texts(units: Sequence[Unit]) -> list[str]:
    """What listen has for these sockets of one service; both families in one where they agree."""
    texts: dict[str, None] = {}
    together = {(unit.host, unit.place): set[str]() for unit in units}
    for unit in units:
        together[unit.host, unit.place].add(unit.family)
    for unit in units:
        texts[_text(unit, together[unit.host, unit.place])] = None
    return list(texts)


def _text(unit: Unit, families: set[str]) -> str:
    if unit.entry.transport == "unix":
        return f"{_SCHEMES[unit.entry.socket_type]}://{unit.place}"
    scheme = unit.entry.transport
    if unit.host == "*":
        both = "46" in families or {"4", "6"} <= families
        return f"{scheme}{'' if both else unit.family}://*:{unit.place}"
    host = f"[{unit.host}]" if ":" in unit.host else unit.host
    return f"{scheme}://{host}:{unit.place}"
