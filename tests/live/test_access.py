"""Who is admitted on the live system: addresses, names, hours, hosts.allow and hosts.deny; and superctl who-may."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from clients import echo, echoes, service
from harness import Superd, read_all, wait_until, written
from sources import ask, connect_from

pytestmark = pytest.mark.live

A, B = "127.9.0.1", "127.9.0.2"


def access(**values: str) -> str:
    return "[services.echo.access]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def test_the_most_specific_line_decides_and_is_told(address: str) -> None:
    more = access(allow='["127.0.0.0/8"]', deny=f'["{A}", "127.8.0.0/16"]')
    with Superd(echo(address, more=more)) as superd:
        assert ask(A, address) == b""
        assert ask("127.8.1.1", address) == b""
        assert ask(B, address) == b"hello"
        refused = superd.wait_for("refused", source=A)
        assert (refused["reason"], refused["rule"]) == ("address", f'deny "{A}"')
        told = superd.ctl("who-may", "echo", A)
        assert told.returncode == 1
        assert told.stdout == f'echo: {A} is refused (address) by deny "{A}"\n'
        assert superd.ctl("who-may", "echo", f"::ffff:{B}").returncode == 0
        answer = json.loads(superd.ctl("--json", "who-may", "echo", "192.0.2.1").stdout)
        assert (answer["allowed"], answer["rule"]) == (False, "no allow matches")
        assert superd.ctl("who-may", "echo", "example").returncode == 64
        assert superd.ctl("who-may", "nothing", A).returncode == 64


@pytest.mark.parametrize("dual_stack", ["false", "true"])
def test_a_dual_stack_listener_sees_ipv4_as_ipv4(address: str, folder: Path, dual_stack: str) -> None:
    """xinetd matches the mapped address, and every IPv4 rule in vain."""
    program = '["/bin/sh", "-c", "echo $REMOTE_ADDR"]'
    more = access(allow=f'["{A}"]') + f"\n[services.echo.socket]\ndual_stack = {dual_stack}\n"
    with Superd(service("echo", "tcp://*:7007", program, "daemon", more)):
        with connect_from(A, "127.0.0.1", 7007) as client:
            assert read_all(client) == f"{A}\n".encode()
        assert ask(B, "127.0.0.1", b"", 7007) == b""


def test_refused_clients_are_told_so_where_that_is_wanted(address: str, folder: Path) -> None:
    banner = written(folder / "denied", "who are you?\n")
    with Superd(echo(address, more=access(deny=f'["{A}"]', banner_denied=f'"{banner}"'))) as superd:
        assert ask(A, address) == b"who are you?\n"
        assert ask(B, address) == b"hello"
        banner.write_text("go away\n")
        superd.reload()
        assert ask(A, address) == b"go away\n", "a reload reads banners anew"


def test_a_banner_is_no_way_to_read_what_only_root_may(address: str, folder: Path) -> None:
    """Whoever may write to its folder could put a link to any file there, and then read it by being refused."""
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "open/denied").symlink_to("/etc/shadow")
    with Superd(
        echo(address, more=access(deny=f'["{A}"]', banner_denied=f'"{folder}/open/denied"'))
    ) as superd:
        assert "may write to" in superd.status("echo")["fault"]


def test_outside_of_the_hours_nobody_is_admitted(address: str) -> None:
    """The hours are those of a day other than today, and then of every day."""
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    yesterday, before = (days[(time.localtime().tm_wday - back) % 7] for back in (2, 3))
    closed = access(hours=f'["{before},{yesterday} 08:00-18:00"]')
    with Superd(echo(address, more=closed)) as superd:
        assert ask(A, address) == b""
        refused = superd.wait_for("refused", source=A)
        assert refused["reason"] == "hours"
        assert superd.ctl("who-may", "echo", A).returncode == 1
        superd.reload(echo(address, more=access(hours='["00:00-24:00"]')))
        assert ask(A, address) == b"hello"


def test_who_may_at_another_time(address: str) -> None:
    with Superd(echo(address, more=access(hours='["08:00-18:00"]'))) as superd:
        assert superd.ctl("who-may", "echo", A, "--at", "08:00").returncode == 0
        told = superd.ctl("who-may", "echo", A, "--at", "2026-12-24 18:00")
        assert told.returncode == 1 and "hours 08:00-18:00" in told.stdout
        assert superd.ctl("who-may", "echo", A, "--at", "tomorrow").returncode == 64


def test_names_are_looked_up_forward_before_anybody_is_judged(address: str) -> None:
    with Superd(echo(address, more=access(allow='["localhost", "no-such-host.invalid"]'))) as superd:
        assert ask("127.0.0.1", address) == b"hello"
        assert ask(A, address) == b""
        superd.wait_for("warning", message="cannot look up no-such-host.invalid: Name or service not known")


def test_a_faulty_list_is_a_fault_with_a_remedy_and_changes_nothing(address: str) -> None:
    with Superd(echo(address)) as superd:
        superd.configure(echo(address, more=access(allow='["10.0.0.1/8"]')))
        done = superd.ctl("reload")
        assert done.returncode == 78
        assert 'services.echo.access.allow = "10.0.0.1/8"' in done.stderr and '"10.0.0.0/8"' in done.stderr
        assert ask(A, address) == b"hello"


def test_a_reload_of_access_alone_leaves_all_that_runs_alone(address: str) -> None:
    with Superd(echo(address)) as superd, ExitStack() as stack:
        client = stack.enter_context(connect_from(A, address))
        assert echoes(client)
        spawners = superd.spawners("echo")
        superd.reload(echo(address, more=access(deny=f'["{A}"]')))
        assert echoes(client), "who is in stays in"
        assert ask(A, address) == b""
        assert superd.spawners("echo") == spawners
        superd.wait_for("reload", message="reloaded: retuned echo; 0 unchanged")


# --- hosts.allow and hosts.deny ---


def with_hosts_files(folder: Path, allow: str, deny: str) -> list[str]:
    """A prefix that starts superd with hosts.allow and hosts.deny of its own, in a mount namespace."""
    written(folder / "etc/hosts.allow", allow)
    written(folder / "etc/hosts.deny", deny)
    overlay = (
        f"mkdir -p {folder}/upper {folder}/own && mount -t tmpfs none {folder}/own && "
        f"mkdir {folder}/own/upper {folder}/own/rest && cp {folder}/etc/hosts.* {folder}/own/upper/ && "
        f"mount -t overlay none -o lowerdir=/etc,upperdir={folder}/own/upper,workdir={folder}/own/rest /etc && "
        'exec "$0" "$@"'
    )
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", overlay]


@pytest.mark.needs("unshare")
def test_hosts_files_decide_as_tcpd_would(address: str, folder: Path) -> None:
    prefix = with_hosts_files(folder, f"cat: {A}\nother: 127.\n", "ALL: ALL\n")
    with Superd(echo(address, more=access(hosts_access="true")), prefix=prefix) as superd:
        assert ask(A, address) == b"hello"
        assert ask(B, address) == b""
        refused = superd.wait_for("refused", source=B)
        assert refused["reason"] == "hosts-access" and "/etc/hosts.deny" in refused["rule"]


@pytest.mark.needs("unshare", "nsenter")
def test_a_change_of_hosts_files_is_noticed(address: str, folder: Path) -> None:
    prefix = with_hosts_files(folder, "", "")
    with Superd(echo(address, more=access(hosts_access="true")), prefix=prefix) as superd:
        assert ask(A, address) == b"hello"
        hosts_deny = Path(f"/proc/{superd.master_pid}/root/etc/hosts.deny")
        written(hosts_deny, f"echo: {A}\n")
        wait_until(lambda: ask(A, address) == b"", "hosts.deny to be read again")
        assert ask(B, address) == b"hello"
        written(hosts_deny, f"echo: {B}: twist /bin/echo no\n")
        superd.wait_for("error")
        assert ask(A, address) == b"", "rules that cannot be obeyed change nothing"


@pytest.mark.needs("unshare")
def test_rules_that_superd_cannot_obey_turn_the_service_off(address: str, folder: Path) -> None:
    prefix = with_hosts_files(folder, "echo: ALL: spawn (/bin/logger hello)\n", "")
    with Superd(echo(address, more=access(hosts_access="true")), prefix=prefix) as superd:
        fault = superd.status("echo")["fault"]
        assert "/etc/hosts.allow" in fault and "spawn" in fault


@pytest.mark.needs("unshare")
def test_rules_that_turn_one_service_off_keep_nobody_from_another(address: str, folder: Path) -> None:
    prefix = with_hosts_files(folder, "echo: ALL: spawn (/bin/logger hello)\n", f"other: {A}\n")
    asks = access(hosts_access="true")
    both = echo(address, more=asks) + echo(address, 9, "other", "games", asks.replace(".echo.", ".other."))
    with Superd(both, prefix=prefix) as superd:
        assert "spawn" in superd.status("echo")["fault"]
        assert ask(B, address, port=9) == b"hello"
        assert ask(A, address, port=9) == b""
