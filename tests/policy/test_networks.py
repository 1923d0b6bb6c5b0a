"""Addresses and networks: what is taken, what is said of the rest, and which network of many an address is in."""

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.errors import UnitError
from superd.policy.networks import (
    Network,
    NetworkTable,
    parse_address,
    parse_network,
    source_key,
    source_network,
)

_FOUR = int(ipaddress.IPv4Address("192.0.2.0"))
_SIX = int(ipaddress.IPv6Address("2001:db8::"))

addresses = st.ip_addresses()
networks = addresses.flatmap(
    lambda address: st.integers(0, address.max_prefixlen).map(
        lambda length: ipaddress.ip_network((address, length), strict=False)
    )
)


def of(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Network:
    return Network(network.version, int(network.network_address), network.prefixlen)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.0", Network(4, _FOUR, 32)),
        ("192.0.2.0/24", Network(4, _FOUR, 24)),
        ("0.0.0.0/0", Network(4, 0, 0)),
        ("255.255.255.255", Network(4, 2**32 - 1, 32)),
        ("2001:db8::", Network(6, _SIX, 128)),
        ("2001:DB8:0:0::/32", Network(6, _SIX, 32)),
        ("::1", Network(6, 1, 128)),
        ("::/0", Network(6, 0, 0)),
        ("64:ff9b::192.0.2.0/128", Network(6, (0x64FF9B << 96) + _FOUR, 128)),
    ],
)
def test_an_address_or_a_network(text: str, network: Network) -> None:
    assert parse_network(text) == network


