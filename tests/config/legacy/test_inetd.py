"""inetd.conf: lines, services, hosts and protocols, as each inetd read them."""

from __future__ import annotations

import pytest
from helpers.inetd import FILES, fates, keys, line, machine, only_reason, read

from superd.config.legacy.carried import Fate, dotted
from superd.config.legacy.importers import read_all
from superd.config.legacy.report import has_faults, has_notes
from superd.config.legacy.wishes import Wishes

# --- lines ---


def test_a_line_that_begins_with_a_blank_goes_on_with_the_one_before() -> None:
    assert keys(f"{line()}\t-l -a\n")["exec"] == ["in.ftpd", "-l", "-a"]


def test_an_indented_comment_is_arguments_to_the_bsds() -> None:
    made = read(f"{line()}  # note\n", "debian")
    assert dotted(made.services[0].tables)["exec"] == ["in.ftpd", "#", "note"]
    assert Fate.NOTED in [remark.fate for remark in made.remarks]


def test_an_indented_comment_is_one_to_gnu() -> None:
    made = read(f"{line()}  # note\n", "gnu")
    assert dotted(made.services[0].tables)["exec"] == ["in.ftpd"]
    assert [comment.text for comment in made.comments] == [" note"]


def test_there_are_no_comments_behind_a_line() -> None:
    made = read(line(program="/bin/echo echo two # later"))
    assert dotted(made.services[0].tables)["exec"] == ["echo", "two", "#", "later"]
    assert "arguments" in only_reason(made, Fate.NOTED)


@pytest.mark.parametrize(
    ("dialect", "argv"),
    [
        ("openbsd", ["echo", '"a', 'b"', "c"]),
        ("busybox", ["echo", '"a', 'b"', "c"]),
        ("gnu", ["echo", "a b", "c"]),
        ("freebsd", ["echo", "a b", "c"]),
        ("netbsd", ["echo", "a b", "c"]),
    ],
)
def test_quotes_are_quotes_to_some(dialect: str, argv: list[str]) -> None:
    assert keys(line(program='/bin/echo echo "a b" c'), dialect)["exec"] == argv


def test_quotes_inside_a_word_are_none() -> None:
    assert keys(line(program="/bin/echo echo A='b c'"), "gnu")["exec"] == ["echo", "A='b", "c'"]


def test_what_the_old_daemon_would_have_dropped_is_kept_and_said() -> None:
    words = [f"w{number}" for number in range(25)]
    made = read(line(program="/bin/echo echo " + " ".join(words)), "openbsd")
    assert dotted(made.services[0].tables)["exec"] == ["echo", *words]
    assert has_notes(made)


def test_carriage_returns_are_left_out_and_said_once() -> None:
    made = read(line().replace("\n", "\r\n") + line("ssh").replace("\n", "\r\n"))
    assert [dotted(one.tables)["exec"] for one in made.services] == [["in.ftpd"], ["in.ftpd"]]
    assert fates(made) == [(1, Fate.NOTED)]


def test_a_short_line_is_a_fault_and_the_rest_is_imported() -> None:
    made = read(f"ssh stream tcp nowait root\n{line()}")
    assert [one.name for one in made.served] == ["ftp"]
    assert fates(made) == [(1, Fate.FAULT)]
    assert only_reason(made, Fate.FAULT) == "5 fields of 6: no program"


@pytest.mark.parametrize("mark", ["#<off># ", "#<off>#", "## "])
def test_a_service_that_was_switched_off_stays_switched_off(mark: str) -> None:
    assert keys(mark + line())["enabled"] is False


def test_a_comment_stays_a_comment() -> None:
    made = read(f"#{line()}## a heading of words that is no service\n")
    assert not made.services
    assert len(made.comments) == 2


