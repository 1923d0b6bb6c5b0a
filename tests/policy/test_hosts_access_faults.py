"""What is said of rules of hosts.allow and hosts.deny that superd cannot obey, and of what is hardly meant."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from superd.policy.hosts_access import HostsAccess, Rules

from .hosts_files import DENY_ALL, SSHD, address, allow_rules, ask, deny_rules


def said(rules: Rules) -> tuple[list[str], list[str]]:
    """The faults and the warnings for sshd, without the file's name."""
    faults, warnings = rules.faults_for(SSHD), rules.warnings_for(SSHD)
    return [str(one).partition(": ")[2] for one in faults], [str(one).partition(": ")[2] for one in warnings]


_WRITE = 'write its addresses, "192.0.2.1", "192.0.2." or "[2001:db8::]/32"'
_LOOKUP = "needs the host's name, which superd does not look up"
_REFUSES = "tcpd refuses whom the rule matches"
_PLAIN = 'write nothing, "allow" or "deny" behind the clients'


@pytest.mark.parametrize(
    "pattern", [".example.com", "example.", "*.example.com", "LOCAL", "known", "UNKNOWN", "fe80*"]
)
@pytest.mark.parametrize(
    ("reads", "rule", "is_fault"),
    [
        (allow_rules, "sshd: {}", False),
        (allow_rules, "sshd: ALL EXCEPT 10. {}", True),
        (allow_rules, "sshd: ALL EXCEPT 10. EXCEPT {}", False),
        (allow_rules, "sshd: {}: deny", True),
        (allow_rules, "sshd: ALL EXCEPT {}: deny", False),
        (allow_rules, "sshd@{}: ALL", False),
        (allow_rules, "ALL EXCEPT sshd@{}: ALL", True),
        (deny_rules, "sshd: {}", True),
        (deny_rules, "sshd: ALL EXCEPT {}", False),
        (deny_rules, "sshd: {}: allow", False),
        (deny_rules, "sshd@{}: ALL", True),
        (deny_rules, "ALL EXCEPT sshd@{}: ALL", False),
    ],
)
def test_a_pattern_of_names_is_a_fault_where_it_would_let_people_in(
    pattern: str, reads: Callable[[str], Rules], rule: str, is_fault: bool
) -> None:
    faults, warnings = said(reads(rule.format(pattern) + "\n"))
    effect = "it keeps nobody out by name" if is_fault else "it admits nobody by name"
    word = f"sshd@{pattern}" if "@" in rule else pattern
    expected = [f'line 1 = "{word}": {_LOOKUP}: {effect}; {_WRITE}']
    assert (faults, warnings) == ((expected, []) if is_fault else ([], expected))


def test_patterns_of_names_admit_nobody() -> None:
    allow = "sshd: LOCAL KNOWN UNKNOWN PARANOID .example.com *.example.com\n"
    assert not ask("192.0.2.7", allow).allowed


