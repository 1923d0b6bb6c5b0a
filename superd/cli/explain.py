"""A service in plain words: pure."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from superd.cli.explain_policy import policy_sentences
from superd.units import format_duration

_HOW = {
    "nowait": "Each connection gets a process of its own",
    "wait": "The first to knock starts one process, which is given the listening socket and serves everybody",
    "always": "One process is kept running and has the listening socket from the start",
}
_STANDARD_ERROR = {
    "log": "What it writes on standard error goes to the log, line by line.",
    "socket": "What it writes on standard error goes to the client.",
    "null": "What it writes on standard error is thrown away.",
}


def explain(service: Mapping[str, Any]) -> str:
    """Who listens where, as whom, what is executed, and how it ends."""
    return "\n".join(_sentences(service))


def _sentences(service: Mapping[str, Any]) -> Iterator[str]:
    yield f"{service['name']} listens on {', '.join(service['listen'])}."
    if service.get("builtin"):
        yield from _builtin(service)
    else:
        yield from _forward(service) if service.get("forward") else _program(service)
    yield from policy_sentences(service)
    children = f"{service['children']} {'child' if service['children'] == 1 else 'children'}"
    yield f"Now: {service['state']}, {children}, {service['accepted']} accepted so far."
    for line in service["fault"].splitlines() if service["state"] == "faulty" else ():
        yield f"It is off because of {line}"
    if service["trouble"]:
        yield f"It is tried again by itself: {service['trouble']}."
    for listener, reason in service["broken"].items():
        yield f"{listener} is not open: {reason}"


def _builtin(service: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"superd serves {service['builtin']} by itself, without a process and without privilege, "
        f"as its acceptor's user {service['acceptor_user']}."
    )
    if service["ident_user"]:
        yield f"It says that every connection is {service['ident_user']}'s."
    if service["runtime_max_s"] >= 0:
        yield f"A connection that lasts longer than {format_duration(service['runtime_max_s'])} is closed."
    if service["idle_timeout_s"] >= 0:
        yield f"A connection on which nothing moves for {format_duration(service['idle_timeout_s'])} is closed."


def _program(service: Mapping[str, Any]) -> Iterator[str]:
    user = service["user"] or service["acceptor_user"]
    if service.get("handler"):
        yield f"Each connection gets a process of its own, in which Python calls {service['handler']}, as {user}."
        yield "That process is a copy of one that has imported it already, so nothing is executed or imported."
    else:
        yield f"{_HOW[service['mode']]}: {shlex.join(service['program'])}, running as {user}."
    yield _STANDARD_ERROR[service["standard_error"]]
    if service["runtime_max_s"] >= 0:
        yield f"A process that runs longer than {format_duration(service['runtime_max_s'])} is ended."
    if service["idle_timeout_s"] >= 0:
        idle = format_duration(service["idle_timeout_s"])
        yield f"A process that nobody has asked for anything for {idle} is ended; the next to knock starts another."
    yield _end(service)


def _end(service: Mapping[str, Any]) -> str:
    return f"To end it, superd sends {_signal_name(service['kill_signal'])}, {_patience(service['timeout_stop_s'])}."


def _forward(service: Mapping[str, Any]) -> Iterator[str]:
    target, is_udp = service["forward"], service["forward"].startswith("udp:")
    what = "each client's datagrams" if is_udp else "each connection"
    yield (
        f"superd itself carries {what} to {target}, without a process for it and without a privilege, "
        f"as its acceptor's user {service['acceptor_user']}."
    )
    version = service["proxy_protocol"].get("send")
    if version:
        yield f"The backend is told who its client is by a PROXY header of version {version}."
    if service["runtime_max_s"] >= 0:
        yield f"A connection that lasts longer than {format_duration(service['runtime_max_s'])} is ended."
    idle = service["idle_timeout_s"]
    if idle >= 0:
        yield f"One on which nothing moves for {format_duration(idle)} is ended."
    if service["program"]:
        user = service["user"] or service["acceptor_user"]
        yield f"The first connection starts the backend: {shlex.join(service['program'])}, running as {user}."
        yield _STANDARD_ERROR[service["standard_error"]]
        if idle >= 0:
            yield f"Without a connection for {format_duration(idle)} it is ended; the next starts it again."
        yield _end(service)


def _patience(seconds: float) -> str:
    return (
        f"and SIGKILL {format_duration(seconds)} later"
        if seconds >= 0
        else "and waits for as long as it takes"
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between SIGRTMIN and SIGRTMAX
        return f"signal {number}"