_USAGE = 'write "192.0.2.1" or "192.0.2.0/24"'
_NUMBERS = "write four numbers of 0 to 255, without leading zeros"
_EVERYONE = 'write "0.0.0.0/0", "::/0" if everyone is meant'
_BY_NAME = "write the networks that they are in"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("192.0.2.1/24", 'bits set beyond the first 24; write "192.0.2.0/24" or "192.0.2.1"'),
        ("2001:db8::1/32", 'bits set beyond the first 32; write "2001:db8::/32" or "2001:db8::1"'),
        ("192.0.2.0/33", "no prefix length of 33 bits; write at most /32"),
        ("::/129", "no prefix length of 129 bits; write at most /128"),
        ("192.0.2.0/", f"no prefix length; {_USAGE}"),
        ("192.0.2.0/-1", f"not an address or network; {_USAGE}"),
        ("::ffff:192.0.2.0/120", 'IPv4 written as IPv6; write "192.0.2.0/24"'),
        ("::ffff:192.0.2.1/120", 'IPv4 written as IPv6; write "192.0.2.0/24"'),
        ("::FFFF:c000:201", 'IPv4 written as IPv6; write "192.0.2.1"'),
        ("::ffff:0:0/96", 'IPv4 written as IPv6; write "0.0.0.0/0"'),
        ("::ffff:0.0.0.0", 'an address that nobody has; write "0.0.0.0/0" if everyone is meant'),
        ("::ffff:192.0.2.1/80", 'bits set beyond the first 80; write "::/80"'),
        ("0.0.0.0", 'an address that nobody has; write "0.0.0.0/0" if everyone is meant'),
        ("::", 'an address that nobody has; write "::/0" if everyone is meant'),
        ("::/128", 'an address that nobody has; write "::/0" if everyone is meant'),
        ("10.0.0.0/255.0.0.0", 'a netmask; write "10.0.0.0/8"'),
        ("192.0.2.0 255.255.255.0", 'a netmask; write "192.0.2.0/24"'),
        ("10.1.2.3/255.0.0.0", 'bits set beyond the first 8; write "10.0.0.0/8" or "10.1.2.3"'),
        ("10.0.0.0/0.255.0.255", f"not an IPv4 address; {_NUMBERS}"),
        ("10.0.0.0/256.0.0.0", f"not an IPv4 address; {_NUMBERS}"),
        ("10.", 'not a whole address; write "10.0.0.0/8"'),
        ("192.168.", 'not a whole address; write "192.168.0.0/16"'),
        ("192.0.2.", 'not a whole address; write "192.0.2.0/24"'),
        ("192.168.*", 'not a whole address; write "192.168.0.0/16"'),
        ("192.168.*.*", 'not a whole address; write "192.168.0.0/16"'),
        ("172.16/12", 'not a whole address; write "172.16.0.0/12"'),
        ("127.1", f"not an IPv4 address; {_NUMBERS}"),
        ("300.", f"not an IPv4 address; {_NUMBERS}"),
        ("192.0.2.256", f"not an IPv4 address; {_NUMBERS}"),
        ("192.168.1.{1,2}", 'several in one text; write "192.168.1.1", "192.168.1.2"'),
        ("172.16.{1, 2}", 'several in one text; write "172.16.1.0/24", "172.16.2.0/24"'),
        ("192.0.2.1,192.0.2.2", 'several in one text; write "192.0.2.1", "192.0.2.2"'),
        ("192.0.2.1, 192.0.2.2,", 'several in one text; write "192.0.2.1", "192.0.2.2"'),
        ("192.0.2.1 ::1", 'several in one text; write "192.0.2.1", "::1"'),
        ("192.0.2.1 192.0.2.256", f"not an IPv4 address; {_NUMBERS}"),
        ("ALL", f"a word; {_EVERYONE}"),
        ("any", f"a word; {_EVERYONE}"),
        ("*", f"a word; {_EVERYONE}"),
        ("LOCAL", f"hosts by their names; {_BY_NAME}"),
        (".example.net", f"hosts by their names; {_BY_NAME}"),
        ("*.example.net", f"hosts by their names; {_BY_NAME}"),
        ("@trusted", f"hosts by their names; {_BY_NAME}"),
        ("[::1]", 'brackets; write "::1"'),
        ("[2001:db8::]/32", 'brackets; write "2001:db8::/32"'),
        ("[::ffff:192.0.2.1]", 'IPv4 written as IPv6; write "192.0.2.1"'),
        ("fe80::1%eth0", 'an interface; write "fe80::1"'),
        ("192.0.2.1:80", 'a port; write "192.0.2.1"'),
        ("[::1]:http", 'a port; write "::1"'),
        ("192.0.02.1", 'leading zeros; write "192.0.2.1"'),
        ("10.0.0.0/08", 'leading zeros; write "10.0.0.0/8"'),
        ("2001:db8::/032", 'leading zeros; write "2001:db8::/32"'),
        (" 192.0.2.1", 'a blank around it; write "192.0.2.1"'),
        ("192.0.2.1\n", 'a blank around it; write "192.0.2.1"'),
        ("10.0.0.0 /8", 'a blank in it; write "10.0.0.0/8"'),
        ("192.0.2.1-192.0.2.9", "a range; write the networks that it is made of"),
        ("gw.example.net", "a host name; write its address"),
        ("gw.example.net/24", "a host name; write its address"),
        ("gw.example.net:80", "a host name; write its address"),
        ("2001:db8::1::", 'not an IPv6 address; write "2001:db8::1" or "2001:db8::/32"'),
        ("", f"not an address or network; {_USAGE}"),
        ("192.0.2.1\0", f"not an address or network; {_USAGE}"),
        ("١٩٢.0.2.1", f"not an address or network; {_USAGE}"),
        ("192.0.2.0/٨", f"not an address or network; {_USAGE}"),
        ("\ud800", f"not an address or network; {_USAGE}"),
    ],
)
def test_what_is_neither_says_what_to_write(text: str, message: str) -> None:
    with pytest.raises(UnitError) as raised:
        parse_network(text)
    assert str(raised.value) == message