@pytest.mark.parametrize("reads", [allow_rules, deny_rules])
@pytest.mark.parametrize("rule", ["sshd: PARANOID", "sshd: ALL EXCEPT PARANOID"])
def test_paranoid_is_satisfied_without_names(reads: Callable[[str], Rules], rule: str) -> None:
    faults, warnings = said(reads(rule + "\n"))
    assert (faults, len(warnings)) == ([], 1)


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("sshd: @trusted", '"@trusted": a netgroup, which superd does not ask; ' + _WRITE),
        ("sshd@@ours: ALL", '"sshd@@ours": a netgroup, which superd does not ask; ' + _WRITE),
        ("sshd: /etc/a", '"/etc/a": a file of patterns, which superd does not read; write the patterns here'),
        ("sshd: ALL@10.", '"ALL@10.": a client\'s user, whom superd does not ask for; write "10." alone'),
        (
            "sshd: [fe80::%eth0]/64",
            '"[fe80::%eth0]/64": superd compares no interface, and Debian\'s tcpd neither; write it without %…',
        ),
        (
            "sshd: 10.0.0.0/8x",
            '"10.0.0.0/8x": not a length, which tcpd takes for 8; write "10.0.0.0/8" if that is meant',
        ),
        (
            "sshd: [2001:db8::]/x",
            '"[2001:db8::]/x": not a length, which tcpd takes for 0; write "[2001:db8::]/0" if that is meant',
        ),
        (
            "sshd: 2001:db8::1",
            '"db8::1": not an option; write an IPv6 address between brackets, [2001:db8::1]',
        ),
        ("sshd: ::1", '":1": not an option; write an IPv6 address between brackets, [2001:db8::1]'),
        (
            "sshd: ALL: severity auth.info",
            '"severity auth.info": an option that superd does not obey; superd logs every refusal; leave it out',
        ),
        (
            "sshd: ALL: banners /etc/b: deny",
            '"banners /etc/b": an option that superd does not obey; '
            "write access.banner_denied in superd's configuration",
        ),
        ("sshd: ALL: /usr/bin/finger @%h", f'"/usr/bin/finger @%h": not an option: {_REFUSES}; {_PLAIN}'),
        ("sshd: ALL: allow 5", f'"allow 5": takes no value: {_REFUSES}; {_PLAIN}'),
        ("sshd: ALL:", f'"": an empty option: {_REFUSES}; {_PLAIN}'),
    ],
)
def test_what_superd_cannot_do_is_a_fault(rule: str, fault: str) -> None:
    for rules in (allow_rules(rule + "\n"), deny_rules(rule + "\n")):
        assert said(rules)[0] == [f"line 1 = {fault}"]


@pytest.mark.parametrize(
    "option",
    [
        "spawn (/bin/mail root) &",
        "twist /bin/echo no",
        "aclexec /bin/a\\:b %a",
        "keepalive",
        "linger 5",
        "rfc931 10",
        "nice",
        "setenv A b",
        "umask 022",
        "user nobody",
        "group nogroup",
        "USER=nobody.nogroup",
    ],
)
def test_every_other_option_is_a_fault(option: str) -> None:
    faults, _ = said(deny_rules(f"sshd: ALL: {option} : deny\n"))
    assert len(faults) == 1
    assert "an option that superd does not obey" in faults[0]


def test_an_option_behind_the_decision_is_a_fault() -> None:
    faults, _ = said(allow_rules("sshd: ALL: allow: deny\n"))
    assert faults == [f'line 1 = "allow": options behind it: {_REFUSES}; {_PLAIN}']


def test_every_fault_is_reported_at_once() -> None:
    rules = allow_rules("ALL: /etc/a @b\nsshd: a@b: spawn c\n")
    assert [fault.key for fault in rules.faults_for(SSHD)] == ["line 1"] * 2 + ["line 2"] * 2


def test_only_rules_for_the_service_matter() -> None:
    rules = allow_rules(
        "in.ftpd: ALL: spawn a\nALL EXCEPT sshd: /b\n22: /c\nsshd@10.: /d\nALL EXCEPT sshd@10.: /e\n"
    )
    keys = [fault.key for fault in rules.faults_for(SSHD, {22})]
    assert keys == ["line 3", "line 4", "line 5"]
    assert [fault.key for fault in rules.faults_for(SSHD, {2222})] == ["line 4", "line 5"]
    assert len(rules.faults_for({"in.ftpd"}, {21})) == 3


def test_a_rule_with_a_fault_refuses_everyone() -> None:
    """A service with faults is not served at all; should somebody ask all the same, the answer is safe."""
    assert not ask("192.0.2.7", "sshd@LOCAL: @a: allow\n", "").allowed


