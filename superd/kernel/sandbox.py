"""What a spawner does to itself before it serves: the order of the steps, and why each is where it is.

A spawner is forked from the master, as root. What it becomes, all its children are; nothing is done for one of them.

``enclose``, while it is root in the namespaces of the machine:

1. control group: its files are seen only here, and from now on all that follows is counted.
2. network namespace: before the user namespace, since it then belongs to the machine's root, and no capability
   inside of the other means anything to it. Its loopback is brought up by a socket, which filters may deny later.
3. mount namespace, then its mounts from the shortest path to the longest (views.py). After 1, which would find
   its files read-only; before the root directory changes, since paths are the machine's. The pid namespace is older
   than all of this: the master forked into it, and a /proc mounted here shows it.

``settle``, which gives everything up:

4. user namespace: the kernel refuses it to a process that is chrooted, and the maps are written through /proc.
5. root directory: needs CAP_SYS_CHROOT still.
6. bounding set, groups, gid, uid, capabilities (privileges.py): each while there is what it takes.
7. working folder: as the user, so that it cannot be one that the user may not enter.
8. death signal and not dumpable: a change of credentials undoes both (prctl(2)).
9. Landlock: after the last path was looked up as root; before the filters, which may deny it. Wants no_new_privs
   or CAP_SYS_ADMIN, as the filters do.
10. The proof that nothing is left but what shall be, among it attempts to regain what was given up: a filter may
    answer those with the end of the process, or with a success that is none.
11. system call filters: last, because each of the others is a call that one of them may deny. Where no_new_privileges
    is false they take CAP_SYS_ADMIN, which is kept until then and given up by the one call that comes after.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Iterator

from attrs import frozen

from superd.config.capabilities import Capability
from superd.config.model import Service
from superd.config.sandbox import ALL_CAPABILITIES, ANY_PORT, Feature, Sandbox, capability_mask, features
from superd.errors import SuperdError
from superd.kernel import cgroups, filters, landlock, linux, mounts, namespaces, privileges, views
from superd.kernel.identity import Identity

_EVERYTHING = (1 << 64) - 1  # whatever a newer kernel has
_SYS_ADMIN = 1 << Capability.CAP_SYS_ADMIN


@frozen
class Place:
    """The place that a spawner takes.

    Args:
        service: its settings.
        identity: whose place it is.
        sandbox: the effective one.
        lacking: features that this machine lacks, and that the service does without.
    """

    service: Service
    identity: Identity
    sandbox: Sandbox
    lacking: frozenset[Feature] = frozenset()

    def wants(self, feature: Feature) -> bool:
        """Whether a feature is asked for, and is there."""
        return feature in features(self.sandbox, self.identity.uid == 0) and feature not in self.lacking

    @property
    def facts(self) -> filters.Facts | None:
        """What the system call filters depend on; None where there are none. Loads libseccomp, so ask early."""
        if not self.wants(Feature.SECCOMP):
            return None
        return filters.facts_of(self.service, root=self.identity.uid == 0)


def enclose(place: Place) -> None:
    """Enter the namespaces that only root makes (steps 1 to 3).

    Raises:
        OSError: a step failed; it names the system call.
        SuperdError: a path cannot be treated as the sandbox says.
    """
    sandbox = place.sandbox
    if place.wants(Feature.CGROUP):
        cgroups.enter(place.service.name, sandbox, cgroups.own_group())
    if place.wants(Feature.NETWORK_NAMESPACE):
        namespaces.unshare(namespaces.CLONE_NEWNET)
        namespaces.raise_loopback()
    if place.wants(Feature.MOUNT_NAMESPACE):
        namespaces.unshare(namespaces.CLONE_NEWNS)
        # what the machine mounts later is seen here too, what is mounted here nowhere else
        mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_SLAVE)
        views.View(place.service.root_directory).make(views.steps(sandbox))


def settle(place: Place, facts: filters.Facts | None, parent: int) -> None:
    """Become the service's user, without a way back (steps 4 to 11).

    Args:
        facts: of ``Place.facts``, from before ``enclose``.
        parent: what getppid() was at the start.

    Raises:
        OSError, SuperdError: a step failed; end the process.
    """
    service, identity, sandbox = place.service, place.identity, place.sandbox
    if place.wants(Feature.USER_NAMESPACE):
        namespaces.enter_user_namespace((0, identity.uid), (0, identity.gid, *identity.groups))
    if service.root_directory:
        with _naming("root_directory", service.root_directory):
            os.chroot(service.root_directory)
            os.chdir("/")
    rights = _rights(sandbox, identity)
    privileges.take_on(identity, rights)
    with _naming("working_directory", service.working_directory):
        os.chdir(service.working_directory)
    linux.set_parent_death_signal(signal.SIGTERM)
    if os.getppid() != parent:
        raise SuperdError("the master is gone")
    linux.set_dumpable(False)
    if sandbox.no_new_privileges:
        linux.set_no_new_privs()
    if place.wants(Feature.LANDLOCK):
        _restrict(sandbox)
    privileges.prove(identity, rights)
    if facts is not None:
        filters.apply_filters(sandbox, facts)
    privileges.finish(identity, rights)


def _rights(sandbox: Sandbox, identity: Identity) -> privileges.Rights:
    """What the spawner, and so its children, may have; CAP_SYS_ADMIN no longer than the filters take."""
    late = 0 if sandbox.no_new_privileges else _SYS_ADMIN
    bounding = sandbox.capability_bounding_set or ()
    return privileges.Rights(
        bounding=_EVERYTHING if bounding == ALL_CAPABILITIES else capability_mask(bounding),
        ambient=capability_mask(sandbox.ambient_capabilities or ()),
        until_finished=late,
        no_new_privileges=bool(sandbox.no_new_privileges),
    )


def _restrict(sandbox: Sandbox) -> None:
    with _naming("landlock", "its paths"):
        landlock.restrict(
            landlock.Ruleset(
                paths=tuple(_path_rules(sandbox)) if _names_paths(sandbox) else None,
                bind_ports=_ports(sandbox.tcp_bind_ports),
                connect_ports=_ports(sandbox.tcp_connect_ports),
            )
        )


def _names_paths(sandbox: Sandbox) -> bool:
    """Whether files are restricted: also by paths of which none is there, and then to nothing at all."""
    return bool(sandbox.landlock_read_paths or sandbox.landlock_write_paths or sandbox.landlock_execute_paths)


def _path_rules(sandbox: Sandbox) -> Iterator[landlock.PathRule]:
    rows: tuple[tuple[Collection[str] | None, landlock.Access], ...] = (
        (sandbox.landlock_read_paths, landlock.Access.READ),
        (sandbox.landlock_write_paths, landlock.Access.WRITE),
        (sandbox.landlock_execute_paths, landlock.Access.EXECUTE),
    )
    for paths, access in rows:
        for text in paths or ():
            path = text.removeprefix("-")
            if path == text or os.path.exists(path):
                yield landlock.PathRule(path, access)


def _ports(ports: tuple[int, ...] | None) -> tuple[int, ...] | None:
    return None if ports == ANY_PORT else ports


@contextlib.contextmanager
def _naming(key: str, value: object) -> Iterator[None]:
    """Say at which key of the service it failed: the bare error would not."""
    try:
        yield
    except OSError as error:
        where = error.filename or value
        raise SuperdError(f"{key} = {where}: {error.strerror}") from error
