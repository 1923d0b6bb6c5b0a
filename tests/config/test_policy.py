"""What ``[limits]``, ``[access]`` and ``[proxy_protocol]`` come to, and where a service can use them."""

from __future__ import annotations

import io

import pytest

from superd.config.load import load
from superd.config.model import Config, Service
from superd.policy.rules import (
    NO_RATE,
    NS_PER_S,
    UNLIMITED,
    Access,
    Limits,
    OnExcess,
    ProxyProtocol,
    Rate,
)

from .conftest import Faults

_FTP = '[services.ftp]\nlisten = ["tcp://*:21"]\nexec = ["/usr/sbin/in.ftpd"]\n'


def _load_text(text: str) -> Config:
    return load("-", stdin=io.StringIO(text))


def _service(text: str, listen: str = "tcp://*:21", mode: str = "nowait") -> Service:
    head = f'[services.x]\nlisten = ["{listen}"]\nmode = "{mode}"\nexec = ["/bin/x"]\n'
    return _load_text(head + text).services["x"]


def test_every_key_of_the_policy_reaches_its_field() -> None:
    service = _service("""
[services.x.limits]
max_connections = 1000
max_connections_per_source = "infinity"
rate = "50/s"
burst = 100
rate_per_source = "60/min"
burst_per_source = 20
source_prefix_ipv4 = 24
source_prefix_ipv6 = 56
max_sources = 1000
exempt = ["192.0.2.0/24"]
on_excess = "queue"
penalty = "30s"
penalty_max = "20min"
penalty_failed = "1s"
penalty_crashed = "90s"
penalty_min = "10s"
max_load = 8
banner_limited = "/etc/busy.txt"
[services.x.access]
allow = ["192.0.2.0/24", "2001:db8::/32", "gw.example.net"]
deny = ["192.0.2.66"]
hours = ["Mon..Fri 08:00-18:00"]
hosts_access = true
banner_denied = "/etc/denied.txt"
[services.x.proxy_protocol]
accept_from = ["10.0.0.0/8"]
timeout = "2s"
""")
    assert service.limits == Limits(
        max_connections=1000,
        max_connections_per_source=UNLIMITED,
        rate=Rate(50, NS_PER_S),
        burst=100,
        rate_per_source=Rate(60, 60 * NS_PER_S),
        burst_per_source=20,
        source_prefix_ipv4=24,
        source_prefix_ipv6=56,
        max_sources=1000,
        exempt=("192.0.2.0/24",),
        on_excess=OnExcess.QUEUE,
        penalty_s=30,
        penalty_max_s=1200,
        penalty_failed_s=1,
        penalty_crashed_s=90,
        penalty_min_s=10,
        max_load=8.0,
        banner_limited="/etc/busy.txt",
    )
    assert service.access == Access(
        allow=("192.0.2.0/24", "2001:db8::/32", "gw.example.net"),
        deny=("192.0.2.66",),
        hours=("Mon..Fri 08:00-18:00",),
        hosts_access=True,
        banner_denied="/etc/denied.txt",
    )
    assert service.proxy_protocol == ProxyProtocol(("10.0.0.0/8",), 2.0)


