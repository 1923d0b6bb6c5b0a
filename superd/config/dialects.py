"""What to write instead of an unknown key: the second table, of other super-servers' and the kernel's spellings.

systemd's ``CamelCaseSec`` spellings of keys that superd has need no row: names are compared without case,
underscores, hyphens and a trailing ``Sec``.
"""

from __future__ import annotations

import difflib
import re

from superd.config.schema import KEYS, LATER, NESTED, SERVICE, TABLES
from superd.config.schema_grants import GRANT

_EXEC = 'exec = ["/path/of/program", "argument"]'
_TCP = 'listen = ["tcp://*:PORT"]'
_UDP = 'listen = ["udp://*:PORT"]'

# Squeezed foreign name -> what superd calls it: [table.]key, with an example where the name alone says too little.
_SPELLINGS: dict[str, str] = {
    # xinetd.conf(5)
    "accesstimes": 'access.hours = ["08:00-18:00"]',
    "bannerfail": "access.banner_denied",
    "bannersuccess": "banner",
    "bind": _TCP.replace("*", "ADDRESS"),
    "cps": 'limits.rate = "50/s"',
    "denytime": "limits.penalty",
    "disable": "enabled = true for no, false for yes",
    "env": "environment",
    "groups": "init_groups",
    "instances": "limits.max_connections",
    "interface": _TCP.replace("*", "ADDRESS"),
    "libwrap": "access.hosts_access",
    "logtype": "superd.log",
    "maxload": "limits.max_load",
    "noaccess": "access.deny",
    "onlyfrom": "access.allow",
    "passenv": "pass_environment",
    "persource": "limits.max_connections_per_source",
    "port": _TCP,
    "protocol": _TCP,
    "redirect": "forward",
    "rlimitas": "limit_as",
    "rlimitcpu": "limit_cpu",
    "rlimitdata": "limit_data",
    "rlimitfiles": "limit_nofile",
    "rlimitrss": "limit_rss",
    "rlimitstack": "limit_stack",
    "server": _EXEC,
    "serverargs": _EXEC,
    "sockettype": _TCP,
    "ipv6v6only": 'listen = ["tcp6://*:PORT"]',
    "v6only": 'listen = ["tcp6://*:PORT"]',
    "wait": 'mode = "nowait" for no, "wait" for yes',
    # systemd.socket(5), systemd.service(5), systemd.exec(5)
    "accept": 'mode = "nowait" for yes, "wait" for no',
    "bindipv6only": 'listen = ["tcp6://*:PORT"] for ipv6-only, socket.dual_stack for both',
    "execstart": _EXEC,
    "ipaddressallow": "access.allow",
    "ipaddressdeny": "access.deny",
    "listendatagram": _UDP,
    "listensequentialpacket": 'listen = ["unix-seqpacket:///PATH"]',
    "listenstream": _TCP,
    "maxconnections": "limits.max_connections",
    "maxconnectionspersource": "limits.max_connections_per_source",
    "restart": 'mode = "always"',
    "polllimitburst": "limits.burst",
    "polllimitinterval": 'limits.rate = "50/s"',
    "triggerlimitburst": "limits.burst",
    "triggerlimitinterval": 'limits.rate = "50/s"',
    # sshd_config(5)
    "maxstartups": "limits.max_connections",
    "persourcemaxstartups": "limits.max_connections_per_source",
    "persourcenetblocksize": "limits.source_prefix_ipv4",
    "persourcepenalties": "limits.penalty",
    "persourcepenaltyexemptlist": "limits.exempt",
    # launchd.plist(5)
    "disabled": "enabled = false for true, true for false",
    "environmentvariables": "environment",
    "exittimeout": "timeout_stop",
    "groupname": "group",
    "inetdcompatibility": 'mode = "nowait" or "wait"',
    "program": _EXEC,
    "programarguments": _EXEC,
    "sockfamily": _TCP,
    "socknodename": _TCP.replace("*", "ADDRESS"),
    "sockpathmode": "socket.socket_mode",
    "sockpathname": 'listen = ["unix:///PATH"]',
    "sockservicename": _TCP,
    "socktype": _TCP,
    "standarderrorpath": "standard_error",
    "username": "user",
    # plain words that a newcomer tries
    "address": _TCP.replace("*", "ADDRESS"),
    "args": _EXEC,
    "chroot": "root_directory",
    "command": _EXEC,
    "cwd": "working_directory",
    "gid": "group",
    "host": _TCP.replace("*", "ADDRESS"),
    "maxchildren": "limits.max_connections",
    "path": "exec_path",
    "ratelimit": 'limits.rate = "50/s"',
    "stderr": "standard_error",
    "timeout": "runtime_max, idle_timeout or timeout_stop",
    "uid": "user",
}

