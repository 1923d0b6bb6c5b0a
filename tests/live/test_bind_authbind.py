"""The same programs under authbind: what the README says of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from binding import USER, answers
from harness import becoming, descendants, wait_until
from test_bind_programs import Command, busybox, deep, go, nginx, node, python_server

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs("authbind", "busybox", "webhook", "node", "/usr/sbin/nginx", "/usr/bin/python3"),
]


@contextmanager
def allowed(address: str) -> Iterator[None]:
    """Port 80 of one address for everybody."""
    path = Path("/etc/authbind/byaddr") / f"{address}:80"
    path.touch()
    path.chmod(0o755)
    try:
        yield
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("command", "prefix", "serves"),
    [
        pytest.param(busybox, (), False, id="busybox-httpd-static"),
        pytest.param(go, (), False, id="webhook-go"),
        pytest.param(python_server, (), True, id="python-http.server"),
        pytest.param(node, (), True, id="node"),
        pytest.param(nginx, (), True, id="nginx-foreground"),
        pytest.param(deep, (), True, id="below-two-shells"),
        pytest.param(python_server, ("setpriv", "--no-new-privs", "--"), False, id="no-new-privs"),
    ],
)
def test_what_authbind_serves(
    command: Command, prefix: tuple[str, ...], serves: bool, address: str, folder: Path
) -> None:
    program = map(str, command(address, 80, folder))
    line = [*becoming(USER), *prefix, "authbind", "--deep", *program]
    with allowed(address), subprocess.Popen(line, cwd="/", stdin=subprocess.DEVNULL) as one:
        try:
            wait_until(lambda: answers(address, 80) or one.poll() is not None, "the port, or the end")
            assert (one.poll() is None) is serves
        finally:
            for pid in [*descendants(one.pid), one.pid]:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