def test_a_service_without_a_word_about_it_has_the_policys_defaults() -> None:
    service = _service("")
    assert (service.limits, service.access, service.proxy_protocol) == (Limits(), Access(), ProxyProtocol())


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/s", Rate(1, NS_PER_S)),
        ("1000000/d", Rate(1_000_000, 86_400 * NS_PER_S)),
        ("007/h", Rate(7, 3_600 * NS_PER_S)),
        ("infinity", NO_RATE),
    ],
)
def test_a_rate_is_a_number_and_its_unit(text: str, rate: Rate) -> None:
    assert _service(f'limits.rate = "{text}"').limits.rate == rate


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        # rates
        ("rate = 10", 'rate = 10: no unit; write "10/s"'),
        ('rate = "10"', 'rate = "10": no unit; write "10/s"'),
        ('rate = "10/m"', 'rate = "10/m": unknown unit "m"; write "10/min"'),
        ('rate = "10/sec"', 'rate = "10/sec": unknown unit "sec"; write "10/s"'),
        ('rate = "10/w"', 'rate = "10/w": unknown unit "w"; write /s, /min, /h or /d'),
        ('rate = "10 / s"', 'rate = "10 / s": a blank in it; write "10/s"'),
        ('rate = "0/s"', 'rate = "0/s": out of range; write "1/s" to "1000000/s", or "infinity"'),
        ('rate = "1000001/h"', 'rate = "1000001/h": out of range; write "1/h" to "1000000/h", or "infinity"'),
        ('rate = "50 30"', 'rate = "50 30": not a rate; write "50/s", "60/min", "1000/h" or "5/d"'),
        ('rate = "-1/s"', 'rate = "-1/s": not a rate; write "50/s", "60/min", "1000/h" or "5/d"'),
        ("rate = 1.5", 'rate = 1.5: not a rate; write "50/s", "60/min", "1000/h" or "5/d"'),
        ("rate = true", 'rate = true: not a rate; write "50/s", "60/min", "1000/h" or "5/d"'),
        ('rate = "\u0661/s"', 'rate = "\u0661/s": not a rate; write "50/s", "60/min", "1000/h" or "5/d"'),
        # numbers
        ("max_connections = 0", 'max_connections = 0: out of range; write 1 to 1000000, or "infinity"'),
        (
            'max_connections = "10"',
            'max_connections = "10": not an integer; write 1 to 1000000, without quotes, or "infinity"',
        ),
        (
            "max_connections_per_source = true",
            "max_connections_per_source = true: not an integer; "
            'write 1 to 1000000, without quotes, or "infinity"',
        ),
        ('rate = "1/s"\nlimits.burst = 0', "burst = 0: out of range; write 1 to 1000000"),
        ("source_prefix_ipv4 = 33", "source_prefix_ipv4 = 33: out of range; write 0 to 32"),
        ("source_prefix_ipv6 = 129", "source_prefix_ipv6 = 129: out of range; write 0 to 128"),
        ('max_sources = "infinity"', 'max_sources = "infinity": not an integer; write 1 to 1000000, without quotes'),
        ("max_load = 0", 'max_load = 0: out of range; write 0.01 to 10000, or "infinity"'),
        ("max_load = nan", 'max_load = nan: out of range; write 0.01 to 10000, or "infinity"'),
        ("max_load = inf", 'max_load = inf: out of range; write 0.01 to 10000, or "infinity"'),
        ('max_load = "8"', 'max_load = "8": not a number; write it as 8.0, without quotes, or "infinity"'),
        # words, times and paths
        (
            'on_excess = "drop"',
            'on_excess = "drop": not one of its words; write "refuse", "reset" or "queue"',
        ),
        ("penalty = 30", 'penalty = 30: no unit; write "30s"'),
        ('penalty_max = "infinity"', 'penalty_max = "infinity": may not be infinite; write "90s" or "1h 30min"'),
        (
            'banner_limited = "busy.txt"',
            'banner_limited = "busy.txt": not an absolute path; write a path that starts with /',
        ),
        # whom
        ('exempt = "192.0.2.1"', 'exempt = "192.0.2.1": not a list; write ["192.0.2.1"]'),
        ("exempt = 1", 'exempt = 1: not a list; write ["192.0.2.0/24"]'),
        ("exempt = []", "exempt = []: an empty list; remove the key, or name somebody"),
        ("exempt = [1]", 'exempt = 1: not a string; write "1"'),
        ('exempt = ["gw.example.net"]', 'exempt = "gw.example.net": a host name; write its address'),
        ("connections = 5", "connections: unknown key; did you mean max_connections?"),
    ],
)  # fmt: skip
def test_a_faulty_limit(faults: Faults, line: str, fault: str) -> None:
    assert faults(f"{_FTP}limits.{line}") == [f"services.ftp.limits.{fault}"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("192.0.2.1/24", 'bits set beyond the first 24; write "192.0.2.0/24" or "192.0.2.1"'),
        ("::ffff:192.0.2.0/120", 'IPv4 written as IPv6; write "192.0.2.0/24"'),
        ("10.0.0.0/255.0.0.0", 'a netmask; write "10.0.0.0/8"'),
        ("10.", 'not a whole address; write "10.0.0.0/8"'),
        ("0.0.0.0", 'an address that nobody has; write "0.0.0.0/0" if everyone is meant'),
        ("ALL", 'a word; write "0.0.0.0/0", "::/0" if everyone is meant'),
        ("*", 'a word; write "0.0.0.0/0", "::/0" if everyone is meant'),
        (".example.net", "hosts by their names; write the networks that they are in"),
        ("gw.example.net.", 'a dot at its end; write "gw.example.net"'),
        ("127.1", "not an IPv4 address; write four numbers of 0 to 255, without leading zeros"),
        ("a_b", 'not a host name, address or network; write "192.0.2.1" or "192.0.2.0/24"'),
        ("", 'not a host name, address or network; write "192.0.2.1" or "192.0.2.0/24"'),
    ],
)
def test_who_is_nobody_in_a_list(faults: Faults, text: str, fault: str) -> None:
    assert faults(f'{_FTP}access.deny = ["192.0.2.9", "{text}"]') == [
        f'services.ftp.access.deny = "{text}": {fault}'
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("access.allow = []", "access.allow = []: an empty list; remove the key, or name somebody"),
        ("access.deny = []", "access.deny = []: an empty list; remove the key, or name somebody"),
        ("access.hours = []", "access.hours = []: an empty list; remove the key, or say when"),
        (
            "proxy_protocol.accept_from = []",
            "proxy_protocol.accept_from = []: an empty list; remove the key, or name somebody",
        ),
        (
            'proxy_protocol.accept_from = ["proxy"]',
            'proxy_protocol.accept_from = "proxy": a host name; write its address',
        ),
        (
            'access.allow = "192.0.2.0/24, 10.0.0.1"',
            'access.allow = "192.0.2.0/24, 10.0.0.1": not a list; write ["192.0.2.0/24", "10.0.0.1"]',
        ),
        (
            'access.hours = "Mon..Fri 08:00-18:00"',
            'access.hours = "Mon..Fri 08:00-18:00": not a list; write ["Mon..Fri 08:00-18:00"]',
        ),
        (
            'access.hours = ["Mon-Fri 08:00-18:00"]',
            'access.hours = "Mon-Fri 08:00-18:00": weekdays not joined by ".."; write "Mon..Fri 08:00-18:00"',
        ),
        ('access.hosts_access = "yes"', 'access.hosts_access = "yes": not a boolean; write true or false'),
        (
            'proxy_protocol.timeout = "0s"\nproxy_protocol.accept_from = ["10.0.0.1"]',
            'proxy_protocol.timeout = "0s": too short; write at least "1ms"',
        ),
        (
            f'access.allow = ["{"a" * 1_001}"]',
            f'access.allow = "{"a" * 78}…: too long; use at most 1000 characters an item',
        ),
    ],
)
def test_a_faulty_list(faults: Faults, line: str, fault: str) -> None:
    assert faults(_FTP + line) == [f"services.ftp.{fault}"]