# setsockopt(2), as the meanings of superd's own keys name the options
_SOCKET_OPTION = re.compile(r"\b(?:SO|TCP|IP|IPV6)_[A-Z0-9_]+")

_NESTED = tuple(table.name for table in NESTED)


def _squeeze(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").removesuffix("sec")


def qualified(table: str, name: str) -> str:
    return name if table == SERVICE else f"{table}.{name}"


_OWN = {_squeeze(key.name): qualified(key.table, key.name) for key in reversed(KEYS) if key.table != GRANT}
_OWN.update({_squeeze(name): qualified("superd", name) for name in LATER if _squeeze(name) not in _SPELLINGS})
_OWN.update(
    {
        _squeeze(option): qualified(key.table, key.name)
        for key in KEYS
        if key.table != GRANT
        for option in _SOCKET_OPTION.findall(key.meaning)
    }
)


def advise(table: str, name: str, path: str) -> tuple[str, str]:
    """Problem and remedy for a key that this table does not have.

    Args:
        table: as in TABLES.
        name: the unknown key.
        path: dotted path of the table it stands in.
    """
    if name in _later(table):
        return "not supported by this version", "remove it"
    target = meant(table, name) if table != GRANT else ""  # no other super-server has grants
    if target:
        return "unknown key", _remedy(target, table, path)
    tables = {nested: f"[{path}.{nested}]" for nested in _NESTED} if table == SERVICE else {}
    close = _closest(name, (*TABLES[table], *_later(table), *tables)) or _closest(name.lower(), tuple(tables))
    remedy = f"did you mean {tables.get(close, close)}?" if close else "superd.toml(5) lists the keys"
    return "unknown key", remedy


def _later(table: str) -> frozenset[str]:
    return LATER if table == "superd" else frozenset()


def meant(table: str, name: str) -> str:
    """What superd calls a key that this table does not have: ``[table.]key``, perhaps with an example; else empty.

    Args:
        table: as in TABLES; its own keys come first.
        name: the unknown key, in anybody's spelling.
    """
    squeezed = _squeeze(name)
    for known in (*TABLES[table], *_later(table)):
        if _squeeze(known) == squeezed:
            return qualified(table, known)
    return _SPELLINGS.get(squeezed) or _OWN.get(squeezed, "")


def nearest(name: str, known: tuple[str, ...]) -> str:
    """A remedy that names the most similar of the known names; empty when none is."""
    close = _closest(name, known)
    return f"did you mean {close}?" if close else ""


def _closest(name: str, known: tuple[str, ...]) -> str:
    return next(iter(difflib.get_close_matches(name, known, 1)), "")


def _remedy(target: str, table: str, path: str) -> str:
    """How to write the key ``[table.]key[ = example]`` from within the table at ``path``."""
    nested = table in _NESTED
    service = "services.NAME" if table == "superd" else path.removesuffix(f".{table}") if nested else path
    key, equals, example = target.partition(" = ")
    group, _, name = key.rpartition(".")
    home = group if group == "superd" else f"{service}.{group}".removesuffix(".")
    written = name + equals + example if home == path else f"[{home}] {name}{equals}{example}"
    later = name in _later(group)
    return f"superd calls it {written}, not supported by this version" if later else f"write {written}"
