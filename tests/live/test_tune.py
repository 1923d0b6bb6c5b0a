"""superctl tune, limits and their like: at once, for a while, for good, and over a crash."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from typing import Any

import pytest
from clients import echo, echoes
from harness import Superd, wait_until
from sources import ask, connect_from

pytestmark = pytest.mark.live

A, B = "127.9.0.1", "127.9.0.2"


def limits(superd: Superd, service: str = "echo") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(superd.ctl("--json", "limits", service).stdout)["services"][service]
    return found


def test_limits_tell_what_is_set_used_left_and_refused(address: str) -> None:
    more = '[services.echo.limits]\nmax_connections = 5\nrate_per_source = "2/min"\nrate = "100/s"\n'
    with Superd(echo(address, more=more)) as superd, ExitStack() as stack:
        held = [stack.enter_context(connect_from(A, address)) for _ in range(2)]
        assert all(map(echoes, held))
        assert ask(A, address) == b""
        told = limits(superd)
        assert told["limits"]["max_connections"] == 5
        assert told["use"]["max_connections"] == {"used": 2, "free": 3, "note": ""}
        assert told["use"]["max_connections_per_source"]["note"] == A
        assert told["refused"]["minute"] == told["refused"]["hour"] == {"source-rate": 1}
        assert told["busiest"] == [{"source": A, "offers": 3, "open": 2}]
        table = superd.ctl("limits").stdout
        assert table.startswith("echo\n")
        assert any(line.split()[:4] == ["max_connections", "5", "2", "3"] for line in table.splitlines())
        assert any(line.split() == ["source-rate", "1", "1", "1"] for line in table.splitlines())


def test_a_tuned_value_holds_at_once_and_until_it_is_taken_back(address: str) -> None:
    with Superd(echo(address)) as superd, ExitStack() as stack:
        client = stack.enter_context(connect_from(A, address))
        assert echoes(client)
        done = superd.ctl("tune", "echo", "max_connections_per_source=1", f'access.deny=["{B}"]')
        assert done.returncode == 0 and "tuned" in done.stdout
        assert echoes(client), "nobody who is in is thrown out"
        assert ask(A, address) == b"" and ask(B, address) == b""
        said = superd.wait_for("control", command="tune", service="echo", uid=0)
        assert json.loads(said["values"]) == {"limits.max_connections_per_source": 1, "access.deny": [B]}
        assert superd.ctl("tune", "echo", "--reset").returncode == 0
        assert ask(A, address) == b"hello" and ask(B, address) == b"hello"


def test_for_a_while(address: str) -> None:
    with Superd(echo(address)) as superd:
        assert superd.ctl("tune", "echo", f'access.deny=["{A}"]', "--for", "1s").returncode == 0
        assert ask(A, address) == b""
        superd.wait_for("control", key="access.deny", message="its time is over")
        assert ask(A, address) == b"hello"


def test_faults_are_told_and_change_nothing(address: str) -> None:
    with Superd(echo(address)) as superd:
        for words, part in (
            (["rate=10"], 'write "10/s"'),
            (["rats=10/s"], "rate"),
            (["user=root"], "cannot be tuned live"),
            (["rate=10/s", "burst=0"], "burst"),
        ):
            done = superd.ctl("tune", "echo", *words)
            assert done.returncode == 78 and part in done.stderr, (words, done.stderr)
        for words in (["rate"], [], ["rate=1/s", "--for", "soon"], ["rate=1/s", "--for", "1h", "--save"]):
            assert superd.ctl("tune", "echo", *words).returncode == 64
        assert superd.ctl("tune", "nothing", "rate=1/s").returncode == 64
        assert limits(superd)["limits"]["rate"] == "infinity"
        assert ask(A, address) == b"hello"


def test_only_who_may_change_things_may_tune(address: str) -> None:
    with Superd(echo(address), settings='control_group = "games"') as superd:
        assert superd.ctl("limits", run_as="games").returncode == 0
        done = superd.ctl("tune", "echo", "rate=1/h", run_as="games")
        assert done.returncode == 77
        assert superd.ctl("unban", A, run_as="games").returncode == 77


def test_what_is_saved_stands_beside_the_configuration_and_holds_after_a_restart(address: str) -> None:
    services = echo(address, more="[services.echo.limits]\nmax_connections = 9 # a comment of mine\n")
    with Superd(services) as superd:
        before = superd.config.read_bytes()
        done = superd.ctl("tune", "echo", "max_connections_per_source=1", "--save")
        saved = superd.folder / "superd.override.toml"
        assert done.returncode == 0 and f"saved in {saved}" in done.stdout
        assert superd.ctl("tune", "echo", "penalty_failed=5s", "--save").returncode == 0
        assert superd.config.read_bytes() == before
        assert "max_connections_per_source = 1\n" in saved.read_text()
        assert saved.read_text().startswith("# Written by superctl tune --save")
        assert saved.stat().st_mode & 0o777 == 0o644
        superd.reload()
        told = limits(superd)
        assert told["limits"]["max_connections_per_source"] == 1
        assert told["limits"]["penalty_failed"] == "5s"
        assert told["tuned"]["lasting"] == {}, "the configuration holds it now"
        saved.unlink()
        superd.reload()
        assert limits(superd)["limits"]["max_connections_per_source"] == 64


def test_what_is_saved_is_loaded_first(address: str) -> None:
    """A value that only holds together with an unsaved one would keep superd from starting again."""
    with Superd(echo(address)) as superd:
        assert superd.ctl("tune", "echo", "rate=5/s").returncode == 0
        done = superd.ctl("tune", "echo", "burst=2", "--save")
        assert done.returncode == 78 and "burst" in done.stderr
        assert not (superd.folder / "superd.override.toml").exists()
        assert superd.ctl("reload").returncode == 0


def test_a_new_acceptor_knows_what_was_tuned(address: str) -> None:
    with Superd(echo(address)) as superd:
        superd.ctl("tune", "echo", f'access.deny=["{A}"]')
        superd.ctl("tune", "echo", "rate=7/min", "--for", "1h")
        before = superd.acceptor_pid
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: superd.acceptor_pid != before, "another acceptor")
        told = wait_until(lambda: superd.ctl("--json", "limits").stdout, "its answer")
        tuned = json.loads(told)["services"]["echo"]
        assert tuned["access"]["deny"] == [A] and tuned["limits"]["rate"] == "7/min"
        assert ask(A, address) == b""


def test_a_reload_keeps_what_was_tuned(address: str) -> None:
    with Superd(echo(address)) as superd:
        superd.ctl("tune", "echo", "max_connections=1")
        superd.reload(echo(address, more="[services.echo.limits]\nmax_connections = 3\n"))
        assert limits(superd)["limits"]["max_connections"] == 1
        superd.ctl("tune", "echo", "--reset")
        assert limits(superd)["limits"]["max_connections"] == 3
