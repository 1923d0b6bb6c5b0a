"""Names and numbers become ids, and what cannot is said with a remedy."""

from __future__ import annotations

import grp
import os
import pwd

import pytest
from helpers.forked import NOBODY, in_child, needs_root
from hypothesis import given
from hypothesis import strategies as st

from superd.kernel.identity import (
    UNUSED_HIGH,
    UNUSED_LOW,
    DynamicUsers,
    Identity,
    IdentityError,
    acceptor_identity,
    group_id,
    resolve,
    unused_uid,
    user_id,
)

DAEMON = pwd.getpwnam("daemon")
LONELY = "64999"  # a uid without passwd entry


def test_a_user_brings_group_home_and_shell() -> None:
    assert resolve("daemon") == Identity(
        uid=DAEMON.pw_uid,
        gid=DAEMON.pw_gid,
        groups=tuple(sorted({DAEMON.pw_gid, *os.getgrouplist("daemon", DAEMON.pw_gid)})),
        user="daemon",
        home=DAEMON.pw_dir,
        shell=DAEMON.pw_shell,
    )


def test_a_number_means_the_same_as_the_name() -> None:
    assert resolve(str(DAEMON.pw_uid)) == resolve("daemon")


def test_a_group_replaces_the_primary_one() -> None:
    identity = resolve("root", "daemon")
    daemon = grp.getgrnam("daemon").gr_gid
    assert (identity.uid, identity.gid) == (0, daemon)
    assert daemon in identity.groups


def test_supplementary_groups_are_added() -> None:
    identity = resolve("daemon", supplementary_groups=("shadow", "4242"))
    assert {grp.getgrnam("shadow").gr_gid, 4242, DAEMON.pw_gid} <= set(identity.groups)


@needs_root
def test_init_groups_brings_the_groups_of_the_database() -> None:
    """Debian's own accounts are in no second group, so one that is must be found first."""
    member, group = next(((g.gr_mem[0], g.gr_gid) for g in grp.getgrall() if g.gr_mem), ("", 0))
    if not member:
        pytest.skip("no account here is in a second group")
    assert group in resolve(member).groups
    assert group not in resolve(member, init_groups=False).groups


def test_a_uid_without_account_must_name_its_group() -> None:
    with pytest.raises(IdentityError, match=f"uid {LONELY} has no passwd entry.*group = "):
        resolve(LONELY)
    identity = resolve(LONELY, "daemon")
    assert identity == Identity(int(LONELY), DAEMON.pw_gid, (DAEMON.pw_gid,), LONELY, "/", "/bin/sh")


@pytest.mark.parametrize(
    "value", ["no-such-name", "-1", "4294967295", "99999999999", "9" * 5000, "٣", "", "a\0b"]
)
def test_what_is_neither_name_nor_id_is_refused(value: str) -> None:
    """4294967295 is -1 to setresuid(2): it would leave root as it is."""
    for look_up in (user_id, group_id):
        with pytest.raises(IdentityError) as caught:
            look_up(value)
        assert caught.value.remedy


@given(st.text(max_size=12))
def test_any_text_is_an_id_or_a_clear_error(value: str) -> None:
    for look_up in (user_id, group_id):
        try:
            assert 0 <= look_up(value) < 2**32 - 1
        except IdentityError:
            pass


def test_the_empty_user_is_the_caller() -> None:
    identity = resolve("")
    assert (identity.uid, identity.gid) == (os.getuid(), os.getgid())
    assert set(identity.groups) == {os.getgid(), *os.getgroups()}


@needs_root
@pytest.mark.parametrize("user", ["", "nobody"])
def test_an_ordinary_caller_keeps_the_groups_it_has(user: str) -> None:
    """Whatever the database says meanwhile: it could not change them."""

    def child() -> Identity:
        os.setgroups([4242])
        os.setresgid(4243, 4243, 4243)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return resolve(user)

    identity = in_child(child)
    assert (identity.uid, identity.gid, identity.groups) == (NOBODY, 4243, (4242, 4243))


@needs_root
def test_the_unused_uid_is_nobodys() -> None:
    uid = unused_uid()
    assert UNUSED_LOW <= uid <= UNUSED_HIGH
    assert uid == unused_uid()
    with pytest.raises(KeyError):
        pwd.getpwuid(uid)
    with pytest.raises(KeyError):
        grp.getgrgid(uid)


@needs_root
def test_the_unused_uid_is_not_one_that_a_process_runs_as() -> None:
    taken = unused_uid()

    def child() -> int:
        os.setresuid(taken, 0, 0)
        return unused_uid()

    assert in_child(child) != taken


def test_a_dynamic_user_has_the_number_that_follows_from_the_services_name() -> None:
    """Whatever services there are besides, so that his files are not another's after a restart."""
    names = [f"service-{number}" for number in range(20)]
    first, second = DynamicUsers(), DynamicUsers()
    given = {name: first.identity(name, (), None).uid for name in names}
    assert len(set(given.values())) == len(names)
    assert all(UNUSED_LOW <= uid <= UNUSED_HIGH for uid in given.values())
    assert {name: first.identity(name, (), None).uid for name in names} == given
    alone = names[7]
    assert second.identity(alone, (), None).uid == given[alone]


def test_a_dynamic_user_has_no_number_of_another_service_or_the_acceptor() -> None:
    alone = DynamicUsers().identity("a", (), None).uid
    assert DynamicUsers().identity("a", (), alone).uid != alone


def test_no_unused_uid_is_an_error_with_a_remedy() -> None:
    with pytest.raises(IdentityError, match="every uid from 0 to 1 is in use"):
        unused_uid(0, 1)


@needs_root
def test_the_acceptor_runs_as_its_user_where_that_exists() -> None:
    assert acceptor_identity("daemon") == resolve("daemon")


@needs_root
def test_the_acceptor_runs_as_nobody_else_where_it_does_not() -> None:
    identity = acceptor_identity("no-such-user")
    assert UNUSED_LOW <= identity.uid <= UNUSED_HIGH
    assert (identity.gid, identity.groups) == (identity.uid, ())


@needs_root
def test_the_acceptor_is_never_root() -> None:
    with pytest.raises(IdentityError, match="never root"):
        acceptor_identity("root")


@needs_root
def test_an_ordinary_users_acceptor_is_that_user() -> None:
    def child() -> Identity:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return acceptor_identity("superd")

    assert in_child(child).uid == NOBODY
