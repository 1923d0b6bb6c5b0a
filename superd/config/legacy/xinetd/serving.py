"""What serves a service of xinetd: its program, xinetd itself, or another machine.

Source: fix_server_argv and check_entry of confparse.c; builtins.c; child.c.
"""

from __future__ import annotations

import os

from superd.config.legacy.carried import Fate
from superd.config.legacy.xinetd.listening import NowhereError, Say
from superd.config.legacy.xinetd.resolve import Resolved

_INTERNAL = ("echo", "discard", "chargen", "daytime", "time")
_GONE = ("servers", "services", "xadmin", "sensor")
_TCPD_FOLDER = "/usr/sbin"


def server_of(service: Resolved, say: Say, *, faithful: bool) -> dict[str, object]:
    """The keys that say what serves, by dotted name.

    Args:
        service: with everything from defaults.
        say: for what is done differently.
        faithful: call programs by the very name that xinetd does.

    Raises:
        NowhereError: nothing does that superd knows.
    """
    if "redirect" in service.held:
        return {"forward": _target(service, say)}
    if "INTERNAL" in service.items("type") or "SENSOR" in service.items("flags"):
        return {"builtin": _builtin(service)}
    return _program(service, say, faithful=faithful)


def _target(service: Resolved, say: Say) -> str:
    host, port = service.items("redirect")
    if "server" in service.held:
        say(Fate.CARRIED, "xinetd does not start the server of a service that it redirects", "server")
    written = f"[{host}]" if ":" in host else host
    return f"tcp://{written}:{port}"


def _builtin(service: Resolved) -> str:
    if "SENSOR" in service.items("flags"):
        reason = (
            "a sensor keeps away whoever touches it, forged or not; superd has none. limits.penalty is near"
        )
        raise NowhereError(reason, Fate.NOT_CARRIED)
    name = service.name.lower()
    if name in _GONE:
        raise NowhereError(
            f"xinetd has no internal service {name} any more; superctl status tells", Fate.NOT_CARRIED
        )
    is_datagram = "dgram" in (service.word("socket_type"), _TYPES.get(service.word("protocol")[:3]))
    if name in _INTERNAL or (name == "tcpmux" and not is_datagram):
        return name
    raise NowhereError(f"neither xinetd nor superd has an internal service {name}")


_TYPES = {"tcp": "stream", "udp": "dgram"}


def _program(service: Resolved, say: Say, *, faithful: bool) -> dict[str, object]:
    server, argv = service.word("server"), list(service.items("server_args"))
    if not server:
        raise NowhereError("no server; xinetd disables it")
    if any('"' in word or "'" in word for word in argv):
        say(
            Fate.NOTED,
            "xinetd knows no quotes: they are part of the arguments, for superd too",
            "server_args",
        )
    if "NAMEINARGS" not in service.items("flags"):
        argv = [os.path.basename(server), *argv]
    elif not argv:
        raise NowhereError("flags = NAMEINARGS without server_args; xinetd disables it")
    elif service.held["flags"].origin.line > service.held["server_args"].origin.line:
        say(Fate.NOTED, "xinetd looks for NAMEINARGS before it reads server_args, and would give it no name; mended",
            "flags")  # fmt: skip
    if os.path.basename(server) == "tcpd":
        server, argv = _behind_tcpd(argv, say)
    if not faithful and argv[0] in (server, os.path.basename(server)):
        return {"exec": [server, *argv[1:]]}
    return {"exec": argv} if argv[0] == server else {"exec_path": server, "exec": argv}


def _behind_tcpd(argv: list[str], say: Say) -> tuple[str, list[str]]:
    """tcpd starts what it is called, and asks hosts.allow and hosts.deny first."""
    name = argv[0]
    if name == "tcpd":
        raise NowhereError("tcpd is not told which daemon to start; flags = NAMEINARGS is missing")
    server = name if name.startswith("/") else f"{_TCPD_FOLDER}/{name}"
    say(
        Fate.NOTED,
        f"superd asks hosts.allow and hosts.deny itself, and starts {server} without tcpd",
        "server",
    )
    return server, [os.path.basename(name) if name.startswith("/") else name, *argv[1:]]
