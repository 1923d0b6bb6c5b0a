"""Whom a process runs as: names and numbers of the configuration become ids."""

from __future__ import annotations

import functools
import grp
import os
import pwd
import zlib
from collections.abc import Callable, Container, Iterator, Sequence

from attrs import frozen

from superd.errors import SuperdError

# setresuid(2) reads the highest id as "leave unchanged": as a user's number it would mean root.
_MAX_ID = 2**32 - 2

# Numbers that no distribution hands out: below, systemd's DynamicUser; above, nobody (systemd.io/UIDS-GIDS).
UNUSED_LOW = 61184
UNUSED_HIGH = 65519


class IdentityError(SuperdError):
    """A user or group does not exist or may not be used; the text ends with the remedy."""

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}")


@frozen
class Identity:
    """A user, resolved.

    Args:
        uid: real, effective and saved user id.
        gid: real, effective and saved group id.
        groups: supplementary group ids, ascending.
        user: login name, or the uid in digits where it has none (``USER``, ``LOGNAME``).
        home: home folder (``HOME``).
        shell: login shell (``SHELL``).
    """

    uid: int
    gid: int
    groups: tuple[int, ...]
    user: str
    home: str
    shell: str


def resolve(
    user: str, group: str = "", supplementary_groups: Sequence[str] = (), init_groups: bool = True
) -> Identity:
    """Look a service's user up.

    A value is taken for a name first and then, if it is all digits, for a number. An ordinary user who names
    himself, like the empty user, stays as he is: he could not change his groups.

    Args:
        user: name or number; empty is the caller.
        group: name or number; empty is the user's primary group.
        supplementary_groups: names or numbers, in addition to the user's own.
        init_groups: whether the user is in the groups that the group database lists for him.

    Raises:
        IdentityError: there is no such user or group, or a uid without passwd entry names no group.
    """
    uid = user_id(user) if user else os.getuid()
    account = _account(uid, user)
    is_caller = not user or (uid == os.getuid() and os.geteuid() != 0)
    gid = group_id(group) if group else _primary_group(uid, account, is_caller)
    own = _database_groups(account, gid, is_caller) if init_groups else ()
    groups = tuple(sorted({gid, *own, *map(group_id, supplementary_groups)}))
    return _identity(uid, gid, groups, account)


Resolve = Callable[[str, str, tuple[str, ...], bool], Identity]
"""``resolve``, or what remembers its answers."""


def remembering() -> Resolve:
    """``resolve`` for many services at once: each user is looked up once, and anew by the next one of these."""
    return functools.cache(resolve)


def user_id(user: str) -> int:
    """Return the uid of a name or number. Raises IdentityError."""
    try:
        return pwd.getpwnam(user).pw_uid
    except (KeyError, ValueError):  # ValueError: a NUL inside
        return _number(user, f'no user "{user}"', "create it, or write its number")


def group_id(group: str) -> int:
    """Return the gid of a name or number. Raises IdentityError."""
    try:
        return grp.getgrnam(group).gr_gid
    except (KeyError, ValueError):
        return _number(group, f'no group "{group}"', "create it, or write its number")


def acceptor_identity(user: str) -> Identity:
    """Return whom the acceptor runs as: ``user``, where it exists, else a uid nothing else runs as.

    Never nobody in its place: any service running as nobody could kill the acceptor. An ordinary user's
    acceptor runs as that user.

    Raises:
        IdentityError: ``user`` is root, or no unused uid is left.
    """
    if os.geteuid() != 0:
        return resolve("")
    try:
        uid = user_id(user)
    except IdentityError:
        uid = unused_uid()
    if uid == 0:
        raise IdentityError("the acceptor talks to the network and is never root", 'write user = "superd"')
    account = _account(uid, user)
    return _identity(uid, uid, (), None) if account is None else resolve(account.pw_name)


