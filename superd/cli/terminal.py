"""Commands as a shell knows them: Ctrl-C, and a reader that has left, end them without a word."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable


def run(command: Callable[[], int]) -> int:
    """Run a command that is no daemon; returns its exit code.

    Returns:
        The command's own, else 128 and the number of the signal that would have ended a C program: SIGINT, or
        SIGPIPE where ``| head`` has read enough.
    """
    try:
        code = command()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())  # the interpreter writes what is left when it ends
        return 128 + signal.SIGPIPE
    return code
