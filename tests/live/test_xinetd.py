"""A folder of xinetd, served to real clients: as it is, and converted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import PATIENCE_S, ROOT, Superd, exchange, output, run, wait_until, written
from sources import ask, connect_from

from superd.errors import Exit

pytestmark = [pytest.mark.live, pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for other users")]

OWN_RUN = 'mount -t tmpfs -o mode=755 tmpfs /run && exec "$@"'


def folder_of_xinetd(folder: Path, address: str) -> Path:
    """A xinetd.conf with a folder, as distributions have them, on one address."""
    written(
        folder / "xinetd.conf",
        f"""\
        defaults
        {{
            instances = 60
            log_type  = SYSLOG daemon info
            cps       = 200 30
            bind      = {address}
        }}
        includedir {folder}/xinetd.d
        """,
    )
    plain = "type = UNLISTED\nsocket_type = stream\nprotocol = tcp\nwait = no\nuser = nobody"
    written(folder / "xinetd.d/cat", f"service cat\n{{\nport = 7001\n{plain}\nserver = /bin/cat\n}}\n")
    written(
        folder / "xinetd.d/who",
        f"service who {{\nport = 7002\n{plain}\nserver = /bin/sh\nserver_args = -c id;printenv\n"
        "env = COLOUR=green\nonly_from = 127.0.0.{1,2} # us\nno_access = 127.0.0.2\n"
        "per_source = 1 # each\n}\n",
    )
    written(
        folder / "xinetd.d/off",
        f"service off\n{{\ndisable = yes\nport = 7003\n{plain}\nserver = /bin/cat\n}}\n",
    )
    written(folder / "xinetd.d/not.read", f"service n\n{{\nport = 7004\n{plain}\nserver = /bin/cat\n}}\n")
    return folder / "xinetd.conf"


@contextmanager
def superd_xinetd(folder: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """superd-xinetd in the foreground, serving, with a /run of its own; ends it by SIGTERM."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(folder / "stderr", "w") as stderr:
        notify.bind(str(folder / "notify"))
        notify.settimeout(PATIENCE_S)
        program = [sys.executable, "-m", "superd.cli.xinetd", "-dontfork", "-stayalive", *map(str, arguments)]
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", OWN_RUN, "sh", *program],
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": str(folder / "notify")},
            stdin=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            while b"READY=1" not in notify.recv(4096):
                assert process.poll() is None
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            status = process.wait(PATIENCE_S)
    assert status == 0, (folder / "stderr").read_text()


def assert_served(address: str) -> None:
    """What the folder promises, as clients see it."""
    assert exchange(address, 7001, b"hello") == b"hello"
    told = ask("127.0.0.1", address, port=7002).decode()
    assert "(nobody)" in told
    assert "COLOUR=green" in told
    assert "REMOTE_HOST=127.0.0.1" in told
    assert ask("127.0.0.2", address, port=7002) == b""
    assert ask("127.8.0.1", address, port=7002) == b""
    for port in (7003, 7004):
        with pytest.raises(ConnectionRefusedError):
            exchange(address, port)


@pytest.mark.needs("unshare", "mount")
def test_superd_xinetd_serves_a_folder_of_xinetd(folder: Path, address: str) -> None:
    config = folder_of_xinetd(folder, address)
    log, pid_file = folder / "log", folder / "pid"
    with superd_xinetd(
        folder, "-f", config, "-filelog", log, "-pidfile", pid_file, "-limit", "50"
    ) as process:
        assert_served(address)
        assert int(pid_file.read_text()) == process.pid
        text = log.read_text()
        assert "read as xinetd reads it" in text
        assert f"superctl import -o /etc/superd.toml {config}" in text


@pytest.mark.needs("unshare", "mount")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_its_signals_are_xinetds(folder: Path, address: str, number: int) -> None:
    config = folder_of_xinetd(folder, address)
    log = folder / "log"
    with (
        superd_xinetd(folder, "-f", config, "-filelog", log) as process,
        connect_from("127.0.0.1", address, 7001) as client,
    ):
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        later = folder / "xinetd.d/later"
        written(
            later,
            (folder / "xinetd.d/cat")
            .read_text()
            .replace("7001", "7005")
            .replace("service cat", "service later"),
        )
        process.send_signal(number)
        wait_until(lambda: _listens(address, 7005), "the new service")
        client.sendall(b"b")
        assert client.recv(1) == b"b"
        process.send_signal(signal.SIGQUIT)
        assert process.wait(PATIENCE_S) == 0
        client.sendall(b"c")  # what serves it goes on
        assert client.recv(1) == b"c"


@pytest.mark.needs("unshare", "mount")
@pytest.mark.parametrize(("number", "goes_on"), [(signal.SIGTERM, False), (signal.SIGQUIT, True)])
def test_sigterm_ends_the_programs_too_and_sigquit_leaves_them(
    folder: Path, address: str, number: int, goes_on: bool
) -> None:
    config = folder_of_xinetd(folder, address)
    with (
        superd_xinetd(folder, "-f", config, "-filelog", folder / "log") as process,
        connect_from("127.0.0.1", address, 7001) as client,
    ):
        client.sendall(b"a")
        assert client.recv(1) == b"a"
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        client.sendall(b"b")
        assert client.recv(1) == (b"b" if goes_on else b"")


def _listens(address: str, port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((address, port)) == 0


def test_a_converted_folder_serves_the_same(folder: Path, address: str) -> None:
    config = folder_of_xinetd(folder, address)
    command = [sys.executable, "-m", "superd.cli.superctl", "import", str(config)]
    done = run(*command, cwd=ROOT)
    assert done.returncode == Exit.OK, done.stderr
    assert "takes the comment for values" in done.stderr
    services = "\n".join(
        line for line in done.stdout.splitlines() if not line.startswith(("log = ", "syslog_", "[superd]"))
    )
    with Superd(services):
        assert_served(address)


def test_a_folder_is_imported_as_includedir_reads_it(folder: Path, address: str) -> None:
    folder_of_xinetd(folder, address)
    text = output(sys.executable, "-m", "superd.cli.superctl", "import", folder / "xinetd.d", cwd=ROOT)
    assert "[services.cat]" in text
    assert "[services.n]" not in text


def test_the_version_is_where_xinetd_writes_it() -> None:
    done = run(sys.executable, "-m", "superd.cli.xinetd", "-version", cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("xinetd ")
