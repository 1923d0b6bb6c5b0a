"""What the keys of ``[sandbox]`` ask of each other and of the rest of their service: pure, over drafts."""

from __future__ import annotations

from collections.abc import Iterator

from superd.config.drafts import Draft, build_table
from superd.config.model import Mode, Target
from superd.config.sandbox import ANY_PORT, Sandbox, effective
from superd.config.schema import NESTED, SERVICE
from superd.config.syscall_filter import conflicts, parse_error_number, spawner_calls
from superd.errors import Fault

_TABLE = "sandbox"
_NESTED = next(nested for nested in NESTED if nested.name == _TABLE)


def check_sandbox(draft: Draft) -> Iterator[Fault]:
    """The faults of one service that have to do with its sandbox."""
    if not {"exec", "handler"} & set(draft.servers):
        return
    sandbox = build_table(_NESTED, draft.tables[_TABLE])
    whole = effective(sandbox, draft.values.get("user") in ("root", "0"))
    if whole.private_network:
        yield from _network(draft)
    if whole.private_users and whole.ambient_capabilities:
        remedy = "remove it, or write private_users = false"
        problem = "private_users makes them worth nothing outside"
        yield _fault(draft, sandbox, "ambient_capabilities", problem, remedy)
    if whole.dynamic_user:
        yield from _dynamic_user(draft, sandbox)
    yield from _filter(draft, sandbox, whole)


def _fault(draft: Draft, sandbox: Sandbox, key: str, problem: str, remedy: str) -> Fault:
    """About a key, or about the profile where that is what says so."""
    if getattr(sandbox, key) is None:
        key, problem = "profile", f"{key}: {problem}"
    layer = draft.layer_of(key, _TABLE)
    value = layer.raw[_TABLE][key] if layer else None
    return draft.place_of(key, _TABLE).fault(key, problem, remedy, value)


def _network(draft: Draft) -> Iterator[Fault]:
    """What a service without a network cannot be."""
    sandbox = build_table(_NESTED, draft.tables[_TABLE])
    mode = draft.values.get("mode", Mode.NOWAIT)
    if mode is Mode.NOWAIT and not draft.is_faulty("mode") and "udp" in draft.traits:
        problem = "the socket of a datagram's peer can be connected to anybody"
        remedy = 'write private_network = false, or mode = "wait"'
        yield _fault(draft, sandbox, "private_network", problem, remedy)
    target = draft.values.get("forward")
    abstract = isinstance(target, Target) and target.path.startswith("@")
    if isinstance(target, Target) and (target.transport != "unix" or abstract):
        problem = f"nobody reaches the backend at {target.text} there"
        remedy = 'write private_network = false, or forward = "unix:///PATH"'
        yield _fault(draft, sandbox, "private_network", problem, remedy)
    if sandbox.tcp_bind_ports not in (None, (), ANY_PORT) and target is None:
        problem = "private_network denies bind, since nobody would come"
        yield _fault(draft, sandbox, "tcp_bind_ports", problem, "remove it, or write private_network = false")


_COMES_WITH_IT = ("no_new_privileges", "private_tmp", "restrict_suid_sgid")


def _dynamic_user(draft: Draft, sandbox: Sandbox) -> Iterator[Fault]:
    for key in ("user", "group"):
        if key in draft.own.raw[SERVICE]:
            remedy = "remove it, or write dynamic_user = false"
            yield draft.place_of(key).fault(key, "dynamic_user gives it one", remedy, draft.values.get(key))
    for key in _COMES_WITH_IT:
        if getattr(sandbox, key) is False:
            problem = "dynamic_user comes with it: what its user leaves would be the next one's"
            yield _fault(draft, sandbox, key, problem, "remove it, or write dynamic_user = false")


def _filter(draft: Draft, sandbox: Sandbox, whole: Sandbox) -> Iterator[Fault]:
    """A filter under which no spawner could start a program."""
    answer = parse_error_number(whole.system_call_error_number or "kill")
    needed = spawner_calls(
        no_new_privileges=bool(whole.no_new_privileges), private_pids=bool(whole.private_pids)
    )
    denied = conflicts(whole.system_call_filter or (), answer, needed)
    if denied:
        problem = f"denies {', '.join(denied[:8])}, without which no program can be started"
        yield _fault(draft, sandbox, "system_call_filter", problem, "leave it out there")
