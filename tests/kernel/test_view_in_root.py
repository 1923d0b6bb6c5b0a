"""A view inside of a root directory, in which somebody else makes the links."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from helpers.forked import in_child, needs_root

from superd.config.sandbox import Profile, ProtectHome, Sandbox, effective
from superd.errors import SuperdError
from superd.kernel import mounts, namespaces
from superd.kernel.views import View, steps

pytestmark = needs_root


@pytest.fixture
def jail(tmp_path: Path) -> Path:
    """A root directory whose /home, /tmp and devices are links, as from inside of it."""
    for name in ("dev", "data/home", "data/tmp"):
        (tmp_path / "jail" / name).mkdir(parents=True)
        (tmp_path / "jail" / name / "old").touch()
    for name, target in {"home": "/data/home", "tmp": "/../../data/tmp", "dev/tty": "/etc/passwd"}.items():
        (tmp_path / "jail" / name).symlink_to(target)
    return tmp_path / "jail"


def enter(jail: Path, keys: dict[str, Any]) -> None:
    namespaces.unshare(namespaces.CLONE_NEWNS)
    mounts.mount("none", "/", flags=mounts.MS_REC | mounts.MS_SLAVE)
    View(str(jail)).make(steps(effective(Sandbox(profile=Profile.NONE, **keys), root=False)))


def test_an_absolute_link_is_followed_inside(jail: Path) -> None:
    """Where the program would get to by it: what is behind the link is not left as it was."""

    def child() -> tuple[list[str], list[str]]:
        enter(jail, {"private_tmp": True, "protect_home": ProtectHome.TMPFS})
        return os.listdir(jail / "data/home"), os.listdir(jail / "data/tmp")

    assert in_child(child) == ([], [])


def test_its_devices_are_the_machines_whatever_is_there(jail: Path) -> None:
    """A link in its /dev is not followed to where the program could not get."""

    def child() -> tuple[bool, bool, bool]:
        enter(jail, {"private_devices": True})
        kinds = [stat.S_ISCHR((jail / "dev" / name).stat().st_mode) for name in ("null", "tty")]
        return kinds[0], kinds[1], (jail / "dev/old").exists()

    assert in_child(child) == (True, True, False)


def test_a_path_that_is_outside_only_is_not_there(jail: Path) -> None:
    def child() -> str:
        try:
            enter(jail, {"inaccessible_paths": ("+/etc/passwd",)})
        except SuperdError as error:
            return str(error)
        return ""

    assert in_child(child) == "sandbox.inaccessible_paths: /etc/passwd: there is no such file or folder"