@pytest.mark.parametrize("dialect", ["freebsd", "netbsd"])
def test_services_under_an_ipsec_policy_are_switched_off(dialect: str) -> None:
    made = read(f"#@ in ipsec esp/transport//require\n{line()}#@\n{line('ssh')}", dialect)
    assert [dotted(one.tables).get("enabled", True) for one in made.services] == [False, True]
    assert has_faults(made)


def test_to_others_a_policy_is_a_comment() -> None:
    assert "enabled" not in keys(f"#@ in ipsec esp/transport//require\n{line()}", "debian")


def test_included_files_are_read_in_order_with_what_holds_here() -> None:
    made = read('127.0.0.1:\n.include "more/*.conf"\n', "netbsd")
    assert [dotted(one.tables)["listen"] for one in made.services] == [
        ["tcp://127.0.0.1:ftp"],
        ["tcp://127.0.0.1:ssh"],
    ]
    assert made.files == ("/etc/inetd.conf", "/etc/more/a.conf", "/etc/more/b.conf")


def test_a_circle_of_files_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "/etc/more/a.conf", b'.include "/etc/more/b.conf"\n')
    monkeypatch.setitem(FILES, "/etc/more/b.conf", b'.include "/etc/more/a.conf"\n')
    made = read('.include "more/a.conf"\n', "netbsd")
    assert "includes itself" in only_reason(made, Fate.FAULT)


def test_a_line_that_is_no_utf8_is_a_fault_and_a_comment_is_none() -> None:
    content = b"# caf\xe9\n" + line(program="/bin/echo caf\xe9").encode("latin-1")
    made = read_all({"x": content}, machine(), Wishes(dialect="debian"))
    assert [comment.text for comment in made.comments] == [" caf\u00e9"]
    assert fates(made) == [(2, Fate.FAULT)]


# --- service and host ---


@pytest.mark.parametrize(
    ("service", "protocol", "listen"),
    [
        ("127.0.0.1:ssh", "tcp", ["tcp://127.0.0.1:ssh"]),
        ("[::1]:ssh", "tcp6", ["tcp://[::1]:ssh"]),
        ("::1:444", "tcp6", ["tcp://[::1]:444"]),
        (":::ssh", "tcp6", ["tcp6://*:ssh"]),
        ("127.0.0.1,10.0.0.1:ssh", "tcp", ["tcp://127.0.0.1:ssh", "tcp://10.0.0.1:ssh"]),
        ("8080", "tcp", ["tcp4://*:8080"]),
        ("*:874", "tcp4", ["tcp4://*:874"]),
        ("localhost:ssh", "tcp", ["tcp://127.0.0.1:ssh"]),
    ],
)
def test_addresses_before_the_service(service: str, protocol: str, listen: list[str]) -> None:
    assert keys(line(service, protocol=protocol), "openbsd")["listen"] == listen


def test_an_address_of_the_other_family_is_a_fault() -> None:
    made = read(line("[::1]:ssh"), "openbsd")
    assert not made.services
    assert only_reason(made, Fate.FAULT) == "::1: an IPv6 address with tcp, which has none"


def test_of_several_addresses_those_are_kept_that_can_be() -> None:
    made = read(line("[::1],127.0.0.1:ssh"), "openbsd")
    assert dotted(made.services[0].tables)["listen"] == ["tcp://127.0.0.1:ssh"]
    assert has_faults(made)


def test_a_host_name_becomes_its_addresses() -> None:
    made = read(line("gw:ssh"), "openbsd", machine(hosts={"gw": ("192.0.2.1",)}))
    assert dotted(made.services[0].tables)["listen"] == ["tcp://192.0.2.1:ssh"]
    assert fates(made) == [(1, Fate.NOTED)]


def test_addresses_hold_until_the_next_ones() -> None:
    made = read(f"127.0.0.1:\n{line('pop3')}*:\n{line('ssh')}", "openbsd")
    assert [dotted(one.tables)["listen"] for one in made.services] == [
        ["tcp://127.0.0.1:pop3"],
        ["tcp4://*:ssh"],
    ]
    assert fates(made) == [(1, Fate.SETTING), (3, Fate.SETTING)]


