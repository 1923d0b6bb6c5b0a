"""What ``forward`` asks of the rest of its service, and forwards that would only ever reach themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from superd.config.drafts import Draft
from superd.config.model import Listen, Mode, Scheme, StandardError, Target
from superd.errors import Fault

_TCP = frozenset({Scheme.TCP, Scheme.TCP4, Scheme.TCP6})
_UDP = frozenset({Scheme.UDP, Scheme.UDP4, Scheme.UDP6})
_STREAMS = _TCP | {Scheme.UNIX}
_OWN_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY = frozenset({"*", "0.0.0.0", "::"})  # noqa: S104  nothing is bound


def check_forward(draft: Draft) -> Iterator[Fault]:
    """The faults of one service that have to do with its ``forward``."""
    target = _target(draft)
    if target is None or "forward" not in draft.servers:
        return
    yield from _listens(draft, target)
    if "exec" in draft.servers:
        yield from _with_exec(draft, target)


def _target(draft: Draft) -> Target | None:
    target = draft.values.get("forward")
    return target if isinstance(target, Target) else None


def _listens(draft: Draft, target: Target) -> Iterator[Fault]:
    """Streams go to streams, datagrams to datagrams."""
    fitting = _UDP if target.transport == "udp" else _STREAMS
    remedy = "listen on udp://" if target.transport == "udp" else "listen on tcp:// or unix://"
    for listen in draft.listens:
        if listen.scheme not in fitting:
            problem = f"cannot be forwarded to {target.text}"
            yield draft.place_of("listen").fault("listen", problem, remedy, listen.text)


def _with_exec(draft: Draft, target: Target) -> Iterator[Fault]:
    """The backend is started on demand: superd waits until it accepts, which with UDP nobody can tell."""
    if target.transport == "udp":
        problem = "nobody can tell when a program that is started takes datagrams"
        yield draft.place_of("forward").fault("forward", problem, "remove forward or exec", target.text)
    mode = draft.values.get("mode", Mode.NOWAIT)
    if mode is not Mode.NOWAIT:
        problem = "a backend is not given the listening socket"
        yield draft.place_of("mode").fault("mode", problem, "remove mode, or forward", mode)
    if draft.values.get("standard_error") is StandardError.SOCKET and draft.is_written("standard_error"):
        problem = "a backend has no client for itself"
        place = draft.place_of("standard_error")
        yield place.fault("standard_error", problem, 'write "log" or "null"', StandardError.SOCKET)


def check_loops(drafts: Collection[Draft]) -> Iterator[Fault]:
    """Forwards that lead back to where they began, perhaps by way of others."""
    enabled = [draft for draft in drafts if draft.values.get("enabled") is not False]
    for draft in enabled:
        target, way, here = _target(draft), [draft.name], draft
        while target is not None:
            found = next((other for other in enabled if _reaches(target, other)), None)
            if found is None or (found.name in way and found is not draft):
                break
            if found is draft:
                yield _loop(draft, way)
                break
            way.append(found.name)
            here = found
            target = _target(here)


def _loop(draft: Draft, way: list[str]) -> Fault:
    via = f" by way of {', '.join(way[1:])}" if len(way) > 1 else ""
    target = _target(draft)
    text = target.text if target else ""
    return draft.place_of("forward").fault(
        "forward", f"leads back to the service itself{via}", "name the backend's address", text
    )


def _reaches(target: Target, draft: Draft) -> bool:
    return any(_is_at(target, listen) for listen in draft.listens)


def _is_at(target: Target, listen: Listen) -> bool:
    """Whether what is sent to a target certainly arrives at a listener."""
    if target.path or listen.scheme.is_unix:
        return listen.scheme is Scheme.UNIX and target.path == listen.path
    if listen.scheme not in (_UDP if target.transport == "udp" else _TCP) or listen.port != target.port:
        return False
    if not target.port:  # service names were not looked up
        return False
    six = ":" in target.host
    if listen.scheme[3:] and target.host != "localhost" and listen.scheme[3:] != ("6" if six else "4"):
        return False
    if listen.host in _ANY:
        fits = listen.host == "*" or target.host == "localhost" or six == (listen.host == "::")
        return fits and (target.host in _OWN_HOSTS or target.host.startswith("127."))
    return (target.host, target.scope) == (listen.host, listen.scope) or (
        {target.host, listen.host} <= _OWN_HOSTS and "localhost" in (target.host, listen.host)
    )
