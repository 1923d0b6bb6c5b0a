"""What to write instead of an unknown key: the second table, of other super-servers' spellings.

systemd's ``CamelCaseSec`` spellings of keys that superd has need no row: names are compared without case,
underscores, hyphens and a trailing ``Sec``.
"""

from __future__ import annotations

import difflib

from superd.config.schema import KEYS, LATER, TABLES

_EXEC = 'exec = ["/path/of/program", "argument"]'
_TCP = 'listen = ["tcp://*:PORT"]'
_UDP = 'listen = ["udp://*:PORT"]'

# Squeezed foreign name -> what superd calls it: [table.]key, with an example where the name alone says too little.
_SPELLINGS: dict[str, str] = {
    # xinetd.conf(5)
    "accesstimes": "access.hours",
    "bannerfail": "access.banner_denied",
    "bannersuccess": "banner",
    "bind": _TCP.replace("*", "ADDRESS"),
    "cps": "limits.rate",
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
    "v6only": 'listen = ["tcp6://*:PORT"]',
    "wait": 'mode = "nowait" for no, "wait" for yes',
    # systemd.socket(5), systemd.service(5), systemd.exec(5)
    "accept": 'mode = "nowait" for yes, "wait" for no',
    "bindipv6only": 'listen = ["tcp6://*:PORT"]',
    "capabilityboundingset": "sandbox",
    "execstart": _EXEC,
    "ipaddressallow": "access.allow",
    "ipaddressdeny": "access.deny",
    "listendatagram": _UDP,
    "listensequentialpacket": 'listen = ["unix-seqpacket:///PATH"]',
    "listenstream": _TCP,
    "maxconnections": "limits.max_connections",
    "maxconnectionspersource": "limits.max_connections_per_source",
    "nonewprivileges": "sandbox",
    "privatetmp": "sandbox",
    "protecthome": "sandbox",
    "protectsystem": "sandbox",
    "restart": 'mode = "always"',
    "systemcallfilter": "sandbox",
    "triggerlimitburst": "limits.burst",
    "triggerlimitinterval": "limits.rate",
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
    "path": "exec_path",
    "stderr": "standard_error",
    "uid": "user",
}


def _squeeze(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").removesuffix("sec")


def _qualified(table: str, name: str) -> str:
    return name if table == "service" else f"{table}.{name}"


_OWN = {_squeeze(key.name): _qualified(key.table, key.name) for key in reversed(KEYS)}
_OWN.update(
    {
        _squeeze(name): _qualified("superd", name)
        for name in LATER["superd"]
        if _squeeze(name) not in _SPELLINGS
    }
)


def advise(table: str, name: str, path: str) -> tuple[str, str]:
    """Problem and remedy for a key that this table does not have.

    Args:
        table: ``superd``, ``service`` or ``socket``.
        name: the unknown key.
        path: dotted path of the table it stands in.
    """
    if name in LATER[table]:
        return "not supported by this version", "remove it"
    squeezed = _squeeze(name)
    for known in (*TABLES[table], *LATER[table]):
        if _squeeze(known) == squeezed:
            return "unknown key", _remedy(_qualified(table, known), table, path)
    target = _SPELLINGS.get(squeezed) or _OWN.get(squeezed)
    if target:
        return "unknown key", _remedy(target, table, path)
    return "unknown key", nearest(name, (*TABLES[table], *LATER[table])) or "superd.toml(5) lists the keys"


def nearest(name: str, known: tuple[str, ...]) -> str:
    """A remedy that names the most similar of the known names; empty when none is."""
    close = difflib.get_close_matches(name, known, 1)
    return f"did you mean {close[0]}?" if close else ""


def _remedy(target: str, table: str, path: str) -> str:
    """How to write the key ``[table.]key[ = example]`` from within the table at ``path``."""
    service = {"superd": "services.NAME", "socket": path.removesuffix(".socket")}.get(table, path)
    key, equals, example = target.partition(" = ")
    group, _, name = key.rpartition(".")
    home = group if group == "superd" else f"{service}.{group}".removesuffix(".")
    owner = group if group in LATER["service"] else name
    later = owner in LATER["superd" if group == "superd" else "service"]
    written = name + equals + example if home == path else f"[{home}] {name}{equals}{example}"
    return f"superd calls it {written}, not supported by this version" if later else f"write {written}"
