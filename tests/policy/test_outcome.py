"""The end of a child in one word, and in the words of a shell."""

from __future__ import annotations

import os
import signal

import pytest

from superd.policy.outcome import Outcome, of_status, status_word


def status_of(program: str) -> int:
    """The wait status of a real shell."""
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", program], {})
    return os.waitpid(pid, 0)[1]


@pytest.mark.parametrize(
    ("program", "outcome", "word"),
    [
        ("exit 0", Outcome.CLEAN, 0),
        ("exit 1", Outcome.FAILED, 1),
        ("exit 255", Outcome.FAILED, 255),
        ("kill -TERM $$", Outcome.SIGNALLED, "SIGTERM"),
        ("kill -KILL $$", Outcome.SIGNALLED, "SIGKILL"),
        ("kill -40 $$", Outcome.SIGNALLED, "SIG40"),
    ],
)
def test_a_real_end(program: str, outcome: Outcome, word: int | str) -> None:
    status = status_of(program)
    assert of_status(status) is outcome
    assert status_word(status) == word


def test_a_core_dump_is_a_signal_all_the_same() -> None:
    status = int(signal.SIGSEGV) | 0x80
    assert of_status(status) is Outcome.SIGNALLED
    assert status_word(status) == "SIGSEGV"
