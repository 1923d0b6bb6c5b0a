"""A process that stays who it is keeps the capabilities that it names, and gets no other back."""

from __future__ import annotations

import subprocess

from helpers.forked import NOBODY, in_child, needs_root
from kernel_child import proc_status

from superd.kernel import linux
from superd.kernel.identity import resolve
from superd.kernel.privileges import drop_for_good, keep_only

pytestmark = needs_root

SETS = ("CapPrm", "CapEff", "CapBnd")
KEPT = 1 << linux.CAP_SETPCAP | 1 << linux.CAP_NET_BIND_SERVICE | 1 << 6 | 1 << 7  # CAP_SETGID, CAP_SETUID


def masks(status: dict[str, list[str]]) -> list[int]:
    return [int(status[name][0], 16) for name in SETS]


def after_exec() -> dict[str, list[str]]:
    """The state of a program that is executed now: root's exec fills its sets from the bounding set."""
    done = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True)
    lines = (line.partition(":") for line in done.stdout.splitlines())
    return {name: value.split() for name, _, value in lines}


def test_nothing_but_what_is_kept_is_left_here_and_after_an_exec() -> None:
    def child() -> list[list[int]]:
        keep_only(KEPT, no_new_privs=False)
        return [masks(proc_status()), masks(after_exec())]

    assert in_child(child) == [[KEPT] * 3] * 2


def test_a_process_that_kept_the_right_ones_can_still_become_somebody_else() -> None:
    def child() -> list[str]:
        keep_only(KEPT, no_new_privs=True)
        drop_for_good(resolve("nobody"))
        status = proc_status()
        return [*status["Uid"], *status["CapEff"], *status["CapBnd"], *status["NoNewPrivs"]]

    assert in_child(child) == [str(NOBODY)] * 4 + ["0" * 16] * 2 + ["1"]


def test_an_ordinary_user_gives_up_what_he_has_not() -> None:
    def child() -> list[int]:
        drop_for_good(resolve("nobody"))
        keep_only(0, no_new_privs=True)
        return masks(proc_status())

    assert in_child(child) == [0, 0, 0]


def test_what_is_not_held_cannot_be_kept_and_is_no_error() -> None:
    def child() -> list[int]:
        keep_only(1 << linux.CAP_SETPCAP, no_new_privs=False)
        keep_only(KEPT, no_new_privs=False)
        return masks(proc_status())

    assert in_child(child) == [1 << linux.CAP_SETPCAP] * 3