def unused_uid(low: int = UNUSED_LOW, high: int = UNUSED_HIGH) -> int:
    """Return the first uid of ``low`` to ``high`` that no user, group or running process has.

    Raises:
        IdentityError: all are taken.
    """
    return _unused(range(low, high + 1), ())


def _unused(candidates: Sequence[int], others: Container[int | None]) -> int:
    running = set(_running_ids())
    for uid in candidates:
        if uid not in others and uid not in running and _account(uid) is None and not _has_group(uid):
            return uid
    low, high = min(candidates), max(candidates)
    raise IdentityError(f"every uid from {low} to {high} is in use", "create a user for the acceptor")


class DynamicUsers:
    """The users that exist only for a service (``dynamic_user``): one each, the same as long as superd runs.

    And afterwards, unless somebody else has the number by then: it follows from the service's name, so what the user
    left on the disk is not the next one's, and two superds hardly choose the same. systemd does so too.
    """

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def identity(self, service: str, groups: Sequence[str], taken: int | None) -> Identity:
        """The user of a service: of a number that nobody has, and without a home.

        Args:
            service: its name.
            groups: names or numbers of groups that the user is in.
            taken: a number that is somebody's, whether or not a process of his runs now.

        Raises:
            IdentityError: all numbers are in use, or there is no such group.
        """
        uid = self._given.get(service)
        if uid is None:
            uid = self._given[service] = _unused(_by_name(service), {taken, *self._given.values()})
        return Identity(
            uid, uid, tuple(sorted({uid, *map(group_id, groups)})), str(uid), "/", "/usr/sbin/nologin"
        )


def _by_name(service: str) -> Sequence[int]:
    """All numbers of the range, from one on that the name chooses."""
    numbers = range(UNUSED_LOW, UNUSED_HIGH + 1)
    start = zlib.crc32(service.encode()) % len(numbers)
    return (*numbers[start:], *numbers[:start])


def _number(text: str, problem: str, remedy: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise IdentityError(problem, remedy)
    number = int(text) if len(text) <= 10 else _MAX_ID + 1
    if number > _MAX_ID:
        raise IdentityError(f"{text} is not an id", f"ids end at {_MAX_ID}")
    return number


def _account(uid: int, user: str = "") -> pwd.struct_passwd | None:
    """Return the passwd entry; the one called ``user`` where several share the uid."""
    try:
        return pwd.getpwnam(user) if user else pwd.getpwuid(uid)
    except KeyError:  # the user was written as a number, or has no entry
        return _account(uid) if user else None


def _primary_group(uid: int, account: pwd.struct_passwd | None, is_caller: bool) -> int:
    if is_caller:
        return os.getgid()
    if account is None:
        raise IdentityError(f"uid {uid} has no passwd entry, so no primary group", 'name one: group = "…"')
    return account.pw_gid


def _database_groups(account: pwd.struct_passwd | None, gid: int, is_caller: bool) -> Sequence[int]:
    if is_caller:
        return os.getgroups()
    return os.getgrouplist(account.pw_name, gid) if account else ()


def _has_group(gid: int) -> bool:
    try:
        grp.getgrgid(gid)
    except KeyError:
        return False
    return True


def _identity(uid: int, gid: int, groups: tuple[int, ...], account: pwd.struct_passwd | None) -> Identity:
    if account is None:
        return Identity(uid, gid, groups, str(uid), "/", "/bin/sh")
    return Identity(uid, gid, groups, account.pw_name, account.pw_dir or "/", account.pw_shell or "/bin/sh")


def _running_ids() -> Iterator[int]:
    """Yield the user and group ids of every process.

    From /proc/PID/status: the owner of /proc/PID itself is root for a process that is not dumpable.
    """
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/status", encoding="ascii", errors="replace") as status:
                lines = status.readlines()
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        for line in lines:
            if line.startswith(("Uid:", "Gid:", "Groups:")):
                yield from map(int, line.split()[1:])
