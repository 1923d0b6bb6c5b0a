"""Giving privileges up for good, and proving it.

The order is fixed by what each step still needs: the bounding set wants CAP_SETPCAP, groups and gid want
CAP_SETGID, the uid wants CAP_SETUID, and the change of uid takes all of them away. Then everything is read back
and every way to regain is tried, as OpenSSH's permanently_set_uid does: a drop that silently did nothing is
the oldest hole of all daemons.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from attrs import frozen

from superd.errors import SuperdError
from superd.kernel import linux
from superd.kernel.identity import Identity

_NOTHING = linux.Capabilities()


class PrivilegeError(SuperdError):
    """Privileges could not be given up, or could be regained. The process must end: it may hold any of them."""


def drop_for_good(identity: Identity) -> None:
    """Become ``identity`` without a way back.

    As root: empties the ambient and the bounding set, sets groups, gid and uid, empties the capabilities and
    sets no_new_privs. As an ordinary user ``identity`` must be the caller, and the bounding set stays, since it
    takes a privilege to empty it; with no_new_privs nothing can be gained from it.

    Args:
        identity: whom to become.

    Raises:
        PrivilegeError: a step failed or the proof did; end the process.
    """
    as_root = os.geteuid() == 0
    _refuse_impossible(identity, as_root)
    try:
        linux.ambient_clear()
        if as_root:
            _empty_bounding_set()
        _set_ids(identity)
        linux.capset(_NOTHING)
        linux.set_no_new_privs()
    except OSError as error:
        raise PrivilegeError(f"cannot become {identity.user}: {error.strerror}") from error
    verify_dropped(identity, from_root=as_root)


def verify_dropped(identity: Identity, *, from_root: bool = True) -> None:
    """Prove that this process is ``identity``, holds no privilege and cannot regain any; valid after exec too.

    Args:
        identity: whom the process must be.
        from_root: whether root dropped it; False where superd itself was started by an ordinary user, whose
            bounding set cannot be emptied.

    Raises:
        PrivilegeError: something is left; end the process.
    """
    _verify_ids(identity)
    if linux.capget() != _NOTHING:
        raise PrivilegeError(f"{identity.user} still holds capabilities: {linux.capget()}")
    if from_root and linux.bounding_set():
        raise PrivilegeError(f"the bounding set still holds {linux.bounding_set():#x}")
    if not linux.get_no_new_privs():
        raise PrivilegeError("no_new_privs is not set")
    _verify_no_way_back(identity)


@frozen
class Rights:
    """What a process keeps, and its children with it. Masks of capabilities.

    Args:
        bounding: what can ever be had; of root, it is also what is had.
        ambient: what another user than root has from the start.
        until_finished: what is kept besides until ``finish``.
        no_new_privileges: whether exec grants nothing, which ``prove`` only proves.
    """

    bounding: int = 0
    ambient: int = 0
    until_finished: int = 0
    no_new_privileges: bool = True


def take_on(identity: Identity, rights: Rights) -> None:
    """Become ``identity`` with some capabilities, or none; ``prove`` and ``finish`` must follow.

    An ordinary user, who must be the caller, has none to keep, and cannot empty his bounding set.

    Raises:
        PrivilegeError: a step failed; end the process.
    """
    as_root = os.geteuid() == 0
    _refuse_impossible(identity, as_root)
    try:
        linux.ambient_clear()
        kept = _kept(identity, rights) | (rights.until_finished & linux.capget().permitted if as_root else 0)
        if as_root:
            _empty_bounding_set(but=rights.bounding)
        linux.set_keepcaps(kept != 0 and identity.uid != 0)
        _set_ids(identity)
        linux.capset(linux.Capabilities(kept, kept, rights.ambient if as_root else 0))
        for capability in range(linux.LAST_CAP + 1) if as_root else ():
            if rights.ambient >> capability & 1:
                linux.ambient_raise(capability)
    except OSError as error:
        raise PrivilegeError(f"cannot become {identity.user}: {error.strerror}") from error


def prove(identity: Identity, rights: Rights) -> None:
    """Prove that this process is ``identity`` and has no way to more than its rights.

    Before system call filters are in force: what is tried here they may answer with the end of the process.

    Raises:
        PrivilegeError: something is left; end the process.
    """
    _verify_ids(identity)
    kept = _kept(identity, rights)
    _verify_held(identity, kept | rights.until_finished)
    if rights.no_new_privileges and not linux.get_no_new_privs():
        raise PrivilegeError("no_new_privs is not set")
    if not kept:
        _verify_no_way_back(identity)


def finish(identity: Identity, rights: Rights) -> None:
    """Give up what was kept until now, if anything was, and prove that it is gone.

    Asks the kernel by capget and capset alone, which filters then let through (``spawner_calls``).

    Raises:
        PrivilegeError: something is left; end the process.
    """
    if not rights.until_finished:
        return
    held, kept = linux.capget(), _kept(identity, rights)
    try:
        linux.capset(linux.Capabilities(held.permitted & kept, held.permitted & kept, held.inheritable))
    except OSError as error:
        raise PrivilegeError(f"cannot give up capabilities: {error.strerror}") from error
    _verify_held(identity, kept)


def _verify_held(identity: Identity, allowed: int) -> None:
    held = linux.capget()
    if held.permitted & ~allowed:
        raise PrivilegeError(f"{identity.user} still holds capabilities: {held}")


def _kept(identity: Identity, rights: Rights) -> int:
    """What a process of that user is left with."""
    return linux.capget().permitted & rights.bounding if identity.uid == 0 else rights.ambient


def keep_only(kept: int, *, no_new_privs: bool) -> None:
    """Give up every capability but some for good, and prove it; for a process that stays who it is.

    They go from the bounding set too, or a root process would have them back at its next exec (capabilities(7)). An
    ordinary user may not do that, and needs not: he gains nothing by exec once no_new_privs is set.

    Args:
        kept: a mask; what is not held is no error.
        no_new_privs: whether no exec of this process and its children may grant anything.

    Raises:
        PrivilegeError: a step failed or the proof did; end the process.
    """
    before = linux.capget()
    after = linux.Capabilities(before.effective & kept, before.permitted & kept, before.inheritable & kept)
    try:
        if before.effective >> linux.CAP_SETPCAP & 1:
            _empty_bounding_set(but=kept)
        linux.capset(after)
        if no_new_privs:
            linux.set_no_new_privs()
    except OSError as error:
        raise PrivilegeError(f"cannot give up capabilities: {error.strerror}") from error
    _verify_kept(before, after, kept)


def _verify_kept(before: linux.Capabilities, after: linux.Capabilities, kept: int) -> None:
    if linux.capget() != after:
        raise PrivilegeError(f"capabilities are {linux.capget()} instead of {after}")
    if before.effective >> linux.CAP_SETPCAP & 1 and linux.bounding_set() & ~kept:
        raise PrivilegeError(f"the bounding set still holds {linux.bounding_set():#x}")
    if before == after:
        return
    try:
        linux.capset(before)
    except OSError:
        return
    raise PrivilegeError("capabilities that were given up could be regained")


def verify_all_but(identity: Identity, capability: int) -> None:
    """After exec: let the one capability go no further, and prove that there is no other.

    Raises:
        PrivilegeError: it is not there, or something else is; end the process.
    """
    mask = 1 << capability
    try:
        linux.ambient_clear()
        linux.capset(linux.Capabilities(mask, mask, 0))
    except OSError as error:
        raise PrivilegeError(f"the one capability that is needed is missing: {error.strerror}") from error
    _verify_ids(identity)
    if linux.capget() != linux.Capabilities(mask, mask, 0):
        raise PrivilegeError(f"{identity.user} holds {linux.capget()} instead of {mask:#x}")
    if linux.bounding_set() & ~mask:
        raise PrivilegeError(f"the bounding set still holds {linux.bounding_set():#x}")
    if not linux.get_no_new_privs():
        raise PrivilegeError("no_new_privs is not set")
    _verify_no_way_back(identity)


def _refuse_impossible(identity: Identity, as_root: bool) -> None:
    """Say what is wrong while nothing has changed yet, clearer than the kernel's EPERM would."""
    if as_root:
        return
    if identity.uid != os.getuid():
        raise PrivilegeError(
            f"only root can become {identity.user}: start superd as root or as {identity.user}"
        )
    if identity.gid != os.getgid() or not _has_groups(identity):
        raise PrivilegeError(f"only root can change the groups of {identity.user}: leave user and groups out")


