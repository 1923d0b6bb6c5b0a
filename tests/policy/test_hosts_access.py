"""hosts.allow and hosts.deny: who is let in, with all the oddities of libwrap."""

from __future__ import annotations

import pytest

from superd.errors import ConfigError
from superd.policy.access import Verdict
from superd.policy.hosts_access import parse_rules

from .hosts_files import DENY_ALL, admits, allow_rules, ask, deny_rules

# The order of the files


def test_hosts_allow_is_asked_before_hosts_deny() -> None:
    allow, deny = "sshd: 192.0.2.\n", "# nobody else\nsshd:\tALL\n"
    assert ask("192.0.2.7", allow, deny) == Verdict(True, 'hosts.allow:1 "sshd: 192.0.2."')
    assert ask("198.51.100.7", allow, deny) == Verdict(False, 'hosts.deny:2 "sshd: ALL"')


def test_who_is_in_neither_file_is_let_in() -> None:
    verdict = ask("192.0.2.7", "sshd: 10.\n", "sshd: 198.51.100.\n")
    assert verdict == Verdict(True, "no rule of hosts.allow and hosts.deny matches")


def test_the_first_rule_of_a_file_decides() -> None:
    allow = "sshd: 192.0.2.7: deny\nsshd: 192.0.2.\n"
    assert ask("192.0.2.7", allow).rule == 'hosts.allow:1 "sshd: 192.0.2.7: deny"'
    assert ask("192.0.2.8", allow).allowed


@pytest.mark.parametrize(
    ("option", "allowed"), [("allow", True), ("ALLOW", True), ("deny", False), (" allow =", True)]
)
def test_allow_and_deny_mean_the_same_in_both_files(option: str, allowed: bool) -> None:
    rule = f"sshd: 192.0.2.7:{option}\n"
    assert ask("192.0.2.7", rule, DENY_ALL).allowed is allowed
    assert ask("192.0.2.7", "", rule + DENY_ALL).allowed is allowed


# Lines


def test_a_line_goes_on_behind_a_backslash() -> None:
    verdict = ask("192.0.2.7", "# a\nsshd: 10. \\\n  192.0.2.7\nsshd: 192.0.2.8\n")
    assert verdict == Verdict(True, 'hosts.allow:2 "sshd: 10. 192.0.2.7"')


def test_a_comment_goes_on_behind_a_backslash_too() -> None:
    assert not ask("192.0.2.7", "# sshd: 10. \\\nsshd: ALL\n").allowed


def test_a_comment_begins_in_the_first_column() -> None:
    rules = allow_rules(" # sshd: ALL\n")
    assert [str(warning) for warning in rules.warnings] == []
    assert ask("192.0.2.7", " # sshd: ALL\n").allowed  # the daemons "#" and "sshd"


def test_words_behind_a_clients_list_are_no_comment() -> None:
    text = "sshd: 192.0.2.7 # the gateway, not ALL\n"
    rules = allow_rules(text)
    assert [str(warning) for warning in rules.warnings] == [
        'hosts.allow: line 1 = "# the gateway, not ALL": no comment, but patterns to tcpd; '
        "write comments in lines of their own"
    ]
    assert rules.names == ()
    assert ask("198.51.100.1", text).allowed


def test_a_line_without_a_colon_is_skipped() -> None:
    text = "sshd 192.0.2.7\nsshd]: 192.0.2.7\n\n   \nsshd: 192.0.2.8\n"
    rules = allow_rules(text)
    assert [warning.key for warning in rules.warnings] == ["line 1", "line 2"]
    assert rules.warnings[0].problem == 'no ":" outside of brackets: tcpd skips it'
    assert not ask("192.0.2.7", text).allowed
    assert ask("192.0.2.8", text).allowed


@pytest.mark.parametrize("end", ["sshd: 192.0.2.7", "# only a comment", "sshd: 192.0.2.7 \\\n", " "])
def test_a_file_without_a_newline_at_its_end(end: str) -> None:
    """libwrap does not read the last line, and refuses everyone if it is hosts.deny that it cannot read."""
    text = f"sshd: 192.0.2.8\n{end}"
    assert not ask("192.0.2.7", text).allowed
    assert ask("192.0.2.8", text).allowed
    assert not ask("203.0.113.1", "", text).allowed
    assert [warning.key for warning in allow_rules(text).warnings] == ["line 2"]
    assert deny_rules(text).warnings[0].problem == (
        "no newline at its end: tcpd does not read it, and refuses everyone whom no rule before matches"
    )


