"""How much a service's programs could do to the machine if somebody took one over: a score, line by line. Pure.

As ``systemd-analyze security`` does it: every line has a weight, and is as bad as the part of that danger that is
left open. The exposure is what is left of all weights, from 0.0 (nothing that a key could take away) to 10.0.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from superd.config.model import Service
from superd.config.sandbox import ANY_PORT, ProtectHome, ProtectProc, ProtectSystem, Sandbox, effective

_ROOT = ("root", "0")
_DANGEROUS = frozenset({
    "CAP_SYS_ADMIN", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_PTRACE", "CAP_SYS_BOOT", "CAP_SYS_TIME",
    "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETFCAP", "CAP_CHOWN",
    "CAP_FOWNER", "CAP_FSETID", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_BPF", "CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE",
})  # fmt: skip


@frozen
class _Row:
    """One danger.

    Args:
        name: the key that is against it.
        weight: how much it counts.
        open: how much of it is left open, 0.0 to 1.0.
        danger: what a program can do where it is.
        remedy: what to write.
    """

    name: str
    weight: int
    open: Callable[[Service, Sandbox], float]
    danger: str
    remedy: str


@frozen
class Line:
    """One row's verdict.

    Args:
        name: the key.
        exposure: what it adds to the score.
        text: what is open; or, where nothing is, what is closed.
        remedy: empty where nothing is to be done.
    """

    name: str
    exposure: float
    text: str
    remedy: str


@frozen
class Report:
    """The verdict about one service.

    Args:
        exposure: 0.0 to 10.0.
        word: the same in a word.
        lines: the worst first.
    """

    service: str
    exposure: float
    word: str
    lines: tuple[Line, ...]


def _is_root(service: Service) -> bool:
    return service.user in _ROOT and not service.sandbox.dynamic_user


def _without(key: str) -> Callable[[Service, Sandbox], float]:
    return lambda _, sandbox: 0.0 if getattr(sandbox, key) else 1.0


def _capabilities(service: Service, sandbox: Sandbox) -> float:
    held = set(sandbox.capability_bounding_set or ())
    if not _is_root(service) and sandbox.no_new_privileges:
        held &= set(sandbox.ambient_capabilities or ())
    return min(1.0, 0.2 * len(held & _DANGEROUS) + 0.03 * len(held))


def _system(_: Service, sandbox: Sandbox) -> float:
    if any((sandbox.landlock_read_paths, sandbox.landlock_write_paths, sandbox.landlock_execute_paths)):
        return 0.0
    level = {
        ProtectSystem.NO: 1.0,
        ProtectSystem.YES: 0.6,
        ProtectSystem.FULL: 0.3,
        ProtectSystem.STRICT: 0.0,
    }
    return level[sandbox.protect_system or ProtectSystem.NO]


def _home(_: Service, sandbox: Sandbox) -> float:
    return {ProtectHome.NO: 1.0, ProtectHome.READ_ONLY: 0.5}.get(sandbox.protect_home or ProtectHome.NO, 0.0)


def _proc(_: Service, sandbox: Sandbox) -> float:
    if sandbox.private_pids:
        return 0.0
    return {ProtectProc.DEFAULT: 1.0, ProtectProc.NOACCESS: 0.5}.get(
        sandbox.protect_proc or ProtectProc.DEFAULT, 0.0
    )


def _network(_: Service, sandbox: Sandbox) -> float:
    if sandbox.private_network:
        return 0.0
    ports = (sandbox.tcp_bind_ports, sandbox.tcp_connect_ports)
    return 0.5 if ANY_PORT not in ports else 1.0


def _calls(_: Service, sandbox: Sandbox) -> float:
    strings = sandbox.system_call_filter or ()
    if not strings:
        return 1.0
    return 0.5 if strings[0].startswith("~") else 0.0


def _namespaces(_: Service, sandbox: Sandbox) -> float:
    value = sandbox.restrict_namespaces
    return 0.0 if value is True else 0.5 if value else 1.0


_ROWS = (
    _Row("user", 20, lambda service, _: float(_is_root(service)),
         "its programs are root", 'user = "NAME", or dynamic_user = true'),
    _Row("capability_bounding_set", 15, _capabilities,
         "its programs have privileges of root, or can get them", "capability_bounding_set = []"),
    _Row("no_new_privileges", 10, _without("no_new_privileges"),
         "executing a setuid program grants what that has", "no_new_privileges = true"),
    _Row("private_network", 12, _network,
         "it reaches every other service, here and outside", "private_network = true, or tcp_connect_ports = []"),
    _Row("system_call_filter", 10, _calls,
         "all of the kernel can be attacked", 'system_call_filter = ["@system-service"]'),
    _Row("protect_system", 10, _system,
         "it writes wherever its user may, and finds what others may read", 'protect_system = "strict"'),
    _Row("protect_home", 6, _home, "it reads what lies open in /home and /root", "protect_home = true"),
    _Row("private_pids", 6, _without("private_pids"),
         "it can stop its own spawner, and signals reach all of its user", "private_pids = true"),
    _Row("protect_proc", 4, _proc, "it sees what others run", 'protect_proc = "invisible"'),
    _Row("private_users", 4, _without("private_users"),
         "a hole in the kernel meets the users of the machine", "private_users = true"),
    _Row("restrict_namespaces", 5, _namespaces,
         "it may make user namespaces, in which it is root for the kernel", "restrict_namespaces = true"),
    _Row("restrict_address_families", 4, _without("restrict_address_families"),
         "it may open sockets of any kind", 'restrict_address_families = ["AF_UNIX", "AF_INET", "AF_INET6"]'),
    _Row("private_devices", 4, _without("private_devices"), "it sees the devices", "private_devices = true"),
    _Row("private_tmp", 4, _without("private_tmp"),
         "it shares /tmp with everybody", "private_tmp = true"),
    _Row("protect_kernel_tunables", 4, _without("protect_kernel_tunables"),
         "settings of the kernel can be read, and by root be written", "protect_kernel_tunables = true"),
    _Row("protect_kernel_modules", 3, _without("protect_kernel_modules"),
         "kernel modules can be looked at, and by root be loaded", "protect_kernel_modules = true"),
    _Row("protect_control_groups", 2, _without("protect_control_groups"),
         "control groups are writable for root", "protect_control_groups = true"),
    _Row("memory_deny_write_execute", 3, _without("memory_deny_write_execute"),
         "code that was sent to it can be executed", "memory_deny_write_execute = true"),
    _Row("restrict_suid_sgid", 3, _without("restrict_suid_sgid"),
         "it may leave setuid files of its user behind", "restrict_suid_sgid = true"),
    _Row("lock_personality", 1, _without("lock_personality"),
         "it may choose an execution domain that few have tested", "lock_personality = true"),
    _Row("restrict_realtime", 1, _without("restrict_realtime"),
         "it may take a processor for itself, where its limits allow it", "restrict_realtime = true"),
    _Row("runtime_max", 2, lambda service, _: float(service.runtime_max_s < 0 and not service.has_instance),
         "its children may run for ever", 'runtime_max = "1h"'),
    _Row("tasks_max", 2, lambda _, sandbox: float((sandbox.tasks_max or 0) < 0),
         "it may start as many processes as its user may", "tasks_max = 512"),
    _Row("memory_max", 2, lambda _, sandbox: float((sandbox.memory_max or 0) < 0),
         "it may use all memory", 'memory_max = "512MiB"'),
)  # fmt: skip

_WORDS = ((1.0, "safe"), (3.0, "good"), (5.0, "fair"), (7.0, "exposed"))
_WORST = "unsafe"


def assess(service: Service) -> Report | None:
    """The verdict about a service; None where no program is started for it: superd's acceptor serves it."""
    if not service.has_children:
        return None
    sandbox = effective(service.sandbox, _is_root(service))
    total = sum(row.weight for row in _ROWS)
    lines = [_line(row, row.open(service, sandbox), total) for row in _ROWS]
    exposure = round(sum(line.exposure for line in lines), 1)
    word = next((word for limit, word in _WORDS if exposure <= limit), _WORST)
    ordered = sorted(lines, key=lambda line: -line.exposure)
    return Report(service.name, exposure, word, tuple(ordered))


def _line(row: _Row, share: float, total: int) -> Line:
    exposure = round(10 * row.weight * share / total, 2)
    return Line(row.name, exposure, row.danger if share else "closed", row.remedy if share else "")
