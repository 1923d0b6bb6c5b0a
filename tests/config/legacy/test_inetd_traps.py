"""The traps of inetd.conf, one after the other: where its readers disagree, or do what nobody would expect.

L are those of lines, H of hosts and services, P of types and protocols, W of wait and limits, U of users, A of
programs and their arguments, N of NetBSD's other notation.
"""

from __future__ import annotations

import pytest
from helpers.inetd import fates, line, machine, read

from superd.config.legacy.carried import Carried, Fate, dotted

DARK = {"enabled": False}
NOTED, CARRIED, FAULT, LOST = Fate.NOTED, Fate.CARRIED, Fate.FAULT, Fate.NOT_CARRIED


def listens(*texts: str) -> dict[str, object]:
    return {"listen": list(texts)}


def argv(*words: str) -> dict[str, object]:
    return {"exec": list(words)}


def ssh(**fields: str) -> str:
    return line("ssh", **fields)


def assert_carried(made: Carried, services: dict[str, dict[str, object]]) -> None:
    """These services and no others, with these keys among theirs."""
    found = {one.name: dotted(one.tables) for one in made.services if not one.remains_out}
    assert list(found) == list(services)
    for name, keys in services.items():
        assert {key: found[name].get(key) for key in keys} == keys


@pytest.mark.parametrize(
    ("trap", "dialect", "text", "services", "told"),
    [
        ("L1 # begins a comment in the first column", "debian", f"# {ssh()}", {}, []),
        ("L2 a blank continues", "debian", ssh(program="/a a") + " # b\n", {"ssh": argv("a", "#", "b")}, [(1, NOTED)]),
        ("L2 nothing continues", "gnu", ssh(program="/a a") + " # b\n", {"ssh": argv("a")}, []),
        ("L3 no comment behind a line", "gnu", ssh(program="/a a b # c"), {"ssh": argv("a", "b", "#", "c")},
         [(1, NOTED)]),
        ("L4 quotes are characters", "openbsd", ssh(program='/a a "b c"'), {"ssh": argv("a", '"b', 'c"')}, []),
        ("L4 quotes are quotes", "freebsd", ssh(program='/a a "b c"'), {"ssh": argv("a", "b c")}, []),
        ("L4 escapes too", "netbsd", ssh(program=r'/a a "b\"c"'), {"ssh": argv("a", 'b"c')}, []),
        ("L5 line length", "debian", ssh(program="/a a " + "x" * 1024), {"ssh": argv("a", "x" * 1024)}, [(1, NOTED)]),
        ("L5 line length", "gnu", ssh(program="/a a " + "x" * 1024), {"ssh": argv("a", "x" * 1024)}, []),
        ("L5 argv of 20", "debian", ssh(program="/a" + " a" * 21), {"ssh": argv(*["a"] * 21)}, [(1, NOTED)]),
        ("L6 CRLF", "debian", "\n" + ssh(program="/a a b\r"), {"ssh": argv("a", "b")}, [(2, NOTED)]),
        ("L7 a short line", "freebsd", "ssh stream tcp nowait root\n" + line(), {"ftp": {}}, [(1, FAULT)]),
        ("L8 update-inetd", "debian", f"#<off># {ssh()}", {"ssh": DARK}, [(1, Fate.DISABLED)]),
        ("L8 two marks", "debian", f"## {ssh()}", {"ssh": DARK}, [(1, Fate.DISABLED)]),
        ("L9 IPsec", "freebsd", f"#@ in ipsec esp\n{ssh()}#@\n{line()}", {"ssh": DARK, "ftp": {}},
         [(1, FAULT), (3, Fate.SETTING), (2, FAULT)]),
        ("L9 no IPsec", "debian", f"#@ in ipsec esp\n{ssh()}", {"ssh": {"enabled": None}}, []),
        ("L10 .include", "netbsd", '127.0.0.1:\n.include "/etc/more/*.conf"\n',
         {"ftp": listens("tcp://127.0.0.1:ftp"), "ssh": listens("tcp://127.0.0.1:ssh")},
         [(1, Fate.SETTING), (2, Fate.SETTING)]),
        ("L12 internal twice", "debian", line("echo", program="internal internal"), {"echo": {"builtin": "echo"}}, []),
        ("H1 an address before the service", "gnu", line("127.0.0.1:ssh"), {"ssh": listens("tcp://127.0.0.1:ssh")}, []),
        ("H1 not with FreeBSD", "freebsd", line("127.0.0.1:ssh"), {}, [(1, FAULT)]),
        ("H2 IPv6 in brackets", "openbsd", line("[::1]:ssh", protocol="tcp6"), {"ssh": listens("tcp://[::1]:ssh")}, []),
        ("H2 bare IPv6", "busybox", line(":::ssh", protocol="tcp6"), {"ssh": listens("tcp://*:ssh")}, [(1, CARRIED)]),
        ("H2 IPv6 with tcp", "gnu", line("[::1]:ssh"), {}, [(1, FAULT)]),
        ("H3 several addresses", "netbsd", line("127.0.0.1,127.0.0.2:ssh"),
         {"ssh": listens("tcp://127.0.0.1:ssh", "tcp://127.0.0.2:ssh")}, []),
        ("H4 a sticky address", "openbsd", f"127.0.0.1:\n{line()}*:\n{ssh()}",
         {"ftp": listens("tcp://127.0.0.1:ftp"), "ssh": listens("tcp4://*:ssh")},
         [(1, Fate.SETTING), (3, Fate.SETTING)]),
        ("H5 a number", "gnu", line("8080"), {"8080": listens("tcp4://*:8080")}, []),
        ("H6 a name nobody knows", "debian", line("myapp"), {}, [(1, FAULT)]),
        ("H7 RPC", "freebsd", line("rstatd/1-3", "dgram", "rpc/udp", "wait"), {}, [(1, LOST)]),
        ("H8 tcpmux", "freebsd", line("tcpmux/date"), {"date": listens("tcpmux://date")}, []),
        ("H8 tcpmux with a plus", "netbsd", line("tcpmux/+date"), {"date": listens("tcpmux://+date")}, []),
        ("H8 port 1 opens by itself", "gnu", line("tcpmux/date"), {"date": listens("tcpmux://date")}, [(1, NOTED)]),
        ("H9 a unix socket and its owner", "freebsd", line(":www:web:660:/run/a.sock", protocol="unix"),
         {"a.sock": {**listens("unix:///run/a.sock"), "socket.socket_user": "www", "socket.socket_group": "web",
                     "socket.socket_mode": "660"}}, []),
        ("H10 a unix built-in", "freebsd", line("/var/run/echo", protocol="unix", program="internal"),
         {"echo": {"builtin": "echo", **listens("unix:///var/run/echo")}}, []),
        ("P1 tcp is both", "debian", ssh(), {"ssh": listens("tcp://*:ssh")}, []),
        ("P1 tcp is IPv4", "openbsd", ssh(), {"ssh": listens("tcp4://*:ssh")}, []),
        ("P2 tcp6 is IPv6", "debian", ssh(protocol="tcp6"), {"ssh": listens("tcp6://*:ssh")}, []),
        ("P2 tcp6 is both", "gnu", ssh(protocol="tcp6"), {"ssh": listens("tcp://*:ssh")}, [(1, CARRIED)]),
        ("P3 tcp46", "freebsd", ssh(protocol="tcp46"),
         {"ssh": {**listens("tcp://*:ssh"), "socket.dual_stack": True}}, [(1, CARRIED)]),
        ("P3 tcp6only", "gnu", ssh(protocol="tcp6only"), {"ssh": listens("tcp6://*:ssh")}, []),
        ("P4 two lines, one service", "openbsd", ssh() + ssh(protocol="tcp6"),
         {"ssh": listens("tcp://*:ssh")}, [(2, CARRIED)]),
        ("P5 tcp/ttcp", "freebsd", ssh(protocol="tcp/ttcp"), {}, [(1, LOST)]),
        ("P5 faith", "netbsd", ssh(protocol="faith/tcp6"), {}, [(1, LOST)]),
        ("P6 buffers", "netbsd", ssh(protocol="tcp,sndbuf=64k,rcvbuf=1m"),
         {"ssh": {"socket.send_buffer": "64KiB", "socket.receive_buffer": "1MiB"}}, []),
        ("P7 an accept filter", "netbsd", ssh(type_="stream:dataready"),
         {"ssh": {"socket.defer_accept": "30s"}}, [(1, NOTED)]),
        ("P8 type and protocol", "debian", ssh(type_="dgram"), {}, [(1, FAULT)]),
        ("P9 dgram and nowait", "debian", line("tftp", "dgram", "udp"), {}, [(1, FAULT)]),
        ("P9 dgram and nowait", "busybox", line("tftp", "dgram", "udp"), {"tftp": {"mode": None}}, [(1, NOTED)]),
        ("W1 starts a minute", "openbsd", ssh(wait="nowait.400"), {"ssh": {"limits.rate": "400/min"}}, [(1, NOTED)]),
        ("W2 the same with a colon", "netbsd", ssh(wait="nowait:20"), {"ssh": {"limits.rate": "20/min"}}, [(1, NOTED)]),
        ("W3 FreeBSD's three numbers", "freebsd", ssh(wait="nowait/30/10/5"),
         {"ssh": {"limits.max_connections": 30, "limits.rate_per_source": "10/min",
                  "limits.max_connections_per_source": 5, "limits.rate": None}}, []),
        ("W4 the same to another inetd", "debian", ssh(wait="nowait/30"),
         {"ssh": {"limits.max_connections": 30}}, [(1, NOTED)]),
        ("W5 0 is any number", "freebsd", ssh(wait="nowait/0/10"),
         {"ssh": {"limits.max_connections": "infinity", "limits.rate_per_source": "10/min"}}, []),
        ("W5 0 is the default", "debian", ssh(wait="nowait.0"), {"ssh": {"limits.rate": None}}, [(1, CARRIED)]),
        ("W6 a prefix suffices", "freebsd", ssh(wait="nowaitX"), {"ssh": {"mode": None}}, []),
        ("W6 neither", "gnu", ssh(wait="maybe"), {}, [(1, FAULT)]),
        ("W8 wait and stream", "gnu", ssh(wait="wait"), {"ssh": {"mode": "wait"}}, [(1, CARRIED)]),
        ("U1 a dot in a user's name", "debian", ssh(user="first.last"), {"ssh": {"user": "first.last"}}, [(1, NOTED)]),
        ("U1 the first dot", "openbsd", ssh(user="www.web"), {"ssh": {"user": "www:web"}}, []),
        ("U2 the colon first", "gnu", ssh(user="first.last:web"), {"ssh": {"user": "first.last:web"}}, []),
        ("U3 a login class", "freebsd", ssh(user="www:web/daemon"), {"ssh": {"user": "www:web"}}, [(1, LOST)]),
        ("U4 a slash elsewhere", "gnu", ssh(user="www/daemon"), {}, [(1, FAULT)]),
        ("U5 root's group", "debian", ssh(user="root:daemon"), {"ssh": {"user": "root:daemon"}}, [(1, NOTED)]),
        ("U6 a number", "gnu", ssh(user="65534"), {"ssh": {"user": "65534"}}, [(1, NOTED)]),
        ("U8 supplementary groups stay the user's", "debian", ssh(user="www:web"),
         {"ssh": {"user": "www:web", "init_groups": None, "supplementary_groups": None}}, []),
        ("A1 argv[0] is there again", "debian", ssh(program="/a/sshd -sshd -i"),
         {"ssh": {"exec_path": "/a/sshd", **argv("-sshd", "-i")}}, []),
        ("A2 argv[0] is missing", "gnu", ssh(program="/a/sshd"), {"ssh": argv("sshd")}, []),
        ("A2 argv[0] is missing", "freebsd", ssh(program="/a/sshd"), {"ssh": argv("sshd")}, [(1, NOTED)]),
        ("A3 tcpd", "debian", ssh(program="/usr/sbin/tcpd in.ftpd -l"),
         {"ssh": {"exec_path": "/usr/sbin/in.ftpd", "access.hosts_access": True, **argv("in.ftpd", "-l")}},
         [(1, CARRIED)]),
        ("A4 options of auth", "freebsd", line("auth", program="internal auth -r"),
         {"auth": {"builtin": "ident"}}, [(1, CARRIED), (1, LOST)]),
        ("N on and off, commas, semicolons", "netbsd",
         'ssh on protocol = tcp, # here too\n wait = no, user = a, exec = /a, args = a "-l"; echo off protocol = udp;',
         {"ssh": argv("a", "-l"), "echo": {"builtin": "echo", **DARK}}, [(2, Fate.DISABLED)]),
        ("N recvbuf and several addresses", "netbsd",
         "ssh on bind = 127.0.0.1 127.0.0.2, protocol = tcp, recvbuf = 4k, wait = no, user = a, exec = /a;",
         {"ssh": {**listens("tcp://127.0.0.1:ssh", "tcp://127.0.0.2:ssh"), "socket.receive_buffer": "4KiB"}}, []),
        ("N an empty ipsec", "netbsd", "ssh on ipsec =, protocol = tcp, wait = no, user = a, exec = /a;",
         {"ssh": {"enabled": None}}, []),
        ("N escapes", "netbsd", r"ssh on protocol=tcp,wait=no,user=a,exec=/a,args=a '\x41\t\\';",
         {"ssh": argv("a", "A\t\\")}, []),
    ],
)  # fmt: skip
def test_trap(
    trap: str, dialect: str, text: str, services: dict[str, dict[str, object]], told: list[tuple[int, Fate]]
) -> None:
    made = read(text, dialect, machine(users=("first.last",)))
    assert_carried(made, services)
    assert fates(made) == told, trap


def test_p1_w7_what_a_dialect_decides_by_itself_is_said() -> None:
    made = read(ssh(), "openbsd")
    assert dotted(made.defaults)["limits.rate"] == "256/min"
    head = " ".join(made.head)
    assert "tcp is IPv4 alone" in head
    assert "256 starts of a service in a minute" in head


def test_u7_a_user_who_does_not_exist_is_found_by_the_check_of_this_machine_alone() -> None:
    """Debian's inetd listens, and drops each connection; the machine that imports may not be the one that serves."""
    assert_carried(read(ssh(user="nosuch"), "debian"), {"ssh": {"user": "nosuch"}})


def test_h6_a_port_may_be_given() -> None:
    made = read(line("myapp"), "debian", ports={"myapp": 4711})
    assert_carried(made, {"myapp": listens("tcp://*:4711")})


def test_a5_the_environment_begins_empty_and_that_is_said() -> None:
    assert "clean one" in " ".join(read(ssh(), "gnu").head)
