"""Whether this machine has what a service needs: its user, program and folders.

A fault found here disables that service alone; it is looked at again on reload and from time to time.
"""

from __future__ import annotations

import os
import resource
import stat

from attrs import evolve

from superd.config.envfile import parse_environment_file
from superd.config.files import read_trusted
from superd.config.findings import RejectedError, toml_text
from superd.config.model import Builtin, Mode, Service
from superd.errors import ConfigError, Fault
from superd.kernel import rlimits
from superd.kernel.identity import DynamicUsers, Identity, IdentityError, Resolve, resolve
from superd.kernel.peersockets import can_deliver
from superd.master.handlers import handler_problem, handler_version
from superd.master.policies import hosts_faults, read_banner, read_hosts
from superd.master.sandboxes import sandbox_faults
from superd.master.services import FileVersion

Found = tuple[str, str] | None
"""A problem and its remedy, or nothing."""


def inspect(
    service: Service, acceptor_uid: int | None, resolve: Resolve = resolve
) -> tuple[Identity | None, list[Fault]]:
    """Resolve a service's user and look for all else it needs.

    Args:
        acceptor_uid: the uid that no service may share; None when superd runs as an ordinary user, which
            then all share.
        resolve: looks the user up; who inspects many services at once gives one that remembers.

    Returns:
        The identity (None when it cannot be told, or nothing is started) and every fault found.
    """
    if not service.has_children:  # nothing is started for it, and the acceptor is nobody of its own
        return None, _policy_faults(service)
    faults = [
        *_delivery_faults(service),
        *_path_faults(service),
        *_limit_faults(service),
        *_policy_faults(service),
    ]
    try:
        identity = _identity(service, acceptor_uid, resolve)
    except IdentityError as error:
        value = f'"{service.user}"' if service.user else None
        return None, [_fault(service, "user", value, error.problem, error.remedy), *faults]
    faults += sandbox_faults(service, identity.uid == 0)
    return identity, [*_rank_faults(service, identity), *faults]


def files_version(service: Service) -> FileVersion:
    """Which version of its environment file, and of its handler's, a service would be started with now."""
    code = handler_version(service)
    try:
        status = os.stat(service.environment_file)
    except OSError:  # none is named, or it is gone, which ``inspect`` tells
        return code
    return *code, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


_DYNAMIC = DynamicUsers()


def _identity(service: Service, acceptor_uid: int | None, resolve: Resolve) -> Identity:
    as_root = os.geteuid() == 0
    if as_root and service.sandbox.dynamic_user:
        return _DYNAMIC.identity(service.name, service.supplementary_groups, acceptor_uid)
    if as_root and not service.user:
        raise IdentityError(
            "missing", 'write user = "NAME" (superd runs as root, its services never by default)'
        )
    identity = resolve(service.user, service.group, service.supplementary_groups, service.init_groups)
    if not as_root and identity.uid != os.getuid():
        raise IdentityError("only root can run it as another user", "start superd as root, or leave user out")
    if identity.uid == acceptor_uid:
        raise IdentityError("the acceptor's own user", "give the service a user of its own")
    return identity


def _delivery_faults(service: Service) -> list[Fault]:
    """A child for each peer of a UDP listener takes a raw socket of the master's (kernel/peersockets.py)."""
    has_udp = any(listen.scheme.is_datagram for listen in service.listen)
    if service.mode is not Mode.NOWAIT or service.is_served_here or not has_udp or can_deliver():
        return []
    problem = "needs root: the first datagram of each peer is delivered through a raw socket"
    return [_fault(service, "mode", f'"{service.mode}"', problem, 'use mode = "wait"')]


def _rank_faults(service: Service, identity: Identity) -> list[Fault]:
    """What only root can give a service: told here, since its spawner would fail at it again and again."""
    if os.geteuid() == 0:
        return []
    folder, groups = service.root_directory, service.supplementary_groups
    others = _has_other_groups(identity)
    checks = (
        ("root_directory", f'"{folder}"', bool(folder)),
        ("nice", str(service.nice), service.nice < 0 and not _may_be_nice(service.nice)),
        ("group", f'"{service.group}"', others and bool(service.group)),
        ("supplementary_groups", toml_text(list(groups)), others and bool(groups)),
        ("init_groups", "false", others and not service.init_groups),
    )
    remedy = "start superd as root, or leave it out"
    return [
        _fault(service, key, value, "only root can do that", remedy) for key, value, asked in checks if asked
    ]