def _empty_bounding_set(but: int = 0) -> None:
    """Drop what is there, ``but`` some: containers start with less, and may then lack CAP_SETPCAP without harm."""
    for capability in range(linux.LAST_CAP + 1):
        if linux.capbset_read(capability) and not but >> capability & 1:
            linux.capbset_drop(capability)


def _set_ids(identity: Identity) -> None:
    """Set groups, gid and uid, each only where it differs: without a change no privilege is needed.

    An ordinary user's groups are known to be right, up to whether his gid is listed among them.
    """
    if os.geteuid() == 0 and set(os.getgroups()) != set(identity.groups):
        os.setgroups(identity.groups)
    if os.getresgid() != (identity.gid,) * 3:
        os.setresgid(identity.gid, identity.gid, identity.gid)
    if os.getresuid() != (identity.uid,) * 3:
        os.setresuid(identity.uid, identity.uid, identity.uid)


def _has_groups(identity: Identity) -> bool:
    """Compare the supplementary groups; the gid itself counts whether or not it is listed among them."""
    return {identity.gid, *os.getgroups()} == {identity.gid, *identity.groups}


def _verify_ids(identity: Identity) -> None:
    if os.getresuid() != (identity.uid,) * 3:
        raise PrivilegeError(f"user ids are {os.getresuid()} instead of {identity.uid}")
    if os.getresgid() != (identity.gid,) * 3:
        raise PrivilegeError(f"group ids are {os.getresgid()} instead of {identity.gid}")
    if not _has_groups(identity):
        raise PrivilegeError(f"groups are {os.getgroups()} instead of {list(identity.groups)}")


def _verify_no_way_back(identity: Identity) -> None:
    """Try to become another user and group: root, or for root without capabilities anyone else."""
    uid = 0 if identity.uid else 1
    gid = 0 if identity.gid else 1
    attempts: tuple[tuple[str, Callable[[], None]], ...] = (
        ("setuid", lambda: os.setuid(uid)),
        ("seteuid", lambda: os.seteuid(uid)),
        ("setresuid", lambda: os.setresuid(uid, uid, uid)),
        ("setgid", lambda: os.setgid(gid)),
        ("setegid", lambda: os.setegid(gid)),
        ("setgroups", lambda: os.setgroups([gid])),
    )
    for name, attempt in attempts:
        try:
            attempt()
        except OSError:
            continue
        raise PrivilegeError(f"{identity.user} could regain privileges: {name} succeeded")
