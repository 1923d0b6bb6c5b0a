"""Children inherit the limit on descriptors that was asked for; the spawner itself may take more."""

from __future__ import annotations

import fcntl
import os
import resource
from collections.abc import Callable

import pytest
from helpers.forked import in_child

from superd.spawner.descriptors import HEADROOM, DescriptorBudget


def limits() -> tuple[int, int]:
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def under(soft: int, hard: int, received: list[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """The limits within and after ``lifted``, once ``received`` were seen."""

    def run() -> tuple[tuple[int, int], tuple[int, int]]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        budget = DescriptorBudget()
        budget.seen(received)
        with budget.lifted():
            inside = limits()
        return inside, limits()

    return in_child(run)


@pytest.mark.parametrize(
    ("received", "inside"),
    [
        ([], (256, 512)),
        ([10, 256 - HEADROOM], (256, 512)),
        ([10, 256 - HEADROOM + 1], (512, 512)),
    ],
)
def test_the_limit_is_lifted_when_it_is_near_and_no_longer_than_needed(
    received: list[int], inside: tuple[int, int]
) -> None:
    assert under(256, 512, received) == (inside, (256, 512))


def test_where_soft_is_hard_there_is_nothing_to_lift() -> None:
    assert under(256, 256, [250]) == ((256, 256), (256, 256))


def in_limits(run: Callable[[DescriptorBudget], None]) -> tuple[int, int]:
    def limited() -> tuple[int, int]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
        run(DescriptorBudget())
        return limits()

    return in_child(limited)


def test_it_is_lowered_again_after_a_failure() -> None:
    def fail(budget: DescriptorBudget) -> None:
        budget.seen([255])
        with pytest.raises(OSError), budget.lifted():
            raise OSError("no descriptor left after all")

    assert in_limits(fail) == (256, 512)


def test_it_stays_once_low_numbers_are_free_again() -> None:
    def quiet(budget: DescriptorBudget) -> None:
        budget.seen([255])
        budget.seen([9])
        with budget.lifted():
            assert limits() == (256, 512)

    assert in_limits(quiet) == (256, 512)


def test_what_is_placed_has_a_low_number_only_as_long_as_it_is_needed() -> None:
    def place(budget: DescriptorBudget) -> None:
        reader, writer = os.pipe()
        with budget.lifted():
            high = fcntl.fcntl(writer, fcntl.F_DUPFD_CLOEXEC, 300)
        os.close(writer)
        with budget.seated([high, high, reader]) as low:
            assert max(low) < 256
            assert low[0] == low[1]
            assert low[2] == reader
            os.write(low[0], b"same")
            assert os.read(reader, 9) == b"same"
            os.close(high)
        assert os.read(reader, 9) == b"", "a writer is left"

    def crowded(budget: DescriptorBudget) -> None:
        budget.seen([255])
        place(budget)

    assert in_limits(crowded) == (256, 512)