def test_freebsd_knows_no_addresses() -> None:
    assert fates(read(line("127.0.0.1:ssh"), "freebsd")) == [(1, Fate.FAULT)]


def test_a_name_that_is_not_known_here_is_a_fault_that_says_what_to_do() -> None:
    assert only_reason(read(line("myapp")), Fate.FAULT) == (
        "/etc/services has no myapp for tcp; write its number, or --port myapp=NUMBER"
    )
    assert keys(line("myapp"), "openbsd", ports={"myapp": 4711})["listen"] == ["tcp4://*:4711"]


def test_a_registered_name_needs_no_services_file() -> None:
    assert keys(line("finger"), "openbsd")["listen"] == ["tcp4://*:79"]


@pytest.mark.parametrize("service", ["rstatd/1-3", "walld/1"])
def test_rpc_is_reported(service: str) -> None:
    made = read(line(service, "dgram", "rpc/udp", "wait"))
    assert fates(made) == [(1, Fate.NOT_CARRIED)]
    assert "rpcbind" in made.remarks[0].reason


def test_tcpmux_services_never_open_port_1() -> None:
    made = read(line("tcpmux/+date", program="/bin/date date"))
    assert [dotted(one.tables)["listen"] for one in made.services] == [["tcpmux://+date"]]
    assert not any("tcp://" in str(one.tables) for one in made.services)
    assert "opened port 1" in only_reason(
        read(line("tcpmux/date", program="/bin/date date"), "gnu"), Fate.NOTED
    )


def test_freebsds_unix_socket_has_owner_and_mode() -> None:
    found = keys(":www:web:660:/run/app.sock stream unix nowait www /usr/bin/app app\n", "freebsd")
    assert found["listen"] == ["unix:///run/app.sock"]
    assert (found["socket.socket_user"], found["socket.socket_group"], found["socket.socket_mode"]) == (
        "www",
        "web",
        "660",
    )


def test_freebsds_unix_socket_is_the_owners_alone() -> None:
    assert keys(line("/run/app.sock", protocol="unix"), "freebsd")["socket.socket_mode"] == "0200"


def test_gnu_has_no_unix_sockets() -> None:
    assert fates(read(line("/run/app.sock", protocol="unix"), "gnu")) == [(1, Fate.FAULT)]


# --- type and protocol ---


@pytest.mark.parametrize(
    ("dialect", "protocol", "scheme"),
    [
        ("debian", "tcp", "tcp"),
        ("debian", "tcp4", "tcp4"),
        ("debian", "tcp6", "tcp6"),
        ("debian", "tcp46", "tcp"),
        ("openbsd", "tcp", "tcp4"),
        ("openbsd", "tcp6", "tcp6"),
        ("freebsd", "tcp", "tcp4"),
        ("freebsd", "tcp6", "tcp6"),
        ("freebsd", "tcp46", "tcp"),
        ("netbsd", "tcp", "tcp4"),
        ("gnu", "tcp", "tcp4"),
        ("gnu", "tcp6", "tcp"),
        ("gnu", "tcp6only", "tcp6"),
        ("solaris", "tcp", "tcp4"),
        ("solaris", "tcp6", "tcp"),
        ("busybox", "tcp", "tcp4"),
        ("bsd", "tcp", "tcp4"),
    ],
)
def test_what_a_protocol_listens_on(dialect: str, protocol: str, scheme: str) -> None:
    made = read(line("ssh", protocol=protocol), dialect)
    assert dotted(made.services[0].tables)["listen"] == [f"{scheme}://*:ssh"]
    assert any("IPv4" in said for said in made.head)


