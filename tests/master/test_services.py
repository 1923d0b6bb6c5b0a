"""What the acceptor is told of a service."""

from __future__ import annotations

import os

import pytest
from helpers.forked import NOBODY, in_child, needs_root
from helpers.services import service

from superd.config.model import Mode, Target
from superd.master.services import most_spawners, user_text


@pytest.mark.parametrize(
    ("user", "group", "text"),
    [("ftp", "", "ftp"), ("ftp", "daemon", "ftp:daemon"), ("1000", "1000", "1000:1000")],
)
def test_a_user_is_shown_as_it_is_configured(user: str, group: str, text: str) -> None:
    assert user_text(service(user=user, group=group)) == text


@needs_root
def test_a_service_without_a_user_is_shown_with_the_name_of_whoever_runs_superd() -> None:
    def as_nobody() -> tuple[str, str]:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        return user_text(service(user="")), user_text(service(user="", group="daemon"))

    assert in_child(as_nobody) == ("nobody", "nobody:daemon")
    assert user_text(service(user="")) == "", "root serves nobody unasked"


@pytest.mark.parametrize(("processors", "most"), [(1, 2), (2, 2), (6, 6), (64, 8)])
def test_there_are_as_many_spawners_as_processors_within_reason(processors: int, most: int) -> None:
    assert most_spawners(service(), processors) == most


def test_spawners_is_obeyed_and_an_instance_has_one() -> None:
    assert most_spawners(service(spawners=1), 64) == 1
    assert most_spawners(service(spawners=32), 2) == 32
    assert most_spawners(service(mode=Mode.WAIT), 64) == 1
    assert most_spawners(service(forward=Target("unix", path="/run/web")), 64) == 1