@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        ("192.0.2.7/24", 'write "192.0.2.0/24"'),
        ("192.0.2.7/255.255.255.0", 'write "192.0.2.0/255.255.255.0"'),
        ("192.0.2.7/255.255.255.255", 'write "192.0.2.7"'),
        ("192.0.2.0/33", "write a length of 1 to 32"),
        ("0.0.0.0/0", 'write "ALL"'),
        ("10/8", 'write "192.0.2.0/24"'),
        ("192.0.2", 'write "192.0.2.1", or "192.0.2." for all that begin so'),
        ("[::ffff:192.0.2.7]", 'write "192.0.2.7"'),
        ("[::ffff:192.0.2.7]/120", 'write "192.0.2.0/24"'),
        ("[2001:db8::]/129", 'write "[2001:db8::]/32"'),
        ("0x7f.1", "write an address, a network or a host name"),
        ("1.2.3.4.example.1", "write an address, a network or a host name"),
        ("a!b", "write an address, a network or a host name"),
        (f"{'a' * 64}.example", "write an address, a network or a host name"),
    ],
)
def test_what_matches_nobody_is_said(pattern: str, remedy: str) -> None:
    for rules in (allow_rules(f"sshd: {pattern}\n"), deny_rules(f"sshd: {pattern}\n")):
        assert said(rules) == ([], [f'line 1 = "{pattern}": matches nobody, in tcpd neither; {remedy}'])
        assert rules.names == ()


def test_a_rule_without_clients_is_said() -> None:
    assert said(deny_rules("sshd: \n"))[1] == [
        'line 1 = " ": no clients: it matches nobody, in tcpd neither; write "ALL" for everyone'
    ]


# Host names


def test_a_host_name_stands_for_its_addresses() -> None:
    allow = allow_rules("sshd: GW.example.net 10.\nin.ftpd: ftp.example.net\nsshd@www.example.net: ALL\n")
    assert allow.names == ("gw.example.net", "ftp.example.net", "www.example.net")
    files = HostsAccess(allow, deny_rules(f"in.ftpd: worse.example.net\n{DENY_ALL}"))
    assert files.names == ("gw.example.net", "ftp.example.net", "www.example.net", "worse.example.net")
    assert files.names_for(SSHD) == ("gw.example.net", "www.example.net")
    assert not files.verdict(SSHD, *address("192.0.2.7"), *address("192.0.2.1")).allowed
    files.resolved("gw.example.net", [address("192.0.2.7"), address("2001:db8::7")])
    assert files.verdict(SSHD, *address("192.0.2.7"), *address("192.0.2.1")).allowed
    assert files.verdict(SSHD, *address("2001:db8::7"), *address("2001:db8::1")).allowed
    files.resolved("gw.example.net", [address("192.0.2.8")])
    assert not files.verdict(SSHD, *address("192.0.2.7"), *address("192.0.2.1")).allowed
    files.resolved("www.example.net", [address("192.0.2.1")])
    assert files.verdict(SSHD, *address("192.0.2.7"), *address("192.0.2.1")).allowed


def test_a_host_name_without_an_address_is_said() -> None:
    files = HostsAccess(
        allow_rules("sshd: gw.example.net EXCEPT bad.example.net\n"),
        deny_rules("in.ftpd: ftp.example.net\n\nsshd: worse.example.net\n"),
    )
    files.resolved("gw.example.net", [])
    no_address = "no address is known for this name: it"
    assert [str(warning) for warning in files.unresolved(SSHD)] == [
        f'hosts.allow: line 1 = "gw.example.net": {no_address} admits nobody; write addresses',
        f'hosts.allow: line 1 = "bad.example.net": {no_address} keeps nobody out; write addresses',
        f'hosts.deny: line 3 = "worse.example.net": {no_address} keeps nobody out; write addresses',
    ]
    files.resolved("worse.example.net", [address("192.0.2.7")])
    assert len(files.unresolved(SSHD)) == 2
    assert not files.verdict(SSHD, *address("192.0.2.7"), *address("192.0.2.1")).allowed