@pytest.mark.parametrize(
    ("dialect", "text", "dual"),
    [
        ("debian", line("ssh", protocol="tcp46"), True),
        ("freebsd", line("ssh", protocol="tcp46"), True),
        ("gnu", line("ssh", protocol="tcp6"), True),
        ("gnu", line("ssh") + line("ssh", protocol="tcp6"), None),  # two sockets, so one of each family
        ("debian", line("ssh"), None),
        ("debian", line("echo", "dgram", "udp46", "nowait", program="internal"), None),
    ],
)
def test_p3_one_socket_for_both_families_is_one_still(dialect: str, text: str, dual: bool | None) -> None:
    """Its program sees ::ffff:192.0.2.1."""
    (service,) = read(text, dialect).services
    assert dotted(service.tables).get("socket.dual_stack") is dual


def test_two_sockets_with_wait_stay_two_services() -> None:
    made = read(line("tftp", "dgram", "udp", "wait"), "debian")
    assert {one.name: dotted(one.tables)["listen"] for one in made.services} == {
        "tftp": ["udp4://*:tftp"],
        "tftp-ipv6": ["udp6://*:tftp"],
    }


def test_lines_that_differ_in_the_protocol_alone_are_one_service() -> None:
    made = read(line("ssh") + line("ssh", protocol="tcp6"), "freebsd")
    assert [dotted(one.tables)["listen"] for one in made.services] == [["tcp://*:ssh"]]
    assert fates(made) == [(2, Fate.CARRIED)]


def test_lines_that_differ_otherwise_stay_two() -> None:
    four, six = line("ssh", program="/s s -4"), line("ssh", protocol="tcp6", program="/s s -6")
    made = read(four + six, "freebsd")
    assert [(one.name, dotted(one.tables)["listen"]) for one in made.services] == [
        ("ssh", ["tcp4://*:ssh"]),
        ("ssh-ipv6", ["tcp6://*:ssh"]),
    ]


def test_the_last_line_for_a_socket_counts() -> None:
    made = read(line(program="/a a") + line(program="/b b"), "openbsd")
    assert [dotted(one.tables)["exec"] for one in made.services] == [["b"]]
    assert fates(made) == [(1, Fate.NOT_CARRIED)]


def test_half_of_a_line_may_be_said_again() -> None:
    one, other = line("tftp", "dgram", "udp", "wait"), line("tftp", "dgram", "udp6", "wait", program="/b b")
    made = read(one + other, "debian")
    assert [(dotted(one.tables)["listen"], dotted(one.tables)["exec"]) for one in made.services] == [
        (["udp4://*:tftp"], ["in.ftpd"]),
        (["udp6://*:tftp"], ["b"]),
    ]


@pytest.mark.parametrize("protocol", ["tcp/ttcp", "tcp/faith", "faith/tcp6"])
def test_what_no_linux_has_is_reported(protocol: str) -> None:
    assert fates(read(line(protocol=protocol), "freebsd")) == [(1, Fate.NOT_CARRIED)]


def test_buffers_stand_behind_the_protocol() -> None:
    found = keys(line(protocol="tcp,sndbuf=64k,rcvbuf=1m"), "netbsd")
    assert (found["socket.send_buffer"], found["socket.receive_buffer"]) == ("64KiB", "1MiB")


def test_an_accept_filter_stands_behind_the_type() -> None:
    made = read(line(type_="stream:dataready"), "netbsd")
    assert dotted(made.services[0].tables)["socket.defer_accept"] == "30s"
    assert has_notes(made)


@pytest.mark.parametrize(("type_", "protocol"), [("dgram", "tcp"), ("stream", "udp")])
def test_type_and_protocol_must_fit(type_: str, protocol: str) -> None:
    assert fates(read(line(type_=type_, protocol=protocol, wait="wait"))) == [(1, Fate.FAULT)]


def test_a_datagram_of_its_own_child_is_busyboxs_alone() -> None:
    text = line("tftp", "dgram", "udp")
    assert fates(read(text, "debian")) == [(1, Fate.FAULT)]
    assert "mode" not in keys(text, "busybox")
