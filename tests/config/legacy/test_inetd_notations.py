"""inetd.conf: NetBSD's other notation, and whose file it is."""

from __future__ import annotations

import pytest
from helpers.inetd import keys, line, only_reason, read

from superd.config.legacy.carried import Fate, LegacyError, dotted

# --- NetBSD's other notation ---

FINGER = """\
finger on bind = 127.0.0.1, protocol = tcp,   # comment is fine here
   wait = no, service_max = 5, ip_max = 2,
   user = nobody, group = nogroup,
   exec = /usr/libexec/fingerd, args = fingerd "-l a";
"""


def test_netbsds_keys() -> None:
    assert keys(FINGER) == {
        "listen": ["tcp://127.0.0.1:79"],
        "exec": ["fingerd", "-l a"],
        "exec_path": "/usr/libexec/fingerd",
        "user": "nobody:nogroup",
        "limits.rate": "5/min",
        "limits.rate_per_source": "2/min",
    }


def test_several_definitions_may_stand_in_a_line() -> None:
    text = "ssh on protocol=tcp, wait=no, user=a, exec=/a, args=a; ftp off protocol=tcp,wait=no,user=b,exec=/b; # end\n"
    made = read(text + FINGER)
    assert {one.name: dotted(one.tables).get("enabled", True) for one in made.services} == {
        "ssh": True,
        "ftp": False,
        "finger": True,
    }
    assert [comment.text for comment in made.comments] == [" end"]


def test_both_notations_may_stand_in_a_file() -> None:
    made = read(line("ssh") + FINGER + line("ftp"), "netbsd")
    assert [one.name for one in made.services] == ["ssh", "finger", "ftp"]


def test_netbsds_escapes() -> None:
    text = r"""ssh on protocol = tcp, wait = no, user = a, exec = /a, args = a "\x41\t\"" 'it\'s';"""
    assert keys(text)["exec"] == ["a", 'A\t"', "it's"]


@pytest.mark.parametrize("limit", ["service_max", "ip_max"])
@pytest.mark.parametrize(
    ("protocol", "wait", "mode"), [("tcp", "no", None), ("tcp", "yes", None), ("udp", "yes", "wait")]
)
def test_no_starts_at_all_is_a_service_that_listens_and_serves_nobody(
    limit: str, protocol: str, wait: str, mode: str | None
) -> None:
    found = keys(f"8080 on protocol = {protocol}, wait = {wait}, {limit} = 0, user = a, exec = /a, args = a;")
    assert (found["access.deny"], found.get("mode")) == (["0.0.0.0/0", "::/0"], mode)


def test_a_unix_socket_without_any_starts_is_off() -> None:
    text = "/run/x on protocol = unix, socktype = stream, wait = no, service_max = 0, user = a, exec = /a;"
    assert keys(text)["enabled"] is False


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ssh on protocol = tcp, wait = no", "no ; ends it"),
        ("ssh on protocol = tcp, frob = 1;", "unknown key frob"),
        ("ssh on protocol = tcp, protocol = udp;", "protocol stands there twice"),
        ("ssh on wait = no;", "no protocol"),
        ("ssh on protocol tcp;", "protocol tcp: not key = value"),
        ('ssh on protocol = "tcp;', "a quote that is not closed"),
    ],
)
def test_faults_of_netbsds_keys(text: str, reason: str) -> None:
    assert reason in only_reason(read(text, "netbsd"), Fate.FAULT)


# --- whose file it is ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (line(), "Debian's openbsd-inetd"),
        (line(program="/usr/sbin/tcpd in.ftpd"), "Debian's openbsd-inetd"),
        (line(wait="nowait/3/10"), "FreeBSD's inetd"),
        ("# $FreeBSD$\n" + line(), "FreeBSD's inetd"),
        ("# $OpenBSD: inetd.conf,v 1.1 $\n" + line(), "OpenBSD's inetd"),
        (FINGER, "NetBSD's inetd"),
        ('.include "more/*.conf"\n', "NetBSD's inetd"),
        (line(type_="stream,2"), "NetBSD's inetd"),
        (line(type_="stream:dataready"), "NetBSD's inetd"),
        ("::1:ssh stream tcp6 nowait root /a a\n", "busybox's inetd"),
        (
            "127.0.0.1:22 stream tcp4 nowait root /a a\n::1:22 stream tcp6 nowait root /a a\n",
            "GNU inetutils' inetd",
        ),
        (line(protocol="tcp6only"), "GNU inetutils' inetd"),
        ("# Copyright Sun Microsystems, Inc.\n" + line(), "the inetd of Solaris and illumos"),
        (line(program="/bin/busybox ftpd"), "busybox's inetd"),
        (line(program="/usr/libexec/ftpd ftpd"), "4.4BSD's inetd"),
    ],
)
def test_the_dialect_is_told_by_the_content(text: str, words: str) -> None:
    assert read(text).dialect == words


def test_superds_own_output_is_refused() -> None:
    with pytest.raises(LegacyError, match="superd's own configuration already"):
        read("[services.ftp]\n")