_WHERE_PEERS_ARE_SEEN = (
    "limits.max_connections_per_source = 5",
    'limits.rate_per_source = "5/s"',
    "limits.source_prefix_ipv4 = 24",
    "limits.source_prefix_ipv6 = 56",
    "limits.max_sources = 5",
    'limits.exempt = ["192.0.2.1"]',
    'limits.penalty_max = "5s"',
    'limits.penalty_failed = "5s"',
    'limits.penalty_crashed = "5s"',
    'limits.penalty_min = "5s"',
    'access.allow = ["192.0.2.1"]',
    'access.deny = ["192.0.2.1"]',
    'access.hours = ["08:00-18:00"]',
    "access.hosts_access = true",
)
_WHERE_CONNECTIONS_ARE_SEEN = (
    "limits.max_connections = 5",
    'limits.on_excess = "reset"',
    'limits.banner_limited = "/x"',
    'access.banner_denied = "/x"',
    'proxy_protocol.accept_from = ["192.0.2.1"]',
)


def _head(listen: str, mode: str) -> str:
    return f'[services.x]\nlisten = [{listen}]\nmode = "{mode}"\nexec = ["/bin/x"]\n'


@pytest.mark.parametrize("line", _WHERE_PEERS_ARE_SEEN)
@pytest.mark.parametrize(
    ("listen", "mode"), [('"tcp://*:1"', "wait"), ('"udp://*:1"', "always"), ('"udp://*:1", "tcp://*:1"', "wait")]
)  # fmt: skip
def test_what_is_said_of_peers_is_a_fault_where_superd_never_sees_them(
    faults: Faults, line: str, listen: str, mode: str
) -> None:
    assert faults(_head(listen, mode) + line) == [
        f'services.x.{line}: only for mode = "nowait", and "wait" with datagrams alone; '
        'remove it, or use mode = "nowait"'
    ]


