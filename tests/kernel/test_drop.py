"""A dropped process holds nothing and regains nothing; a drop that is incomplete never passes for one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

import pytest
from helpers.forked import NOBODY, in_child, needs_root, public_folder
from kernel_child import proc_status

from superd.kernel import linux
from superd.kernel.identity import Identity, acceptor_identity, resolve
from superd.kernel.privileges import PrivilegeError, Rights, drop_for_good, finish, take_on, verify_dropped

pytestmark = needs_root

FIELDS = ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
NO_CAPABILITIES = ["0" * 16]


def _facts() -> dict[str, list[str]]:
    status = proc_status()
    return {name: status[name] for name in FIELDS}


def _expected(identity: Identity) -> dict[str, list[str]]:
    return {
        "Uid": [str(identity.uid)] * 4,
        "Gid": [str(identity.gid)] * 4,
        "Groups": [str(gid) for gid in identity.groups],
        "CapInh": NO_CAPABILITIES,
        "CapPrm": NO_CAPABILITIES,
        "CapEff": NO_CAPABILITIES,
        "CapBnd": NO_CAPABILITIES,
        "CapAmb": NO_CAPABILITIES,
        "NoNewPrivs": ["1"],
    }


def _refusal(function: Callable[[], None]) -> str:
    """Return the text of the PrivilegeError that ``function`` must raise in a child."""

    def child() -> str:
        try:
            function()
        except PrivilegeError as error:
            return str(error)
        raise AssertionError("no PrivilegeError")

    return in_child(child)


@pytest.mark.parametrize(
    "identity",
    [
        resolve("nobody"),
        resolve("daemon", "adm", ("shadow", "4242")),
        resolve("64999", "64998"),
        acceptor_identity("no-such-user"),
        resolve("root", supplementary_groups=("adm",)),
    ],
    ids=lambda identity: identity.user,
)
def test_nothing_is_left_after_a_drop(identity: Identity) -> None:
    def child() -> dict[str, list[str]]:
        drop_for_good(identity)
        verify_dropped(identity)
        return _facts()

    assert in_child(child) == _expected(identity)


def test_capabilities_that_would_pass_through_exec_are_gone_too() -> None:
    bit = 1 << linux.CAP_NET_BIND_SERVICE
    identity = resolve("nobody")

    def child() -> dict[str, list[str]]:
        mine = linux.capget()
        linux.capset(linux.Capabilities(mine.effective, mine.permitted, bit))
        linux._libc.prctl(47, 2, linux.CAP_NET_BIND_SERVICE, 0, 0)  # PR_CAP_AMBIENT_RAISE
        linux.set_keepcaps(True)
        drop_for_good(identity)
        return _facts()

    assert in_child(child) == _expected(identity)


def test_a_setuid_program_gives_nothing_back() -> None:
    identity = resolve("nobody")
    with public_folder() as folder:
        program = folder / "id"
        shutil.copy("/usr/bin/id", program)
        program.chmod(0o4755)

        def effective_uid() -> str:
            return subprocess.run([program, "-u"], capture_output=True, text=True, check=True).stdout.strip()

        def only_setuid() -> str:
            os.setresuid(NOBODY, NOBODY, NOBODY)
            return effective_uid()

        def dropped() -> str:
            drop_for_good(identity)
            return effective_uid()

        if in_child(only_setuid) != "0":
            pytest.skip("the temporary folder is on a nosuid mount")
        assert in_child(dropped) == str(NOBODY)


def test_a_service_of_root_keeps_its_capabilities() -> None:
    identity = resolve("root", supplementary_groups=("adm",))
    before = _facts()

    def child() -> dict[str, list[str]]:
        rights = Rights(bounding=linux.bounding_set(), no_new_privileges=False)
        take_on(identity, rights)
        finish(identity, rights)
        return _facts()

    after = in_child(child)
    assert {name: after[name] for name in FIELDS[3:]} == {name: before[name] for name in FIELDS[3:]}
    assert after["Groups"] == [str(gid) for gid in identity.groups]


# --- containers start with less ---


def _without_setpcap() -> None:
    mine, mask = linux.capget(), ~(1 << linux.CAP_SETPCAP)
    linux.capset(linux.Capabilities(mine.effective & mask, mine.permitted & mask))


def test_an_empty_bounding_set_needs_no_privilege_to_empty() -> None:
    identity = resolve("nobody")

    def child() -> dict[str, list[str]]:
        for capability in range(linux.LAST_CAP + 1):
            if linux.capbset_read(capability):
                linux.capbset_drop(capability)
        _without_setpcap()
        drop_for_good(identity)
        return _facts()

    assert in_child(child) == _expected(identity)


def test_a_bounding_set_that_cannot_be_emptied_is_no_silent_weakening() -> None:
    def child() -> None:
        _without_setpcap()
        drop_for_good(resolve("nobody"))

    assert "PR_CAPBSET_DROP" in _refusal(child)


# --- an ordinary user's superd ---


def _as_nobody() -> None:
    os.setgroups([4242])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def test_an_ordinary_user_drops_what_he_can() -> None:
    def child() -> dict[str, list[str]]:
        _as_nobody()
        identity = resolve("")
        drop_for_good(identity)
        verify_dropped(identity, from_root=False)
        return _facts()

    facts = in_child(child)
    assert (facts["Groups"], facts["CapPrm"], facts["NoNewPrivs"]) == (["4242"], NO_CAPABILITIES, ["1"])


def test_an_ordinary_user_cannot_become_another() -> None:
    def child() -> None:
        _as_nobody()
        drop_for_good(resolve("daemon"))

    assert _refusal(child) == "only root can become daemon: start superd as root or as daemon"


def test_an_ordinary_user_cannot_change_his_groups() -> None:
    def child() -> None:
        _as_nobody()
        drop_for_good(resolve("", supplementary_groups=("adm",)))

    assert "only root can change the groups" in _refusal(child)


# --- the proof itself: every half-done drop is found ---


def _effective_only() -> None:
    os.seteuid(NOBODY)


def _groups_left() -> None:
    os.setgroups([0, 4])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _capabilities_left() -> None:
    linux.set_keepcaps(True)
    _ids_only()


def _ids_only() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _saved_gid_left() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, NOBODY)


def _no_new_privs_missing() -> None:
    for capability in range(linux.LAST_CAP + 1):
        if linux.capbset_read(capability):
            linux.capbset_drop(capability)
    _ids_only()


@pytest.mark.parametrize(
    ("half_done", "finding"),
    [
        (lambda: None, "user ids are"),
        (_effective_only, "user ids are"),
        (_saved_gid_left, "group ids are"),
        (_groups_left, "groups are"),
        (_capabilities_left, "still holds capabilities"),
        (_ids_only, "bounding set still holds"),
        (_no_new_privs_missing, "no_new_privs is not set"),
    ],
)
def test_a_half_done_drop_is_found(half_done: Callable[[], None], finding: str) -> None:
    def child() -> None:
        half_done()
        verify_dropped(Identity(NOBODY, NOBODY, (), "nobody", "/", "/bin/sh"))

    assert finding in _refusal(child)