@given(networks)
def test_every_network_has_one_spelling(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    try:
        parsed = parse_network(str(network))
    except UnitError:
        mapped = network.version == 6 and int(network.network_address) >> 32 == 0xFFFF
        assert mapped or (int(network.network_address) == 0 and network.prefixlen == network.max_prefixlen)
        return
    assert parsed == of(network)
    assert parse_network(str(parsed)) == parsed


@given(
    st.one_of(
        st.text(alphabet="0123456789abcf.:/[]{},*% -", max_size=30),
        st.from_regex(r"(::ffff:)?[0-9]{1,3}(\.[0-9]{1,3}){0,3}\.?(/[0-9.]{1,12})?", fullmatch=True),
        st.text(max_size=30),
    )
)
def test_what_a_remedy_names_is_taken(text: str) -> None:
    try:
        parse_network(text)
    except UnitError as error:
        assert error.problem
        assert error.remedy.startswith("write ")
        for one in re.findall(r'"([^"]*)"', error.remedy):
            parse_network(one)


@pytest.mark.parametrize(
    ("text", "version", "value"),
    [
        ("192.0.2.1", 4, _FOUR + 1),
        ("2001:db8::1", 6, _SIX + 1),
        ("::ffff:192.0.2.1", 4, _FOUR + 1),
        ("fe80::1%eth0", 6, (0xFE80 << 112) + 1),
        ("::ffff:192.0.2.1%2", 4, _FOUR + 1),
        ("0.0.0.0", 4, 0),
    ],
)
def test_the_address_of_a_client(text: str, version: int, value: int) -> None:
    assert parse_address(text) == (version, value)


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.1%eth0", "192.0.2.0/24", "[::1]", "gw", "::1\0"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UnitError, match=r'^not an address; write "192\.0\.2\.1" or "2001:db8::1"$'):
        parse_address(text)


def test_the_most_specific_network_wins() -> None:
    table = NetworkTable[str]()
    for text in ("0.0.0.0/0", "192.0.2.0/24", "192.0.2.7", "2001:db8::/32"):
        table.add(parse_network(text), text)
    assert table.lookup(*parse_address("192.0.2.7")) == "192.0.2.7"
    assert table.lookup(*parse_address("192.0.2.8")) == "192.0.2.0/24"
    assert table.lookup(*parse_address("198.51.100.1")) == "0.0.0.0/0"
    assert table.lookup(*parse_address("2001:db8::7")) == "2001:db8::/32"
    assert table.lookup(*parse_address("2001:db9::7")) is None


def test_a_network_added_again_has_its_new_value() -> None:
    table = NetworkTable[int]()
    table.add(parse_network("192.0.2.0/24"), 0)
    assert table.lookup(4, _FOUR) == 0
    table.add(parse_network("192.0.2.0/24"), 2)
    assert table.lookup(4, _FOUR) == 2


@given(st.lists(networks, max_size=12), st.lists(addresses, max_size=8))
def test_a_table_finds_what_a_search_of_all_networks_finds(
    kept: list[ipaddress.IPv4Network | ipaddress.IPv6Network],
    asked: list[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> None:
    table = NetworkTable[str]()
    for network in kept:
        table.add(of(network), str(network))
    for address in [*asked, *(network.broadcast_address for network in kept)]:
        around = [one for one in kept if one.version == address.version and address in one]
        best = max(around, key=lambda one: one.prefixlen, default=None)
        assert table.lookup(address.version, int(address)) == (best and str(best))


@pytest.mark.parametrize(
    ("address", "prefix4", "prefix6", "text"),
    [
        ("192.0.2.7", 32, 64, "192.0.2.7"),
        ("192.0.2.7", 24, 64, "192.0.2.0/24"),
        ("192.0.2.7", 0, 64, "0.0.0.0/0"),
        ("2001:db8:1:2:3::4", 32, 64, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3::4", 32, 128, "2001:db8:1:2:3::4"),
        ("::1", 32, 64, "::/64"),
        ("::1", 32, 0, "::/0"),
    ],
)
def test_a_source_is_an_address_cut_to_its_prefix(
    address: str, prefix4: int, prefix6: int, text: str
) -> None:
    key = source_key(*parse_address(address), prefix4, prefix6)
    assert str(source_network(key, prefix4, prefix6)) == text


@given(addresses, addresses, st.integers(0, 32), st.integers(0, 128))
def test_two_addresses_are_one_source_when_their_prefixes_are_the_same(
    one: ipaddress.IPv4Address | ipaddress.IPv6Address,
    other: ipaddress.IPv4Address | ipaddress.IPv6Address,
    prefix4: int,
    prefix6: int,
) -> None:
    def prefix(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> object:
        return ipaddress.ip_network((address, prefix4 if address.version == 4 else prefix6), strict=False)

    def key(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
        return source_key(address.version, int(address), prefix4, prefix6)

    assert (key(one) == key(other)) == (prefix(one) == prefix(other))


def test_usual_sources_are_numbers_that_python_hashes_fast() -> None:
    assert source_key(4, 2**32 - 1, 32, 64) < 2**32
    assert source_key(6, 2**128 - 1, 32, 64) < 2**65
