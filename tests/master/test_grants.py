"""Grants with their names looked up."""

from __future__ import annotations

import os

import pytest

from superd.config.model import GrantTable
from superd.master.grants import look_up
from superd.policy.grants import Ports

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has nothing to grant")


def table(**keys: tuple[str, ...]) -> GrantTable:
    return GrantTable("superd.toml", "grants[1]", (Ports("tcp", 80, 80),), **keys)  # type: ignore[arg-type] # of the test


@ROOT_ONLY
def test_names_and_numbers_become_numbers() -> None:
    (grant,), faults = look_up([table(users=("root", "65534"), groups=("0",))])
    assert faults == []
    assert (grant.uids, grant.gids, grant.everyone) == ((0, 65534), (0,), False)
    assert grant.name == "superd.toml: grants[1]"


@ROOT_ONLY
def test_everybody_is_no_user() -> None:
    (grant,), _ = look_up([table(users=("*",))])
    assert (grant.uids, grant.everyone) == ((), True)


@ROOT_ONLY
def test_one_that_cannot_be_looked_up_is_left_out_and_told() -> None:
    grants, faults = look_up(
        [table(users=("no-such-user",), groups=("no-such-group",)), table(users=("root",))]
    )
    assert len(grants) == 1
    assert [fault.key for fault in faults] == ["grants[1].users", "grants[1].groups"]
