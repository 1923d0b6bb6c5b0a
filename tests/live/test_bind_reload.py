"""Grants that change, are listed, and lack what they need."""

from __future__ import annotations

import json
import sys

import pytest
from binding import BIND, OTHER, bound, broker_pid, environ, grant, granting
from harness import Superd, becoming, run, wait_until

pytestmark = pytest.mark.live


def ctl(superd: Superd, *arguments: str, user: str = "") -> tuple[int, str]:
    command = [*becoming(user), sys.executable, "-m", "superd.cli.superctl", *arguments]
    done = run(*command, env=environ(superd), cwd="/")
    return done.returncode, done.stdout + done.stderr


def test_a_reload_changes_what_is_granted_and_keeps_the_socket(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        broker, path = broker_pid(superd), superd.folder / "bind.sock"
        before = path.stat().st_ino
        superd.reload(grant("tcp/81", address))
        wait_until(
            lambda: bound(superd, "/usr/bin/python3", "-c", BIND, address, "81").stdout == "81 bound\n",
            "the new grant",
        )
        assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 EACCES\n"
        assert (broker_pid(superd), path.stat().st_ino) == (broker, before)


def test_the_broker_goes_with_the_last_grant_and_comes_with_the_first(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        superd.reload("")
        wait_until(lambda: not broker_pid(superd), "the broker to go")
        assert not (superd.folder / "bind.sock").exists()
        superd.reload(grant("tcp/80", address))
        assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 bound\n"


def test_a_user_who_does_not_exist(address: str) -> None:
    bad = grant("tcp/82", address, user="no-such-user")
    with granting(grant("tcp/80", address) + bad) as superd:
        told = superd.wait_for("grant")
        assert 'grants[2].users = "no-such-user": no user "no-such-user"' in told["message"]
        assert bound(superd, "/usr/bin/python3", "-c", BIND, address, "80").stdout == "80 bound\n"
        assert (
            superd.ctl("reload").returncode == 0
        )  # what is wrong already does not stand in the way of others
        superd.configure(grant("tcp/80", address) + bad + bad)
        assert superd.ctl("reload").returncode == 78
        checked = run(sys.executable, "-m", "superd", "-f", superd.config, "--check", cwd="/")
        assert checked.returncode == 78
        assert 'grants[3].users = "no-such-user"' in checked.stderr


def test_an_ordinary_user_has_nothing_to_grant(address: str) -> None:
    with Superd(grant("tcp/80", address), run_as="nobody") as superd:
        told = superd.wait_for("grant")
        assert "superd may not bind ports below 1024 itself" in told["message"]
        command = [*becoming("nobody"), sys.executable, "-m", "superd", "-f", str(superd.config), "--check"]
        assert run(*command, cwd="/").returncode == 78


def test_what_somebody_may_bind(address: str) -> None:
    grants = grant("tcp/80", address) + grant("udp/53", address, user=OTHER)
    with granting(grants) as superd:
        code, text = ctl(superd, "grants", user="nobody")
        assert code == 0
        assert [line.split()[0] for line in text.splitlines()] == ["PORTS", "tcp/80"]
        code, text = ctl(superd, "--json", "grants", OTHER)
        assert [one["ports"] for one in json.loads(text)["grants"]] == [["udp/53"]]
        code, text = ctl(superd, "grants")
        assert len(text.splitlines()) == 3
        assert ctl(superd, "grants", OTHER, user="nobody")[0] == 77
        assert ctl(superd, "grants", "no-such-user")[0] == 64


def test_the_log_is_opened_anew_for_the_broker_too(address: str) -> None:
    with granting(grant("tcp/80", address)) as superd:
        superd.log.rename(superd.folder / "log.1")
        superd.reload()
        wait_until(
            lambda: (
                bound(superd, "/usr/bin/python3", "-c", BIND, address, "80")
                and superd.log_events("grant", message="granted")
            ),
            "a line in the new log",
        )