@pytest.mark.parametrize("line", _WHERE_PEERS_ARE_SEEN)
def test_peers_are_seen_with_nowait_and_as_the_first_datagram_of_wait(line: str) -> None:
    for listen, mode in (('"tcp://*:1"', "nowait"), ('"udp://*:1"', "nowait"), ('"udp://*:1"', "wait")):
        assert _load_text(_head(listen, mode) + line).services


@pytest.mark.parametrize("line", _WHERE_CONNECTIONS_ARE_SEEN)
def test_what_is_said_of_connections_needs_a_child_for_each(faults: Faults, line: str) -> None:
    assert _load_text(_head('"tcp://*:1"', "nowait") + line).services
    for mode in ("wait", "always"):
        (fault,) = faults(_head('"tcp://*:1"', mode) + line)
        assert fault == f'services.x.{line}: only for mode = "nowait"; remove it, or use mode = "nowait"'


@pytest.mark.parametrize(
    ("line", "listen", "need"),
    [
        ('limits.banner_limited = "/x"', "udp://*:1", "stream listeners"),
        ('access.banner_denied = "/x"', "udp://*:1", "stream listeners"),
        ('proxy_protocol.accept_from = ["192.0.2.1"]', "unix:///run/x", "tcp listeners"),
        ('access.allow = ["192.0.2.1"]', "unix:///run/x", "tcp and udp listeners"),
        ("access.hosts_access = true", "unix:///run/x", "tcp and udp listeners"),
        ('limits.exempt = ["192.0.2.1"]', "unix:///run/x", "tcp and udp listeners"),
    ],
)
def test_what_is_said_of_addresses_needs_listeners_that_have_them(
    faults: Faults, line: str, listen: str, need: str
) -> None:
    assert faults(_head(f'"{listen}"', "nowait") + line) == [f"services.x.{line}: only for {need}; remove it"]


@pytest.mark.parametrize("mode", ["nowait", "wait", "always"])
def test_rate_and_load_are_for_every_mode(mode: str) -> None:
    limits = _service('limits = { rate = "5/min", burst = 2, max_load = 9.5 }', mode=mode).limits
    assert (limits.rate, limits.burst, limits.max_load) == (Rate(5, 60 * NS_PER_S), 2, 9.5)


def test_a_default_of_the_policy_is_ignored_where_it_means_nothing() -> None:
    text = f"""
[defaults.limits]
max_connections = 5
rate_per_source = "5/s"
burst_per_source = 7
penalty = "1h"
penalty_max = "2h"
max_load = 3
[defaults.access]
allow = ["192.0.2.0/24"]
[defaults.proxy_protocol]
accept_from = ["192.0.2.1"]
{_FTP}
{_head('"unix:///run/x"', "always")}
"""
    services = _load_text(text).services
    assert services["x"].limits == Limits(max_load=3)
    assert (services["x"].access, services["x"].proxy_protocol) == (Access(), ProxyProtocol())
    assert services["ftp"].limits.max_connections == 5
    assert services["ftp"].limits.penalty_s == 3_600
    assert services["ftp"].access == Access(("192.0.2.0/24",))


def test_lists_replace_and_keys_merge() -> None:
    above = '[defaults]\naccess = { allow = ["192.0.2.1", "192.0.2.2"], deny = ["192.0.2.3"] }\n'
    service = _load_text(f'{above}{_FTP}access.allow = ["10.0.0.0/8"]').services["ftp"]
    assert service.access == Access(("10.0.0.0/8",), ("192.0.2.3",))