@pytest.mark.parametrize("newline", ["", "\\\n"])
def test_a_backslash_alone_is_no_last_line(newline: str) -> None:
    assert ask("192.0.2.7", "", f"in.ftpd: ALL\n{newline}").allowed


def test_a_line_is_2047_bytes_long_at_most() -> None:
    fits = f"sshd: 192.0.2.7{' ' * (2046 - 15)}\n"
    assert len(fits) == 2047
    assert ask("192.0.2.7", fits).allowed
    longer = f"{fits[:-1]} \nsshd: 192.0.2.8\n"
    assert not ask("192.0.2.8", longer).allowed
    assert allow_rules(longer).warnings[0].problem == "longer than 2047 bytes: tcpd reads no further"
    assert not ask("192.0.2.9", "", f"{'é' * 1024}\n").allowed


def test_a_continued_line_is_measured_as_it_is_read() -> None:
    half = f"{' ' * 1000}\\\n"  # 1002 bytes, of which 1000 stay
    assert ask("192.0.2.7", f"sshd: {half}{half}192.0.2.7\n").allowed
    assert not ask("192.0.2.7", f"sshd: {half}{half}{' ' * 32}192.0.2.7\n").allowed


def test_a_file_with_a_nul_is_no_text() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rules("sshd: ALL\nssh\0d: ALL\n", "/etc/hosts.allow", grants=True)
    assert str(caught.value) == "/etc/hosts.allow: line 2: a NUL in it; write plain text"


# Daemons


@pytest.mark.parametrize(
    ("pattern", "daemon", "matches"),
    [
        ("sshd", "sshd", True),
        ("SSHD", "sshd", True),
        ("ALL", "sshd", True),
        ("all", "sshd", True),
        ("in.ftpd,sshd", "sshd", True),
        ("in.ftpd\tsshd", "sshd", True),
        ("sshd2", "sshd", False),
        ("in.", "in.ftpd", True),
        (".ftpd", "in.ftpd", True),
        (".ftpd", ".ftpd", False),
        ("*ftpd", "in.ftpd", True),
        ("s?hd", "sshd", True),
        ("s[hs]hd*", "sshd", False),
        ("KNOWN", "sshd", True),
        ("UNKNOWN", "sshd", False),
        ("LOCAL", "sshd", False),
        ("/usr/sbin/sshd", "sshd", False),
        ("@sshd", "sshd", False),
        ("@sshd", "@sshd", True),
        ("22", "sshd", True),
        ("0022", "sshd", True),
        ("+22", "sshd", True),
        ("23", "23", False),
        ("65536", "65536", True),
        ("ALL EXCEPT sshd", "sshd", False),
        ("ALL EXCEPT sshd", "in.ftpd", True),
        ("ALL EXCEPT in.* EXCEPT in.ftpd", "in.ftpd", True),
        ("ALL EXCEPT in.* EXCEPT in.ftpd", "in.tftpd", False),
        ("", "sshd", False),
        ("EXCEPT sshd", "in.ftpd", False),
    ],
)
def test_daemons(pattern: str, daemon: str, matches: bool) -> None:
    assert admits(f"{pattern}: ALL", "192.0.2.7", frozenset({daemon})) is matches


def test_a_service_has_several_names() -> None:
    both = frozenset({"in.tftpd", "tftp"})
    assert admits("tftp: ALL", "192.0.2.7", both)
    assert admits("in.tftpd: ALL", "192.0.2.7", both)
    assert not admits("ALL EXCEPT tftp: ALL", "192.0.2.7", both)


@pytest.mark.parametrize(
    ("pattern", "local", "matches"),
    [
        ("sshd@192.0.2.1", "192.0.2.1", True),
        ("sshd@192.0.2.1", "192.0.2.2", False),
        ("sshd@192.0.2.0/24", "192.0.2.2", True),
        ("sshd@[2001:db8::1]", "2001:db8::1", True),
        ("sshd@ALL", "192.0.2.2", True),
        ("22@192.0.2.", "192.0.2.2", True),
        ("sshd@", "192.0.2.2", False),
        ("ALL EXCEPT sshd@192.0.2.1", "192.0.2.1", False),
        ("ALL EXCEPT sshd@192.0.2.1", "192.0.2.2", True),
    ],
)
def test_the_address_that_a_client_connected_to(pattern: str, local: str, matches: bool) -> None:
    assert ask("198.51.100.7", f"{pattern}: ALL\n", local=local).allowed is matches


@pytest.mark.parametrize("daemons", ["22", "ALL EXCEPT 22"])
def test_a_port_that_is_not_known_admits_nobody(daemons: str) -> None:
    assert not ask("192.0.2.7", f"{daemons}: ALL\n", DENY_ALL, port=None).allowed
    assert not ask("192.0.2.7", "", f"{daemons}: ALL\n", port=None).allowed


