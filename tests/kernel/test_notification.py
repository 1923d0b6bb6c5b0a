"""The filter of superd-bind, run by a small interpreter of its own."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from superd.kernel.notification import MACHINES, assemble

ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
WORDS = st.integers(0, 2**32 - 1)


def run(program: bytes, number: int, arch: int) -> int:
    """What classic BPF makes of a system call: load a word, jump when equal, return."""
    steps = list(struct.iter_unpack("=HBBI", program))
    data = {0: number, 4: arch}
    accumulator = place = 0
    while True:
        code, when, otherwise, value = steps[place]
        place += 1
        if code == 0x20:
            accumulator = data[value]
        elif code == 0x15:
            place += when if accumulator == value else otherwise
        else:
            assert code == 0x06
            return int(value)


@given(st.lists(WORDS, min_size=1, max_size=4, unique=True), WORDS, WORDS, WORDS)
def test_it_hands_over_these_calls_alone(numbers: list[int], arch: int, number: int, other: int) -> None:
    program = assemble(arch, tuple(numbers))
    assert all(run(program, one, arch) == NOTIFY for one in numbers)
    assert run(program, number, arch) == (NOTIFY if number in numbers else ALLOW)
    if other != arch:
        assert run(program, numbers[0], other) == ALLOW


def test_x32_meets_the_kernels_own_answer() -> None:
    machine = MACHINES["x86_64"]
    assert run(assemble(machine.arch, (machine.bind,)), machine.bind | 0x40000000, machine.arch) == ALLOW
