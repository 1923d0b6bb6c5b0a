"""inetd.conf: limits, users and programs, as each inetd read them."""

from __future__ import annotations

import pytest
from helpers.inetd import fates, keys, line, machine, only_reason, read

from superd.config.legacy.carried import Fate, dotted
from superd.config.legacy.report import has_notes

# --- wait and limits ---


@pytest.mark.parametrize("wait", ["nowait.400", "wait.400"])
@pytest.mark.parametrize("dialect", ["debian", "openbsd", "netbsd", "gnu", "busybox", "solaris", "bsd"])
def test_a_number_behind_a_dot_is_starts_a_minute(wait: str, dialect: str) -> None:
    made = read(
        line("tftp", "dgram", "udp4", wait)
        if wait == "wait.400" and dialect == "debian"
        else line(wait=wait),
        dialect,
    )
    assert dotted(made.services[0].tables)["limits.rate"] == "400/min"
    assert (
        "superd refuses what is over it"
        in next(one for one in made.remarks if one.key == "limits.rate").reason
    )


def test_netbsd_has_a_colon_too() -> None:
    assert keys(line(wait="nowait:20"), "netbsd")["limits.rate"] == "20/min"
    assert fates(read(line(wait="nowait:20"), "debian")) == [(1, Fate.FAULT)]


def test_freebsds_numbers_are_no_rate() -> None:
    found = keys(line(wait="nowait/30/10/5"), "freebsd")
    assert {key: value for key, value in found.items() if key.startswith("limits")} == {
        "limits.max_connections": 30,
        "limits.on_excess": "queue",
        "limits.rate_per_source": "10/min",
        "limits.max_connections_per_source": 5,
    }


def test_freebsds_numbers_elsewhere_are_taken_and_said() -> None:
    made = read(line(wait="nowait/30/10/5"), "debian")
    assert dotted(made.services[0].tables)["limits.max_connections"] == 30
    assert "did not read" in only_reason(made, Fate.NOTED)


def test_freebsds_zero_is_no_limit() -> None:
    found = keys(line(wait="nowait/0/10"), "freebsd")
    assert (found["limits.max_connections"], found["limits.rate_per_source"]) == ("infinity", "10/min")


def test_debians_zero_is_its_default() -> None:
    assert "limits.rate" not in keys(line(wait="nowait.0"), "debian")


def test_what_is_neither_wait_nor_nowait_is_a_fault() -> None:
    assert fates(read(line(wait="maybe"))) == [(1, Fate.FAULT)]
    assert fates(read(line(wait="waitX"), "openbsd")) == [(1, Fate.FAULT)]
    assert keys(line(wait="waitX"), "freebsd")["mode"] == "wait"


@pytest.mark.parametrize(
    ("dialect", "rate"),
    [("debian", 256), ("openbsd", 256), ("freebsd", 256), ("netbsd", 40), ("gnu", 40), ("bsd", 40)],
)
def test_the_limit_that_nobody_wrote_is_written_with_its_reason(dialect: str, rate: int) -> None:
    made = read(line(), dialect)
    assert dotted(made.defaults)["limits.rate"] == f"{rate}/min"
    assert any(f"More than {rate} starts" in said for said in made.head)


def test_busybox_has_no_limit() -> None:
    assert "limits.rate" not in dotted(read(line(), "busybox").defaults)


def test_options_of_the_old_daemon_are_defaults() -> None:
    made = read(line(), "freebsd", rate_per_min=0, children=9, children_per_source=3, per_source_per_min=60)
    assert dotted(made.defaults) == {
        "standard_error": "log",
        "limits.max_connections": 9,
        "limits.on_excess": "queue",
        "limits.max_connections_per_source": 3,
        "limits.rate_per_source": "60/min",
    }


def test_a_stream_with_wait_gets_the_listening_socket() -> None:
    made = read(line(wait="wait"), "openbsd")
    assert dotted(made.services[0].tables)["mode"] == "wait"
    assert "listening socket" in only_reason(made, Fate.CARRIED)


# --- users ---


@pytest.mark.parametrize(
    ("dialect", "text", "user"),
    [
        ("debian", "nobody.tty", "nobody:tty"),
        ("debian", "nobody:tty", "nobody:tty"),
        ("debian", "first.last:daemon", "first.last:daemon"),
        ("gnu", "first.last:daemon", "first.last:daemon"),
        ("gnu", "nobody.tty", "nobody:tty"),
        ("freebsd", "first.last", "first.last"),
        ("freebsd", "www:web/daemon", "www:web"),
        ("freebsd", "www/daemon", "www"),
        ("netbsd", "www.web", "www:web"),
        ("debian", "65534", "65534"),
    ],
)
def test_users_and_groups(dialect: str, text: str, user: str) -> None:
    assert keys(line(user=text), dialect)["user"] == user


