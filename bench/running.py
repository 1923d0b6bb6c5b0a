"""Starting a super-server, knowing when it serves, and ending it."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from peers import CHECKOUT, AbsentError, Launch

READY_WITHIN_S = 15.0
STOPPED_WITHIN_S = 10.0
POLL_EVERY_S = 0.02
MESSAGE = b"hello\n"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The whole environment: what every exec copies must not depend on who runs the benchmark."""


def _python() -> dict[str, str]:
    """Whether Python looks for modules beside the program (PYTHONSAFEPATH): that decides which superd is measured."""
    return {name: value for name, value in os.environ.items() if name == "PYTHONSAFEPATH"}


class NotServingError(Exception):
    """A super-server ended, or did not answer in time; the text ends with its own last words."""


class Named(Protocol):
    """A row of any table."""

    @property
    def name(self) -> str: ...


Row = TypeVar("Row", bound=Named)


def startable(
    rows: Iterable[Row],
    start: Callable[[Row], object],
    failures: tuple[type[Exception], ...] = (NotServingError,),
) -> tuple[list[Row], dict[str, str], bool]:
    """Who can take part.

    Args:
        start: tries one.
        failures: what it raises for one that is there and does not serve.

    Returns:
        Those who start, why the others do not, by name, and whether one of these should have.
    """
    able: list[Row] = []
    left_out: dict[str, str] = {}
    failed = False
    for row in rows:
        try:
            start(row)
            able.append(row)
        except AbsentError as reason:
            left_out[row.name] = str(reason)
        except failures as reason:
            left_out[row.name] = str(reason)
            failed = True
    return able, left_out, failed


HIGH_PORTS = range(20000, 30000)
"""Below the range that connect() draws from."""

PRIVILEGED_PORTS = range(600, 1000)
"""Where services stand in life; openbsd-inetd closes none that stands elsewhere."""


def free_port(among: range = HIGH_PORTS) -> int:
    """A TCP port of 127.0.0.1 that nobody uses."""
    for port in random.sample(among, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:  # in use: the next one
                continue
            return port
    raise NotServingError(f"no free port between {among.start} and {among.stop}")


def echoes(port: int) -> bool:
    """Whether one whole exchange succeeds; not when nobody listens yet or the service answers wrongly."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=READY_WITHIN_S) as client:
            client.sendall(MESSAGE)
            client.shutdown(socket.SHUT_WR)  # some read to the end of the stream before they answer
            with client.makefile("rb") as stream:
                return stream.read() == MESSAGE
    except OSError:  # refused, reset or too slow: not ready
        return False


def listens(port: int) -> bool:
    """Whether somebody listens there, whatever becomes of the connection."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(
    launch: Launch, port: int, output: Path, is_ready: Callable[[int], bool] = echoes
) -> Iterator[int]:
    """Runs a super-server while the block runs, which is given its pid.

    Args:
        launch: how to start it.
        port: where it is to answer.
        output: file that takes what it prints.
        is_ready: whether it answers at a port.

    Raises:
        NotServingError: it did not get so far.
    """
    with output.open("wb") as sink:
        process = subprocess.Popen(
            launch.argv,
            cwd=CHECKOUT,
            env={"PATH": PATH, **_python(), **launch.environment},
            user=launch.uid,
            group=launch.uid,
            extra_groups=None if launch.uid is None else [],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, lambda: is_ready(port), output)
        yield process.pid
    finally:
        _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], is_ready: Callable[[], bool], output: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not is_ready():
        if process.poll() is not None:
            raise NotServingError(f"ended with {process.returncode}: {_last_words(output)}")
        if time.monotonic() > deadline:
            raise NotServingError(f"no answer within {READY_WITHIN_S:g} s: {_last_words(output)}")
        time.sleep(POLL_EVERY_S)


def _last_words(output: Path) -> str:
    lines = output.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
