"""How a child ended: a closed set, the same word in code, log, metrics and man page."""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class Outcome(StrEnum):
    """The end of a child."""

    CLEAN = "clean"  # exit status 0
    FAILED = "failed"  # another exit status
    SIGNALLED = "signalled"  # a signal ended it
    TIMED_OUT = "timed-out"  # superd ended it after runtime_max
    IDLE = "idle"  # superd ended it after idle_timeout
    RESET = "reset"  # a connection that superd served itself: its client or its backend broke it off
    STOPPED = "stopped"  # superd ended it because it was asked to
    NEVER_STARTED = "never-started"  # exec or fork failed
    LOST = "lost"  # its spawner died, so nobody saw the end


def of_status(status: int) -> Outcome:
    """The outcome that a wait status (wait(2)) tells by itself."""
    if os.WIFSIGNALED(status):
        return Outcome.SIGNALLED
    return Outcome.CLEAN if os.WEXITSTATUS(status) == 0 else Outcome.FAILED


def status_word(status: int) -> int | str:
    """A wait status for people: the exit code, or the signal's name."""
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"SIG{number}"