def test_a_user_with_a_dot_is_looked_up_whole_first() -> None:
    made = read(line(user="first.last"), "debian", machine(users=("first.last",)))
    assert dotted(made.services[0].tables)["user"] == "first.last"
    assert has_notes(made)


def test_a_login_class_is_freebsds_alone() -> None:
    assert fates(read(line(user="nobody/daemon"), "debian")) == [(1, Fate.FAULT)]
    assert fates(read(line(user="nobody/daemon"), "freebsd")) == [(1, Fate.NOT_CARRIED)]


def test_a_group_beside_root_is_used_now() -> None:
    made = read(line(user="root:daemon"), "debian")
    assert dotted(made.services[0].tables)["user"] == "root:daemon"
    assert "root's group" in only_reason(made, Fate.NOTED)
    assert keys(line(user="root:daemon"), "debian", faithful=True)["user"] == "root"


def test_a_number_in_place_of_a_user_is_taken_and_said() -> None:
    assert fates(read(line(user="65534"), "debian")) == [(1, Fate.NOTED)]


# --- programs ---


def test_the_program_is_called_as_it_was() -> None:
    found = keys(line(program="/usr/sbin/in.ftpd ftpd -l"))
    assert (found["exec"], found["exec_path"]) == (["ftpd", "-l"], "/usr/sbin/in.ftpd")
    found = keys(line(program="/usr/sbin/in.ftpd /usr/sbin/in.ftpd -l"))
    assert (found["exec"], found.get("exec_path")) == (["/usr/sbin/in.ftpd", "-l"], None)


def test_a_program_without_a_name_gets_its_files() -> None:
    assert keys(line(program="/usr/bin/id"), "openbsd")["exec"] == ["id"]
    made = read(line(program="/usr/bin/id"), "freebsd")
    assert "no argv[0]" in only_reason(made, Fate.NOTED)


@pytest.mark.parametrize(
    ("dialect", "program", "path", "argv"),
    [
        ("debian", "/usr/sbin/tcpd in.ftpd -l", "/usr/sbin/in.ftpd", ["in.ftpd", "-l"]),
        ("debian", "/usr/sbin/tcpd /opt/d/ftpd -l", "/opt/d/ftpd", ["ftpd", "-l"]),
        ("freebsd", "/usr/local/libexec/tcpd ftpd", "/usr/libexec/ftpd", ["ftpd"]),
    ],
)
def test_tcpd_is_superd_itself(dialect: str, program: str, path: str, argv: list[str]) -> None:
    found = keys(line(program=program), dialect)
    assert (found["exec_path"], found["exec"], found["access.hosts_access"]) == (path, argv, True)


def test_tcpd_stays_where_superd_sees_no_client() -> None:
    found = keys(line(wait="wait", program="/usr/sbin/tcpd in.ftpd"), "openbsd")
    assert (found["exec_path"], found["exec"]) == ("/usr/sbin/tcpd", ["in.ftpd"])


def test_tcpd_without_a_daemon_is_a_fault() -> None:
    assert fates(read(line(program="/usr/sbin/tcpd"))) == [(1, Fate.FAULT)]


def test_a_relative_program_is_looked_for_where_inetd_was() -> None:
    assert keys(line(program="ftpd ftpd"), "openbsd")["exec_path"] == "/ftpd"
    assert fates(read(line(program="ftpd ftpd"), "busybox")) == [(1, Fate.FAULT)]


@pytest.mark.parametrize("program", ["internal", "internal internal"])
def test_built_in_services_are_on_if_they_were(program: str) -> None:
    made = read(
        line("echo", program=program) + line("echo", "dgram", "udp", "wait", program=program), "openbsd"
    )
    assert [(one.name, dotted(one.tables)) for one in made.served] == [
        ("echo", {"listen": ["tcp4://*:echo"], "builtin": "echo"}),
        ("echo-udp", {"listen": ["udp4://*:echo"], "builtin": "echo"}),
    ]


def test_a_built_in_service_that_its_inetd_did_not_have_is_a_fault() -> None:
    assert fates(read(line("tcpmux", program="internal"), "debian")) == [(1, Fate.FAULT)]
    assert fates(read(line("ssh", program="internal"), "freebsd")) == [(1, Fate.FAULT)]


def test_options_of_freebsds_ident_are_reported() -> None:
    made = read(line("auth", program="internal auth -r -f -t 30"), "freebsd")
    assert any("-r -f -t 30" in remark.reason for remark in made.remarks)


# --- all services ---


def test_standard_error_goes_to_the_log_and_that_is_said() -> None:
    made = read(line())
    assert dotted(made.defaults)["standard_error"] == "log"
    assert any("Standard error" in said for said in made.head)


def test_a_faithful_import_keeps_the_old_ways() -> None:
    found = dotted(read(line(), "debian", faithful=True).defaults)
    assert found["standard_error"] == "socket"
    assert found["limits.max_connections"] == "infinity"
