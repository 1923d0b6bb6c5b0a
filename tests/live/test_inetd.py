"""An old inetd.conf: converted, and as it is, with real clients."""

from __future__ import annotations

import json
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness import PATIENCE_S, ROOT, Superd, becoming, exchange, is_alive, output, run, wait_until, written

pytestmark = pytest.mark.live

DEBIAN = """\
# /etc/inetd.conf:  see inetd(8) for further informations.
#:OTHER: Other services
ADDRESS:2001 stream tcp nowait.400 games:daemon /usr/bin/id id -ng
ADDRESS:2002 stream tcp nowait games /usr/sbin/tcpd /bin/cat
#<off># ADDRESS:2003 stream tcp nowait games /bin/cat cat
ADDRESS:2004 stream tcp nowait games /bin/sh sh -c echo\tout
short line
"""


def imported(folder: Path, address: str, *options: str) -> subprocess.CompletedProcess[str]:
    conf = written(folder / "inetd.conf", DEBIAN.replace("ADDRESS", address))
    return run(sys.executable, "-m", "superd.cli.superctl", "import", *options, conf, cwd=ROOT)


def test_a_debian_inetd_conf_is_converted_and_served(folder: Path, address: str) -> None:
    done = imported(folder, address)
    assert done.returncode == 65
    assert "inetd.conf:7: fault: 2 fields of 6: no protocol" in done.stderr
    with Superd(done.stdout) as superd:
        assert exchange(address, 2001) == b"daemon\n"
        assert exchange(address, 2002, b"through tcpd\n") == b"through tcpd\n"
        assert exchange(address, 2004) == b"\n"
        states = {name: one["state"] for name, one in superd.status().items()}
        assert states == {"2001": "listening", "2002": "listening", "2003": "disabled", "2004": "listening"}


def test_what_hosts_deny_said_to_tcpd_is_said_to_superd(folder: Path, address: str) -> None:
    text = imported(folder, address).stdout
    assert "[services.2002.access]" in text
    assert 'exec = ["cat"]' in text
    assert "hosts_access = true" in text


def test_the_report_for_machines(folder: Path, address: str) -> None:
    report = json.loads(imported(folder, address, "--report", "json", "-o", str(folder / "out.toml")).stderr)
    assert [one["name"] for one in report["services"]] == ["2001", "2002", "2003", "2004"]
    assert [one["line"] for one in report["remarks"] if one["fate"] == "fault"] == [7]
    assert (folder / "out.toml").read_text().startswith("# What stood in ")


def test_in_the_place_of_inetd(folder: Path, address: str) -> None:
    """As an ordinary user, so that the machine's own control socket and pid file are left alone."""
    user = pwd.getpwnam("games")
    os.chown(folder, user.pw_uid, user.pw_gid)
    conf, pid_file = folder / "inetd.conf", folder / "pid"
    conf.write_text(f"{address}:2001 stream tcp nowait games /bin/echo echo one\n")
    os.chown(conf, user.pw_uid, user.pw_gid)
    environ = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    command = [
        *becoming("games"),
        sys.executable,
        "-m",
        "superd.cli.inetd",
        f"-p{pid_file}",
        "-R",
        "0",
        str(conf),
    ]
    with open(folder / "log", "wb") as log:  # it stays open when superd has gone to the background
        started = subprocess.run(
            command, cwd=ROOT, env=environ, stdout=log, stderr=log, timeout=PATIENCE_S, check=False
        )
    assert started.returncode == 0, (folder / "log").read_text()
    pid = int(pid_file.read_text())
    try:
        assert exchange(address, 2001) == b"one\n"
        conf.write_text(f"{address}:2001 stream tcp nowait games /bin/echo echo two\n")
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: exchange(address, 2001) == b"two\n", "the new file to be in force")
    finally:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(pid), "superd-inetd to end")
    assert not pid_file.exists()


def test_superd_serves_an_inetd_conf_as_it_is(folder: Path, address: str) -> None:
    conf = written(
        folder / "inetd.conf", f"{address}:2001 stream tcp nowait games /bin/echo echo one\nshort line\n"
    )
    told = run(sys.executable, "-m", "superd", "--check", "-f", conf, cwd=ROOT)
    assert told.returncode == 0
    assert f"superctl import -o /etc/superd.toml {conf}" in told.stderr
    assert output(sys.executable, "-m", "superd", "--check", "-f", conf, cwd=ROOT).endswith(
        "1 service, no faults\n"
    )
