"""What a service's programs may do: ``[services.X.sandbox]``, and what each profile says where no key is written.

The keys are those of systemd.exec(5) and systemd.resource-control(5), with their meaning. ``PROFILES`` is the one
table of the three profiles; ``effective`` puts what is written on top of it, so that whoever obeys a sandbox finds
no question left open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from attrs import evolve, frozen

from superd.config.capabilities import Capability

UNLIMITED = -1
"""What ``"infinity"`` becomes in ``memory_max``, ``tasks_max`` and ``cpu_quota``."""

ANY_PORT = (-1,)
"""What ``"any"`` becomes in ``tcp_bind_ports`` and ``tcp_connect_ports``: Landlock does not look at ports."""

ALL_CAPABILITIES = tuple(capability.name for capability in Capability)

WRITABLE = ("-+/tmp", "-+/var/tmp", "-+/dev/shm")
"""What anybody may write to. With these, and without files in memory (memfd_create), strict has nothing executed or
mapped that a service wrote by itself."""

KILL = "kill"
"""The ``system_call_error_number`` that ends the program instead."""


class Profile(StrEnum):
    """What holds for every key that is not written (``profile``)."""

    STRICT = "strict"  # what a network service needs that only talks on its socket
    DEFAULT = "default"  # what no daemon of today notices
    NONE = "none"  # nothing but what protects the spawner from its children


class ProtectSystem(StrEnum):
    """How much of the file system is read-only (``protect_system``)."""

    NO = "false"
    YES = "true"  # /usr and the boot loader
    FULL = "full"  # /etc too
    STRICT = "strict"  # everything but /dev, /proc and /sys


class ProtectHome(StrEnum):
    """What becomes of /home, /root and /run/user (``protect_home``)."""

    NO = "false"
    YES = "true"  # inaccessible
    READ_ONLY = "read-only"
    TMPFS = "tmpfs"  # empty and read-only


class ProtectProc(StrEnum):
    """Which processes are seen in /proc (``protect_proc``), as its mount option hidepid has it."""

    DEFAULT = "default"
    NOACCESS = "noaccess"
    INVISIBLE = "invisible"
    PTRACEABLE = "ptraceable"


class Feature(StrEnum):
    """What a kernel, or a container, may lack (``optional``)."""

    SECCOMP = "seccomp"
    LANDLOCK = "landlock"
    CGROUP = "cgroup"
    MOUNT_NAMESPACE = "mount_namespace"
    NETWORK_NAMESPACE = "network_namespace"
    PID_NAMESPACE = "pid_namespace"
    USER_NAMESPACE = "user_namespace"


@frozen
class Sandbox:
    """``[services.X.sandbox]``. None leaves the answer to the profile; see ``effective``.

    Args:
        optional: features that the service does without where this machine lacks them.
        capability_bounding_set, ambient_capabilities: names, ``CAP_`` and all, in the kernel's order; a list that
            was written with ``~`` is all the others.
        private_pids: the spawner is init of a pid namespace of its own.
        read_only_paths, read_write_paths, inaccessible_paths, no_exec_paths: absolute, with the prefixes of
            systemd in front: ``-`` (no matter whether it exists), ``+`` (as seen inside root_directory).
        system_call_filter: as written: system calls and ``@groups``; a string with ``~`` takes away. The first string
            says whether it is a list of what is allowed or of what is denied. Empty: no filter.
        system_call_error_number: as written: an errno's name or number, or ``KILL``.
        restrict_address_families: ``AF_*`` that are allowed; the others, when the first begins with ``~``; none at
            all for ``("none",)``. Empty: no restriction.
        restrict_namespaces: whether all kinds are forbidden, or, as written, the ones that are allowed (with ``~`` in
            front of the first: forbidden).
        memory_max: bytes, or UNLIMITED.
        tasks_max: processes and threads, or UNLIMITED.
        cpu_quota: percent of one processor, or UNLIMITED.
        landlock_read_paths, landlock_write_paths, landlock_execute_paths: what Landlock leaves of the file system, as
            soon as one of the three is not empty; write includes read, and so does execute.
        tcp_bind_ports, tcp_connect_ports: the only ones that Landlock allows, or ANY_PORT.
    """

    profile: Profile = Profile.DEFAULT
    optional: tuple[Feature, ...] = ()
    no_new_privileges: bool | None = None
    capability_bounding_set: tuple[str, ...] | None = None
    ambient_capabilities: tuple[str, ...] | None = None
    private_tmp: bool | None = None
    private_devices: bool | None = None
    private_network: bool | None = None
    private_users: bool | None = None
    private_pids: bool | None = None
    protect_system: ProtectSystem | None = None
    protect_home: ProtectHome | None = None
    protect_kernel_tunables: bool | None = None
    protect_kernel_modules: bool | None = None
    protect_control_groups: bool | None = None
    protect_proc: ProtectProc | None = None
    read_only_paths: tuple[str, ...] | None = None
    read_write_paths: tuple[str, ...] | None = None
    inaccessible_paths: tuple[str, ...] | None = None
    no_exec_paths: tuple[str, ...] | None = None
    system_call_filter: tuple[str, ...] | None = None
    system_call_error_number: str | None = None
    restrict_address_families: tuple[str, ...] | None = None
    restrict_namespaces: bool | tuple[str, ...] | None = None
    restrict_suid_sgid: bool | None = None
    restrict_realtime: bool | None = None
    lock_personality: bool | None = None
    memory_deny_write_execute: bool | None = None
    dynamic_user: bool | None = None
    memory_max: int | None = None
    tasks_max: int | None = None
    cpu_quota: int | None = None
    landlock_read_paths: tuple[str, ...] | None = None
    landlock_write_paths: tuple[str, ...] | None = None
    landlock_execute_paths: tuple[str, ...] | None = None
    tcp_bind_ports: tuple[int, ...] | None = None
    tcp_connect_ports: tuple[int, ...] | None = None


# Every key in the three profiles: (none, default, strict).
_TABLE: Mapping[str, tuple[object, object, object]] = {
    "no_new_privileges": (False, True, True),
    "capability_bounding_set": (ALL_CAPABILITIES, (), ()),
    "ambient_capabilities": ((), (), ()),
    "private_tmp": (False, False, True),
    "private_devices": (False, False, True),
    "private_network": (False, False, True),
    "private_users": (False, False, True),
    "private_pids": (False, False, True),
    "protect_system": (ProtectSystem.NO, ProtectSystem.NO, ProtectSystem.STRICT),
    "protect_home": (ProtectHome.NO, ProtectHome.NO, ProtectHome.YES),
    "protect_kernel_tunables": (False, False, True),
    "protect_kernel_modules": (False, False, True),
    "protect_control_groups": (False, False, True),
    "protect_proc": (ProtectProc.DEFAULT, ProtectProc.DEFAULT, ProtectProc.INVISIBLE),
    "read_only_paths": ((), (), ()),
    "read_write_paths": ((), (), ()),
    "inaccessible_paths": ((), (), ()),
    "no_exec_paths": ((), (), WRITABLE),
    "system_call_filter": ((), (), ("@system-service", "~memfd_create")),
    "system_call_error_number": (KILL, KILL, "EPERM"),
    "restrict_address_families": ((), (), ("AF_UNIX", "AF_INET", "AF_INET6")),
    "restrict_namespaces": (False, False, True),
    "restrict_suid_sgid": (False, False, True),
    "restrict_realtime": (False, False, True),
    "lock_personality": (False, False, True),
    "memory_deny_write_execute": (False, False, True),
    "dynamic_user": (False, False, False),
    "memory_max": (UNLIMITED, UNLIMITED, UNLIMITED),
    "tasks_max": (UNLIMITED, UNLIMITED, UNLIMITED),
    "cpu_quota": (UNLIMITED, UNLIMITED, UNLIMITED),
    "landlock_read_paths": ((), (), ()),
    "landlock_write_paths": ((), (), ()),
    "landlock_execute_paths": ((), (), ()),
    "tcp_bind_ports": (ANY_PORT, ANY_PORT, ANY_PORT),
    "tcp_connect_ports": (ANY_PORT, ANY_PORT, ANY_PORT),
}

PROFILES: Mapping[Profile, Mapping[str, object]] = {
    profile: {key: row[column] for key, row in _TABLE.items()}
    for column, profile in enumerate((Profile.NONE, Profile.DEFAULT, Profile.STRICT))
}
"""What each profile says of every key, for a service that is not root's."""