def _limit_faults(service: Service) -> list[Fault]:
    """Limits above those of superd itself: told here, since its spawner would fail at them again and again."""
    limits = service.resource_limits
    return [
        _fault(
            service,
            f"limit_{name}",
            toml_text(rlimits.spelt(limits[name])),
            f"superd may not set more than {most}",
            f"write less, or start superd with more (Limit{name.upper()}= in systemd's unit)",
        )
        for name, most in rlimits.out_of_reach(limits).items()
    ]


def _has_other_groups(identity: Identity) -> bool:
    own = {os.getgid(), *os.getgroups()}
    return identity.gid != os.getgid() or {identity.gid, *identity.groups} != own


def _may_be_nice(nice: int) -> bool:
    """Whether RLIMIT_NICE lets an ordinary user go that low. Source: getrlimit(2)."""
    ceiling = resource.getrlimit(resource.RLIMIT_NICE)[1]
    return ceiling == resource.RLIM_INFINITY or 20 - nice <= ceiling


def _path_faults(service: Service) -> list[Fault]:
    root = service.root_directory
    checks = (
        ("root_directory", root, _folder_problem(root) if root else None),
        ("working_directory", service.working_directory, _folder_problem(root + service.working_directory)),
        _program_check(service),
        ("environment_file", service.environment_file, _environment_problem(service.environment_file)),
    )
    return [
        _fault(service, key, f'"{path}"', problem, remedy)
        for key, path, found in checks
        if found is not None
        for problem, remedy in (found,)
    ]


def _program_check(service: Service) -> tuple[str, str, Found]:
    """Key, value and problem of what its children are."""
    if service.handler is not None:
        return "handler", service.handler.text, handler_problem(service)
    key = "exec_path" if service.exec_path else "exec"
    if not service.program.startswith("/"):  # the file has it wrong: it can be relative, or empty
        return key, service.program, None
    return key, service.program, _program_problem(service.root_directory + service.program)


def _policy_faults(service: Service) -> list[Fault]:
    """Banners that cannot be sent, and rules of hosts.allow and hosts.deny that cannot be obeyed."""
    faults = []
    for key, path in (
        ("access.banner_denied", service.access.banner_denied),
        ("limits.banner_limited", service.limits.banner_limited),
        ("banner", service.banner),
    ):
        quotes = key == "banner" and service.builtin is Builtin.QOTD
        try:
            if path:
                read_banner(path, quotes=quotes)
        except RejectedError as error:
            found = error.findings[0]
            faults.append(_fault(service, key, f'"{path}"', found.problem, found.remedy))
    return [*faults, *(_hosts_faults(service) if service.access.hosts_access else ())]


def _hosts_faults(service: Service) -> list[Fault]:
    try:
        faults = hosts_faults(read_hosts(), [service])
    except ConfigError as error:
        faults = list(error.faults)
    return [evolve(fault, service=service.name) for fault in faults]


def _folder_problem(path: str) -> Found:
    if os.path.isdir(path):
        return None
    return (
        ("not a folder", "name one")
        if os.path.exists(path)
        else ("no such folder", "make it, or name another")
    )


def _program_problem(path: str) -> Found:
    try:
        status = os.stat(path)
    except OSError as error:
        return f"no such program ({error.strerror})", "install it, or name another"
    if not stat.S_ISREG(status.st_mode):
        return "not a program", "name a file"
    return None if status.st_mode & 0o111 else ("not executable", f"chmod +x {path}")


def _environment_problem(path: str) -> Found:
    if not path:
        return None
    try:
        parse_environment_file(read_trusted(path))
    except RejectedError as error:
        return error.findings[0].problem, error.findings[0].remedy
    except ValueError as error:
        return str(error), "write NAME=value, one a line"
    return None


def _fault(service: Service, key: str, value: str | None, problem: str, remedy: str) -> Fault:
    return Fault(service.source_file, f"services.{service.name}.{key}", problem, remedy, value, service.name)
