"""Who may come: host names, ties, the most specific match, and where xinetd decides otherwise."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.errors import UnitError
from superd.policy.access import AccessList, Verdict, is_host_name, parse_rule
from superd.policy.networks import Network, parse_address

ROOT = Path(__file__).resolve().parent.parent.parent
CORPUS = Path(os.environ.get("SUPERD_CORPUS") or ROOT.parent / "shared/corpus")


def verdict(rules: AccessList, address: str) -> Verdict:
    return rules.verdict(*parse_address(address))


@pytest.mark.parametrize(
    "name",
    [
        "localhost",
        "gw.example.net",
        "GW",
        "3com.example",
        "a-b.c-d.example",
        "xn--bcher-kva.example",
        "x" * 63,
    ],
)
def test_a_host_name(name: str) -> None:
    assert is_host_name(name)
    assert parse_rule(name) == name.lower()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            ".",
            "a..b",
            ".example",
            "example.",
            "-a",
            "a-",
            "a.-b",
            "a_b",
            "a b",
            "bücher.example",
            "gw\n",
        ),
        *("127.1", "1", "a.1", "127.0x1", "0x7f000001", "a.0X", "x" * 64, ".".join(["x" * 50] * 5)),
    ],
)
def test_what_is_no_host_name(text: str) -> None:
    assert not is_host_name(text)


def test_a_rule_is_a_network_or_a_name() -> None:
    assert parse_rule("192.0.2.0/24") == Network(4, 0xC0000200, 24)
    assert parse_rule("0x7f.example") == "0x7f.example"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ALL", 'a word; write "0.0.0.0/0", "::/0" if everyone is meant'),
        ("unknown", "hosts by their names; write the networks that they are in"),
        (".example.net", "hosts by their names; write the networks that they are in"),
        ("gw.example.net.", 'a dot at its end; write "gw.example.net"'),
        ("gw.example.net:80", 'a port; write "gw.example.net"'),
        ("gw.example.net, mx.example.net", 'several in one text; write "gw.example.net", "mx.example.net"'),
        ("192.0.2.1/24", 'bits set beyond the first 24; write "192.0.2.0/24" or "192.0.2.1"'),
        ("192.0.2.256", "not an IPv4 address; write four numbers of 0 to 255, without leading zeros"),
        ("gw_1", 'not a host name, address or network; write "192.0.2.1" or "192.0.2.0/24"'),
    ],
)
def test_what_is_no_rule_says_what_to_write(text: str, message: str) -> None:
    for allow, deny in (([text], []), ([], [text])):
        with pytest.raises(UnitError) as raised:
            AccessList(allow, deny)
        assert str(raised.value) == message


def test_without_rules_everyone_may_come() -> None:
    assert verdict(AccessList([], []), "192.0.2.1") == Verdict(True, "nothing denies")


def test_with_allow_nobody_else_may_come() -> None:
    rules = AccessList(["192.0.2.0/24"], [])
    assert verdict(rules, "192.0.2.1") == Verdict(True, 'allow "192.0.2.0/24"')
    assert verdict(rules, "192.0.3.1") == Verdict(False, "no allow matches")
    assert verdict(rules, "2001:db8::1") == Verdict(False, "no allow matches")


def test_without_allow_all_but_those_denied_may_come() -> None:
    rules = AccessList([], ["192.0.2.66"])
    assert verdict(rules, "192.0.2.66") == Verdict(False, 'deny "192.0.2.66"')
    assert verdict(rules, "192.0.2.67") == Verdict(True, "nothing denies")


def test_the_most_specific_rule_of_both_lists_wins() -> None:
    rules = AccessList(["192.0.2.0/24", "192.0.2.66"], ["192.0.2.64/26", "0.0.0.0/0"])
    assert verdict(rules, "192.0.2.66") == Verdict(True, 'allow "192.0.2.66"')
    assert verdict(rules, "192.0.2.65") == Verdict(False, 'deny "192.0.2.64/26"')
    assert verdict(rules, "192.0.2.1") == Verdict(True, 'allow "192.0.2.0/24"')
    assert verdict(rules, "198.51.100.1") == Verdict(False, 'deny "0.0.0.0/0"')


def test_a_tie_denies() -> None:
    rules = AccessList(["192.0.2.0/24", "2001:db8::1"], ["192.0.2.0/24", "2001:DB8:0::1/128"])
    assert verdict(rules, "192.0.2.1") == Verdict(False, 'deny "192.0.2.0/24"')
    assert verdict(rules, "2001:db8::1") == Verdict(False, 'deny "2001:DB8:0::1/128"')


def test_ipv4_in_the_clothes_of_ipv6_is_ipv4() -> None:
    rules = AccessList(["192.0.2.0/24"], ["::/0"])
    assert verdict(rules, "::ffff:192.0.2.1") == Verdict(True, 'allow "192.0.2.0/24"')


def test_a_name_without_addresses_admits_nobody_and_denies_nobody() -> None:
    assert verdict(AccessList(["gw.example.net"], []), "192.0.2.1") == Verdict(False, "no allow matches")
    assert verdict(AccessList([], ["gw.example.net"]), "192.0.2.1") == Verdict(True, "nothing denies")


def test_a_name_stands_for_the_addresses_it_has_now() -> None:
    rules = AccessList(["GW.example.net"], ["0.0.0.0/0"])
    assert rules.names == ("gw.example.net",)
    rules.resolved("gw.example.net", [parse_address("192.0.2.1"), parse_address("2001:db8::1")])
    assert verdict(rules, "192.0.2.1") == Verdict(True, 'allow "GW.example.net"')
    assert verdict(rules, "2001:db8::1") == Verdict(True, 'allow "GW.example.net"')
    assert verdict(rules, "192.0.2.2") == Verdict(False, 'deny "0.0.0.0/0"')
    rules.resolved("gw.example.net", [parse_address("192.0.2.2")])
    assert verdict(rules, "192.0.2.1") == Verdict(False, 'deny "0.0.0.0/0"')
    assert verdict(rules, "192.0.2.2") == Verdict(True, 'allow "GW.example.net"')
    rules.resolved("gw.example.net", [])
    assert verdict(rules, "192.0.2.2") == Verdict(False, 'deny "0.0.0.0/0"')


def test_a_name_is_one_address_against_networks_and_names() -> None:
    rules = AccessList(["192.0.2.1", "good", "both"], ["192.0.2.9", "bad", "BOTH"])
    assert rules.names == ("good", "both", "bad")
    address = {last: parse_address(f"192.0.2.{last}") for last in (1, 2, 3, 9)}
    rules.resolved("bad", [address[1], address[2]])
    rules.resolved("good", [address[2], address[3], address[9]])
    rules.resolved("both", [address[3]])
    assert verdict(rules, "192.0.2.1") == Verdict(False, 'deny "bad"')
    assert verdict(rules, "192.0.2.2") == Verdict(False, 'deny "bad"')
    assert verdict(rules, "192.0.2.3") == Verdict(False, 'deny "BOTH"')
    assert verdict(rules, "192.0.2.9") == Verdict(False, 'deny "192.0.2.9"')


# few bits, so that rules and clients meet often
_hosts = st.builds(
    lambda six, low: ipaddress.ip_address((0x2001_0DB8 << 96) + low if six else 0xC000_0200 + low),
    st.booleans(),
    st.integers(0, 7),
)
_networks = st.builds(
    lambda host, cut: str(ipaddress.ip_network((host, max(0, host.max_prefixlen - cut)), strict=False)),
    _hosts,
    st.sampled_from([0, 0, 1, 2, 3, 32, 128]),
)
_rules = st.lists(st.one_of(_networks, st.sampled_from(["a", "b", "c"])), max_size=5)


def _obvious(allow: list[str], deny: list[str], found: dict[str, list[str]], client: str) -> bool:
    """The length of the best match of each list, compared."""

    def best(rules: list[str]) -> int:
        texts = [text for rule in rules for text in found.get(rule, [] if rule.isalpha() else [rule])]
        around = [ipaddress.ip_network(text) for text in texts]
        address = ipaddress.ip_address(client)
        return max((one.prefixlen for one in around if address in one), default=-1)

    allowed, denied = best(allow), best(deny)
    if allowed == denied == -1:
        return not allow
    return allowed > denied


@given(
    allow=_rules,
    deny=_rules,
    findings=st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.lists(_hosts.map(str), max_size=3))),
    clients=st.lists(_hosts.map(str), min_size=1),
)
def test_it_decides_as_the_obvious_way_does(
    allow: list[str], deny: list[str], findings: list[tuple[str, list[str]]], clients: list[str]
) -> None:
    rules = AccessList(allow, deny)
    found: dict[str, list[str]] = {}
    for name, addresses in findings:
        found[name] = addresses
        if name in rules.names:
            rules.resolved(name, [parse_address(address) for address in addresses])
    for client in clients:
        answer = verdict(rules, client)
        assert answer.allowed == _obvious(allow, deny, found, client)
        assert answer.rule in (
            *(f'allow "{text}"' for text in allow if answer.allowed),
            *(f'deny "{text}"' for text in deny if not answer.allowed),
            "nothing denies" if answer.allowed else "no allow matches",
        )


_ZEROS = "zeros at the end stand for anything there; superd takes one address, and a network by its length"

_REFUSED = {
    "0.0.0.0": _ZEROS,
    "127.1.2.3/16": "the bits beyond the prefix are left out; superd asks which of the two is meant",
    "127.1.{2,3}": "braces; superd names the two networks",
    "127.1.2.{3,4,5}": "braces; superd names the three addresses",
    "127.{1,2}.2.3": "xinetd does not serve it either",
    "127.0.0.1,127.1.2.3": "xinetd does not serve it either",
    "127.1": "read as inet_aton(3) does; superd wants four numbers",
    "127": "matches nobody; superd wants four numbers",
    "127.1.2.256": "taken for a name that nobody has",
    "127.1.0.0/33": "matches nobody",
    ".localdomain": "names of clients are what their reverse zone says; superd does not ask it",
}
"""What is a fault in superd, and why it is not taken as xinetd takes it."""

_OTHERWISE = {
    ("only_from", "127.1.0.0"): _ZEROS,
    ("only_from", "127.1.2.0"): _ZEROS,
    ("only_from", "127.0.0.0"): _ZEROS,
    ("no_access", "127.1.0.0"): _ZEROS,
    ("only_from", "::/0"): "IPv4 clients are IPv6 ones to xinetd, as its socket is",
    ("only_from", ""): "an empty list admits nobody; to superd it is a fault, and to an AccessList no list",
    (
        "both",
        "127.1.2.0/24|127.1.0.0/16",
    ): "all matches of IPv4 count as equal, so that the narrower one does not win",
}
"""What superd decides otherwise for some clients, and what xinetd does."""


def _matrix() -> list[tuple[str, str, str, str]]:
    path = CORPUS / "vectors/xinetd_access_matrix.tsv"
    if not path.exists():
        return []
    lines = [line.split("\t") for line in path.read_text().splitlines() if not line.startswith("#")]
    return [(attribute, pattern, client, end) for attribute, pattern, client, end in lines[1:]]


def test_xinetd_decides_the_same_but_where_it_is_said() -> None:
    rows = _matrix()
    if not rows:
        pytest.skip("the record of xinetd's verdicts is not there")
    refused, otherwise = set(), set()
    for attribute, pattern, client, end in rows:
        allow, _, deny = pattern.partition("|") if attribute == "both" else (pattern, "", "")
        if attribute == "no_access":
            allow, deny = "", pattern
        try:
            rules = AccessList(allow.split(), deny.split())
        except UnitError:
            refused.add(pattern)
            continue
        if verdict(rules, client).allowed != (end == "allow"):
            otherwise.add((attribute, pattern))
    assert refused == set(_REFUSED)
    assert otherwise == set(_OTHERWISE)
