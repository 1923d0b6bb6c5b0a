"""The examples of ``make run``, served for real: every command that it tells people to try does what it says.

Each runs in a network of its own, with a /run of its own, so that no superd, and no other daemon that is running
here, is in the way.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60  # only a hang lasts as long

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network of its own"),
]

HINT = re.compile(r"^# try: (?P<command>.*)\n\[services\.(?P<service>[^\]]+)\]", re.MULTILINE)

ANSWERS = {
    "daytime": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d\n",
    "echo": r"hello\n",
    "chargen": r"(?: ?.{71,72}\r?\n){3}",
    "whoami": r"uid=\d+.*\n",
    "environment": r"(?s).*\bTCPREMOTEIP=127\.0\.0\.1\n.*",
    "udp-echo": r"hello\n",
    "greet": r"hello\n",
}

OWN_NETWORK = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
exec "$@"
"""


def hints(file: Path) -> dict[str, str]:
    return {match["service"]: match["command"] for match in HINT.finditer(file.read_text())}


@contextmanager
def superd_on(file: Path, folder: Path, *change_user: str) -> Iterator[int]:
    """superd on a file, ready, in a network of its own; ends it as Ctrl-C does, and expects status 0."""
    config = folder / file.name
    shutil.copyfile(file, config)
    config.chmod(0o644)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(folder / "log", "w") as log:
        notify.bind(str(folder / "notify"))
        os.chmod(folder / "notify", 0o777)
        notify.settimeout(PATIENCE_S)
        program = [*change_user, sys.executable, "-m", "superd", "-f", str(config)]
        process = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", OWN_NETWORK, "sh", *program],
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
            stdin=subprocess.DEVNULL,
            stderr=log,
        )
        try:
            while b"READY=1" not in notify.recv(4096):
                assert process.poll() is None
            yield process.pid
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(PATIENCE_S)
    assert status == 0, (folder / "log").read_text()


def tried(pid: int, command: str) -> str:
    """What a command shows in the network of a process."""
    done = subprocess.run(
        ["nsenter", "--target", str(pid), "--net", "--mount", "bash", "-c", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are for their maker alone."""
    path = Path("/tmp") / f"superd-examples-{os.getpid()}"
    path.mkdir(mode=0o755)
    yield path
    shutil.rmtree(path)


def test_everything_that_make_run_suggests_to_root_works(folder: Path) -> None:
    file = ROOT / "etc/superd.toml"
    with superd_on(file, folder) as pid:
        answers = {service: tried(pid, command) for service, command in hints(file).items()}
    assert set(answers) == set(ANSWERS)
    for service, answer in answers.items():
        assert re.fullmatch(ANSWERS[service], answer), f"{service}: {answer!r}"
    assert answers["whoami"].startswith("uid=5(games) gid=60(games) groups=60(games),29(audio)")
    assert "someone was greeted" in (folder / "log").read_text()


def test_everything_that_make_run_suggests_to_an_ordinary_user_works(folder: Path) -> None:
    file = ROOT / "etc/examples/unprivileged.toml"
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    with superd_on(file, folder, *nobody) as pid:
        answers = {service: tried(pid, command) for service, command in hints(file).items()}
    assert set(answers) == set(ANSWERS) - {"greet"}
    for service, answer in answers.items():
        assert re.fullmatch(ANSWERS[service], answer), f"{service}: {answer!r}"
    assert answers["whoami"].startswith("uid=65534(nobody)")