# What the default profile says of a service whose user is root: such a daemon changes its user by itself.
_OF_ROOT: Mapping[str, object] = {
    "no_new_privileges": False,
    "capability_bounding_set": ALL_CAPABILITIES,
}

# What comes with dynamic_user, as in systemd: nothing of the user may be left when its number is another's.
_OF_DYNAMIC_USER: Mapping[str, object] = {
    "no_new_privileges": True,
    "private_tmp": True,
    "protect_system": ProtectSystem.STRICT,
    "restrict_suid_sgid": True,
}


def effective(sandbox: Sandbox, root: bool) -> Sandbox:
    """A sandbox with no question left open: what is written, and for the rest what its profile says.

    Args:
        sandbox: as the configuration has it.
        root: whether the service's user is root.

    Returns:
        The same without a None. The bounding set holds the ambient capabilities, and none that another key takes.
    """
    answers = dict(PROFILES[sandbox.profile])
    if root and sandbox.profile is Profile.DEFAULT:
        answers |= _OF_ROOT
    if sandbox.dynamic_user:
        answers |= _OF_DYNAMIC_USER
        if answers["protect_home"] is ProtectHome.NO:
            answers["protect_home"] = ProtectHome.READ_ONLY
    missing = {key: value for key, value in answers.items() if getattr(sandbox, key) is None}
    return _with_capabilities(evolve(sandbox, **missing))  # type: ignore[arg-type] # the table's types


