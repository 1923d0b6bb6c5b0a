"""Levels of programs: what was executed by what."""

from __future__ import annotations

from superd.supervise.levels import Levels


class Machine:
    """Processes and the programs that they run, as one tells it."""

    def __init__(self) -> None:
        self.images = {1: b"stub"}
        self.levels = Levels(lambda pid: self.images.get(pid, b""))
        self.levels.first(1)

    def execute(self, pid: int, image: bytes, *, succeeds: bool = True) -> None:
        self.levels.announce(pid)
        if succeeds:
            self.images[pid] = image


def test_the_first_program_is_on_the_first_level() -> None:
    machine = Machine()
    machine.execute(1, b"first")
    assert machine.levels.of(1) == 1


def test_each_program_is_one_below_the_one_that_executed_it() -> None:
    machine = Machine()
    machine.execute(1, b"first")
    machine.images[2] = b"first"  # a fork
    machine.execute(2, b"second")
    machine.execute(2, b"third")
    assert [machine.levels.of(1), machine.levels.of(2)] == [1, 3]


def test_an_attempt_that_fails_is_no_level() -> None:
    machine = Machine()
    for _ in range(5):
        machine.execute(1, b"", succeeds=False)  # along PATH
    machine.execute(1, b"first")
    assert machine.levels.of(1) == 1


def test_a_fork_of_a_fork_has_the_level_of_its_program() -> None:
    machine = Machine()
    machine.execute(1, b"first")
    machine.images[3] = b"first"
    assert machine.levels.of(3) == 1


def test_a_daemon_whose_parent_is_gone_before_it_asks() -> None:
    machine = Machine()
    machine.execute(1, b"first")
    machine.images[2] = b"first"
    del machine.images[1]
    assert machine.levels.of(2) == 1


def test_who_cannot_be_looked_into_is_as_deep_as_can_be() -> None:
    machine = Machine()
    machine.execute(1, b"first")
    machine.levels.of(1)
    machine.execute(1, b"second")
    machine.levels.of(1)
    assert machine.levels.of(99) == 2
