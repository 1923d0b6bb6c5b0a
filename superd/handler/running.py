"""One connection served to its end, and the exit status that comes of it."""

from __future__ import annotations

import sys

from superd.handler.loading import traceback_lines

TYPE_CHECKING = False  # see connection.py
if TYPE_CHECKING:
    from collections.abc import Callable

    from superd.handler.connection import Connection
    from superd.handler.loading import Serve

FAILED = 1
"""The exit status after an exception, as Python has it."""


def run(serve: Serve, connection: Connection, complain: Callable[[str], None]) -> int:
    """Serve a connection and send all that was written.

    Args:
        complain: takes lines for the log, with newlines in between: a traceback, the text of a SystemExit.

    Returns:
        The exit status: 0, that of a SystemExit, or 1 after any other exception.
    """
    status = 0
    try:
        try:
            serve(connection)
        except SystemExit as stop:
            status = _status(stop.code, complain)
        finally:
            _send_all(connection)
    except BaseException as error:  # noqa: BLE001  the process ends with it, whatever it is
        told = f"{connection.service}: exception while serving {connection.peer}"
        complain("\n".join([told, *traceback_lines(error)]))
        return FAILED
    return status


def _send_all(connection: Connection) -> None:
    connection.flush()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _status(code: object, complain: Callable[[str], None]) -> int:
    """The exit status of ``sys.exit(code)``. Source: Python's documentation of sys.exit."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    complain(str(code))
    return FAILED
