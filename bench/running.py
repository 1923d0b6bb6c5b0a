"""Starting a super-server, knowing when it serves, and ending it."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers import CHECKOUT, Launch

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


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses, below the range that connect() draws from."""
    for port in random.sample(range(20000, 30000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:  # in use: the next one
                continue
            return port
    raise NotServingError("no free port between 20000 and 30000")


@contextmanager
def serving(launch: Launch, port: int, output: Path) -> Iterator[None]:
    """Runs a super-server while the block runs.

    Args:
        launch: how to start it.
        port: where it is to answer.
        output: file that takes what it prints.

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
        _wait_until_ready(process, port, output)
        yield
    finally:
        _end(process)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while not _echoes(port):
        if process.poll() is not None:
            raise NotServingError(f"ended with {process.returncode}: {_last_words(output)}")
        if time.monotonic() > deadline:
            raise NotServingError(f"no echo within {READY_WITHIN_S:g} s: {_last_words(output)}")
        time.sleep(POLL_EVERY_S)


def _echoes(port: int) -> bool:
    """One whole exchange; False when nobody listens yet or the service answers wrongly."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=READY_WITHIN_S) as client:
            client.sendall(MESSAGE)
            with client.makefile("rb") as stream:
                return stream.read() == MESSAGE
    except OSError:  # refused, reset or too slow: not ready
        return False


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
