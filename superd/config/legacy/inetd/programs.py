"""What serves: a program with its words, tcpd in front of it, or inetd itself."""

from __future__ import annotations

import os

from superd.config.legacy.carried import Fate
from superd.config.legacy.inetd.dialects import Dialect
from superd.config.legacy.inetd.entries import Entry, EntryError, Note

_BUILTINS = {
    "echo": "echo",
    "discard": "discard",
    "sink": "discard",
    "chargen": "chargen",
    "ttytst": "chargen",
    "daytime": "daytime",
    "time": "time",
}
_OF_SOME = {"auth": "ident", "tcpmux": "tcpmux"}


def builtin_of(entry: Entry, dialect: Dialect, notes: list[Note]) -> dict[str, object]:
    """The keys of a service that inetd served itself.

    Raises:
        EntryError: there is no such built-in service.
    """
    name = os.path.basename(entry.service) if entry.transport == "unix" else entry.service
    of_this = _OF_SOME.get(name, "") if name in dialect.builtins and entry.socket_type == "stream" else ""
    builtin = _BUILTINS.get(name) or of_this
    if not builtin:
        raise EntryError(f"{name}: {dialect.words} has no such service built in")
    if entry.argv[1:]:
        told = f"options of the built-in {name} ({' '.join(entry.argv[1:])}) have no counterpart"
        notes.append(Note(Fate.NOT_CARRIED, told, "builtin"))
    return {"builtin": builtin}


def program_of(entry: Entry, dialect: Dialect, folder: str, notes: list[Note]) -> dict[str, object]:
    """The keys of a service that a program serves.

    Args:
        entry: the service.
        dialect: whose it is.
        folder: where the old daemon was, and looked for programs.
        notes: added to.

    Raises:
        EntryError: there is none that could be executed.
    """
    program, argv = entry.program, list(entry.argv)
    keys: dict[str, object] = {}
    if os.path.basename(program) == "tcpd":
        if not argv:
            raise EntryError("tcpd without the name of a daemon")
        if _sees_peers(entry):
            program, argv[0] = tcpd_target(argv[0], dialect.tcpd_folder)
            keys["access.hosts_access"] = True
            told = "tcpd stood in front of it; superd asks hosts.allow and hosts.deny itself"
            notes.append(Note(Fate.CARRIED, told, "access.hosts_access"))
        else:
            told = "superd sees no client of this service, so tcpd stays in front of it"
            notes.append(Note(Fate.CARRIED, told, "exec"))
    if not argv:
        argv = [os.path.basename(program)]
        if not dialect.fills_argv:
            told = f"no argv[0], which {dialect.words} wants; superd fills in {argv[0]}"
            notes.append(Note(Fate.NOTED, told, "exec"))
    path = _absolute(program, dialect, folder, notes)
    keys["exec"] = argv
    if argv[0] != path:
        keys["exec_path"] = path
    return keys


def _sees_peers(entry: Entry) -> bool:
    """Whether superd knows who the client is: the listening socket of a stream shows none, a unix socket no address."""
    return entry.transport != "unix" and not (entry.wait and entry.socket_type == "stream")


def tcpd_target(name: str, folder: str) -> tuple[str, str]:
    """The file that tcpd executes, and the argv[0] that it passes on.

    Args:
        name: the first word behind tcpd's path.
        folder: where it looks for a daemon without a path (REAL_DAEMON_DIR).

    Source: tcpd.c of tcp_wrappers 7.6.
    """
    if name.startswith("/"):
        return name, os.path.basename(name)
    return os.path.join(folder, name), name


def _absolute(program: str, dialect: Dialect, folder: str, notes: list[Note]) -> str:
    """The program's path: the inetds did not leave their folder to execute it."""
    if program.startswith("/"):
        return program
    if dialect.name == "busybox":
        raise EntryError(f"{program}: busybox looked for it along its PATH; write where it is")
    told = f"{program} is no absolute path; {dialect.words} took it from its own folder, {folder}"
    notes.append(Note(Fate.NOTED, told, "exec_path"))
    return os.path.join(folder, program)