# Clients

_CLIENTS = [
    ("ALL", "192.0.2.7", True),
    ("192.0.2.7", "192.0.2.7", True),
    ("192.0.2.7", "192.0.2.77", False),
    ("192.0.2.", "192.0.2.77", True),
    ("192.0.2.", "192.0.25.7", False),
    ("192.0.2", "192.0.2.7", False),
    (".2.7", "192.0.2.7", True),
    ("192.0.2.007", "192.0.2.7", False),
    ("::ffff:192.0.2.7", "192.0.2.7", False),
    ("[::ffff:192.0.2.7]", "::ffff:192.0.2.7", False),
    ("192.0.2.7", "::ffff:192.0.2.7", True),
    ("10. , 192.0.2.", "192.0.2.7", True),
    ("10.\t192.0.2.\r", "192.0.2.7", True),
    # networks
    ("192.0.2.0/24", "192.0.2.7", True),
    ("192.0.2.0/024", "192.0.2.7", True),
    ("192.0.2.0/255.255.255.0", "192.0.2.7", True),
    ("192.0.2.7/24", "192.0.2.7", False),
    ("192.0.2.7/32", "192.0.2.7", True),
    ("192.0.2.7/255.255.255.255", "192.0.2.7", False),
    ("192.0.0.7/255.255.0.255", "192.0.9.7", True),
    ("192.0.2.0/33", "192.0.2.7", False),
    ("192.0.2.0/255.255.255", "192.0.2.7", False),
    ("192.0.2.0/", "192.0.2.7", False),
    ("192.0.2/24", "192.0.2.7", False),
    ("0.0.0.0/0", "192.0.2.7", False),
    ("0.0.0.0/0.0.0.0", "192.0.2.7", True),
    ("0.0.0.0/0.0.0.0", "2001:db8::1", False),
    ("0300.0.02.0/0xff.255.255.0", "192.0.2.7", True),
    ("255.255.255.255", "255.255.255.255", True),
    ("255.255.255.255/32", "255.255.255.255", False),
    ("61./255.255.255.255", "61.0.0.1", False),
    # IPv6
    ("[2001:db8::1]", "2001:db8::1", True),
    ("[2001:DB8:0::1]", "2001:db8::1", True),
    ("[2001:db8::1]", "2001:db8::2", False),
    ("[2001:db8::]/32", "2001:db8:9::1", True),
    ("[2001:db8::1]/32", "2001:db8:9::1", True),
    ("[2001:db8::]/32", "2001:db9::1", False),
    ("[2001:db8::]/129", "2001:db8::1", False),
    ("[::]/0", "2001:db8::1", True),
    ("[::]/0", "192.0.2.7", False),
    ("[::ffff:0:0]/96", "192.0.2.7", False),
    ("[2001:db8::/32]", "2001:db8::1", False),
    ("[192.0.2.7]", "192.0.2.7", False),
    ("[]", "192.0.2.7", False),
    # wildcards, on the text of the address
    ("192.0.?.*", "192.0.2.77", True),
    ("192.0.?.?", "192.0.2.77", False),
    ("*", "2001:db8::1", True),
    ("192*7", "192.0.2.77", True),
    ("192.0.2.77**", "192.0.2.77", False),
    ("192.0.2.7**", "192.0.2.77", True),
    ("2001?DB8*", "2001:db8::1", True),
    ("192.0.*.0/24", "192.0.2.7", False),
    # lists with exceptions
    ("ALL EXCEPT 192.0.2.", "192.0.2.7", False),
    ("ALL except 192.0.2.", "198.51.100.7", True),
    ("10. ALL EXCEPT 192.0.2. EXCEPT 192.0.2.7", "192.0.2.7", True),
    ("10. ALL EXCEPT 192.0.2. EXCEPT 192.0.2.7", "192.0.2.8", False),
    ("ALL EXCEPT", "192.0.2.7", True),
    ("EXCEPT 10.", "192.0.2.7", False),
    ("ALL EXCEPT EXCEPT 192.0.2.7", "192.0.2.7", True),
    ("", "192.0.2.7", False),
]


@pytest.mark.parametrize(("pattern", "client", "matches"), _CLIENTS)
def test_clients(pattern: str, client: str, matches: bool) -> None:
    assert admits(f"sshd: {pattern}", client) is matches


def test_a_pattern_of_many_stars_is_answered_at_once() -> None:
    """Trying all ways to place sixteen stars would take longer than anybody waits."""
    assert not admits(f"sshd: {'*f' * 16}x", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