def _with_capabilities(sandbox: Sandbox) -> Sandbox:
    bounding = {*(sandbox.capability_bounding_set or ()), *(sandbox.ambient_capabilities or ())}
    taken = set[str]()
    if sandbox.private_devices:
        taken |= {"CAP_MKNOD", "CAP_SYS_RAWIO"}
    if sandbox.protect_kernel_modules:
        taken |= {"CAP_SYS_MODULE"}
    left = tuple(name for name in ALL_CAPABILITIES if name in bounding - taken)
    return evolve(sandbox, capability_bounding_set=left)


def capability_mask(names: Iterable[str]) -> int:
    """Capabilities as the kernel's bits."""
    mask = 0
    for name in names:
        mask |= 1 << Capability[name]
    return mask


_MOUNTING = (
    "private_tmp", "private_devices", "private_pids", "protect_system", "protect_home", "protect_kernel_tunables",
    "protect_kernel_modules", "protect_control_groups", "protect_proc", "read_only_paths", "read_write_paths",
    "inaccessible_paths", "no_exec_paths",
)  # fmt: skip
_FILTERING = (
    "system_call_filter", "restrict_address_families", "restrict_namespaces", "restrict_suid_sgid",
    "restrict_realtime", "lock_personality", "memory_deny_write_execute", "private_network", "private_devices",
    "protect_kernel_tunables", "protect_kernel_modules",
)  # fmt: skip

# What each feature is needed for: the keys that are not as the profile "none" has them.
_NEEDED_FOR: Mapping[Feature, tuple[str, ...]] = {
    Feature.MOUNT_NAMESPACE: _MOUNTING,
    Feature.NETWORK_NAMESPACE: ("private_network",),
    Feature.PID_NAMESPACE: ("private_pids",),
    Feature.USER_NAMESPACE: ("private_users",),
    Feature.CGROUP: ("memory_max", "tasks_max", "cpu_quota"),
    Feature.LANDLOCK: (
        "landlock_read_paths", "landlock_write_paths", "landlock_execute_paths", "tcp_bind_ports", "tcp_connect_ports",
    ),
    Feature.SECCOMP: _FILTERING,
}  # fmt: skip


def features(sandbox: Sandbox, root: bool) -> dict[Feature, str]:
    """What a sandbox needs of the machine, each with the first key that does.

    Args:
        sandbox: the effective one.
        root: whether the service's user is root. With CAP_SYS_PTRACE it is not kept from its spawner, and so it needs
            no system call filter unless a key asks for one.
    """
    lifted = PROFILES[Profile.NONE]
    found = {}
    for feature, keys in _NEEDED_FOR.items():
        key = next((key for key in keys if getattr(sandbox, key) != lifted[key]), "")
        if key:
            found[feature] = key
    if not (root and "CAP_SYS_PTRACE" in (sandbox.capability_bounding_set or ())):
        found.setdefault(Feature.SECCOMP, "profile")
    return found
