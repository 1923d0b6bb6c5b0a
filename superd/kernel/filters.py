"""Which system call filters a service gets, and their installation.

``plan`` is pure: a sandbox and a few facts in, filters out. ``apply_filters`` installs them. They are few, since the
kernel runs every one of them for a system call whose arguments one looks at:

1. what protects a spawner from its children, for every service and every ABI of the machine;
2. what the keys of ``[sandbox]`` deny;
3. ``system_call_filter``, the last, since it may deny the loading of filters.

The verdict of all is the most severe one, so none can undo what another denies.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator

from attrs import frozen

from superd.config.model import Service
from superd.config.sandbox import ANY_PORT, Sandbox
from superd.config.sandbox_values import allowed_namespaces, families
from superd.config.syscall_filter import (
    DROPPING_CALLS,
    KILL,
    SystemCalls,
    conflicts,
    merge,
    parse_error_number,
    spawner_calls,
)
from superd.config.syscall_names import KNOWN
from superd.kernel import filter_rules as rules
from superd.kernel import linux, seccomp
from superd.kernel.seccomp import Action, Filter, Foreign, Rule, SeccompError


@frozen
class Facts:
    """What a plan depends on besides the sandbox.

    Args:
        root: whether the service's user is root.
        owns_listeners: whether its program is given the listening sockets (wait and always).
        datagrams: whether it is given a datagram socket that is not connected.
        is_backend: whether its program listens by itself (``forward`` with ``exec``) and is given no socket.
        personality: the execution domain of this process (``linux.personality``).
        architecture: as ``seccomp.architecture`` names it.
    """

    root: bool
    owns_listeners: bool = False
    datagrams: bool = False
    is_backend: bool = False
    personality: int = 0
    architecture: str = ""


def facts_of(service: Service, *, root: bool) -> Facts:
    """The facts about a service on this machine; loads libseccomp.

    Args:
        service: its settings.
        root: whether its user is root.

    Raises:
        SeccompError: there is no libseccomp.
    """
    is_backend = service.forward is not None
    owns_listeners = service.has_instance and not is_backend
    return Facts(
        root=root,
        owns_listeners=owns_listeners,
        datagrams=owns_listeners and any(listen.scheme.is_datagram for listen in service.listen),
        is_backend=is_backend,
        personality=linux.personality(),
        architecture=seccomp.architecture(),
    )


def apply_filters(sandbox: Sandbox, facts: Facts) -> None:
    """Install all filters of a service on this process; the last thing a spawner does to itself.

    With ``no_new_privileges`` that is set first. Without, CAP_SYS_ADMIN must be in force, and be given up
    afterwards by capset(2) and prctl(2), which stay allowed: a filter that denies them is refused.

    Args:
        sandbox: the effective one (``superd.config.sandbox.effective``).
        facts: as ``facts_of`` finds them.

    Raises:
        SeccompError: libseccomp is missing, or the kernel or the plan refuses. Filters may be in force already: the
            process must end.
    """
    filters = plan(sandbox, facts)
    if sandbox.no_new_privileges:
        linux.set_no_new_privs()
    for wanted in filters:
        seccomp.load(wanted)


def plan(sandbox: Sandbox, facts: Facts) -> tuple[Filter, ...]:
    """The filters of a service, in the order in which they are installed.

    Args:
        sandbox: the effective one.
        facts: about the service and the machine.

    Raises:
        SeccompError: ``system_call_filter`` denies what a spawner needs, or a key cannot be had on this architecture.
        RejectedError: a value has no meaning, which ``superd.config`` finds out before.
    """
    found = []
    if _is_guarded(sandbox, facts):
        found.append(Filter(seccomp.ALLOW, rules.spawner_guards(), Foreign.COVERED))
    restrictions = settle(_restrictions(sandbox, facts))
    if restrictions:
        found.append(Filter(seccomp.ALLOW, restrictions))
    calls = merge(sandbox.system_call_filter or ())
    if calls is not None:
        found.append(_system_call_filter(sandbox, calls))
    return tuple(found)


def _is_guarded(sandbox: Sandbox, facts: Facts) -> bool:
    """Root with its capabilities may do anything to a spawner, so rules would only be in the way.

    They would be in that of administrators, whose logins come from such a service and who renice and pin what they
    like there.
    """
    return not (facts.root and "CAP_SYS_PTRACE" in (sandbox.capability_bounding_set or ()))


def _restrictions(sandbox: Sandbox, facts: Facts) -> Iterator[Rule]:
    """The rules of every key that denies by system calls."""
    if sandbox.private_network and not facts.is_backend:
        yield from rules.inherited_sockets_only(
            owns_listeners=facts.owns_listeners,
            datagrams=facts.datagrams,
            may_connect=sandbox.tcp_connect_ports not in (None, (), ANY_PORT),
        )
    allowed = families(sandbox.restrict_address_families or ())
    if allowed is not None:
        yield from rules.address_families(allowed)
    kinds = allowed_namespaces(sandbox.restrict_namespaces or False)
    yield from rules.namespaces(kinds, architecture=facts.architecture)
    if sandbox.restrict_suid_sgid:
        yield from rules.suid_sgid()
    if sandbox.restrict_realtime:
        yield from rules.realtime()
    if sandbox.lock_personality:
        yield from rules.personality(facts.personality)
    if sandbox.memory_deny_write_execute:
        yield from _write_or_execute(facts)
    yield from _protections(sandbox)


def _write_or_execute(facts: Facts) -> tuple[Rule, ...]:
    if facts.architecture in ("s390", "s390x"):
        raise SeccompError("memory_deny_write_execute = true: mmap(2) of s390 has its arguments in memory")
    return rules.write_or_execute(architecture=facts.architecture)


def _protections(sandbox: Sandbox) -> Iterator[Rule]:
    """Besides what these keys do to the file system and to capabilities, as in systemd."""
    if sandbox.protect_kernel_modules:
        yield from rules.group("@module")
    if sandbox.protect_kernel_tunables:
        yield from rules.group("_sysctl")
    if sandbox.private_devices:
        yield from rules.group("@raw-io")


def settle(found: Iterable[Rule]) -> tuple[Rule, ...]:
    """One rule for each case: what is denied whatever its arguments needs no rule about them.

    libseccomp cannot be asked to prefer one of two rules that both apply; two keys may each have one.
    """
    distinct = list({(rule.syscall, rule.conditions): rule for rule in found}.values())
    whole = {rule.syscall for rule in distinct if not rule.conditions}
    return tuple(rule for rule in distinct if not rule.conditions or rule.syscall not in whole)


def _system_call_filter(sandbox: Sandbox, calls: SystemCalls) -> Filter:
    answer = parse_error_number(sandbox.system_call_error_number or "kill")
    needed = spawner_calls(
        no_new_privileges=bool(sandbox.no_new_privileges), private_pids=bool(sandbox.private_pids)
    )
    denied = conflicts(sandbox.system_call_filter or (), answer, needed)
    if denied:
        raise SeccompError(f"system_call_filter denies {', '.join(denied)}, which a spawner needs")
    return _filter_of(calls, answer, needed)


def _filter_of(calls: SystemCalls, answer: int, needed: frozenset[str]) -> Filter:
    """``system_call_filter``, as a filter.

    An allow list answers what is forbidden as the administrator says, and what nobody has heard of yet with ENOSYS,
    as systemd does: programs then take a new system call for missing and use an older one.
    """

    def action(number: int | None) -> Action:
        given = answer if number is None else number
        return seccomp.KILL if given == KILL else seccomp.fail_with(given)

    def is_optional(name: str) -> bool:
        return name not in calls.written

    if not calls.allow_list:
        left_out = needed & DROPPING_CALLS
        denied = sorted((name, number) for name, number in calls.denied.items() if name not in left_out)
        return Filter(
            seccomp.ALLOW,
            tuple(Rule(name, action(number), optional=is_optional(name)) for name, number in denied),
        )
    missing = seccomp.fail_with(errno.ENOSYS)
    allowed = calls.allowed | needed
    answers = {name: action(calls.denied.get(name)) for name in sorted(KNOWN - allowed)}
    return Filter(
        missing,
        (
            *(Rule(name, seccomp.ALLOW, optional=is_optional(name)) for name in sorted(allowed)),
            *(Rule(name, given, optional=True) for name, given in answers.items() if given != missing),
        ),
    )
