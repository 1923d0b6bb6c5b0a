"""Reading an inetd.conf on a machine that a test makes up."""

from __future__ import annotations

from collections.abc import Mapping

from superd.config.legacy.carried import Carried, Fate, LegacyError, dotted
from superd.config.legacy.importers import read_all
from superd.config.legacy.surroundings import Surroundings
from superd.config.legacy.wishes import Wishes

PORTS = {"ftp": 21, "ssh": 22, "telnet": 23, "tftp": 69, "pop3": 110, "echo": 7, "daytime": 13}
FILES = {
    "/etc/more/b.conf": b"ssh stream tcp nowait root /b b\n",
    "/etc/more/a.conf": b"ftp stream tcp nowait root /a a\n",
}


def read_file(path: str) -> bytes:
    if path not in FILES:
        raise LegacyError(path, "no such file")
    return FILES[path]


def machine(users: tuple[str, ...] = (), hosts: Mapping[str, tuple[str, ...]] | None = None) -> Surroundings:
    def addresses(host: str) -> tuple[str, ...]:
        return (hosts or {}).get(host, ())

    def port_of(name: str, transport: str) -> int | None:
        return PORTS.get(name)

    names = ("b.conf", "a.conf", "readme")
    return Surroundings(read_file, lambda folder: names, port_of, addresses, lambda user: user in users)


def read(text: str, dialect: str = "", at: Surroundings | None = None, **wishes: object) -> Carried:
    named = Wishes(dialect=dialect, **wishes)  # type: ignore[arg-type]
    return read_all({"/etc/inetd.conf": text.encode()}, at or machine(), named)


def keys(text: str, dialect: str = "", at: Surroundings | None = None, **wishes: object) -> dict[str, object]:
    """The keys of the only service of a file."""
    made = read(text, dialect, at, **wishes)
    (service,) = made.services
    return dotted(service.tables)


def fates(made: Carried) -> list[tuple[int, Fate]]:
    return [(remark.origin.line, remark.fate) for remark in made.remarks]


def only_reason(made: Carried, fate: Fate) -> str:
    (found,) = [remark.reason for remark in made.remarks if remark.fate is fate]
    return found


def line(
    service: str = "ftp",
    type_: str = "stream",
    protocol: str = "tcp",
    wait: str = "nowait",
    user: str = "nobody",
    program: str = "/usr/sbin/in.ftpd in.ftpd",
) -> str:
    return f"{service} {type_} {protocol} {wait} {user} {program}\n"
