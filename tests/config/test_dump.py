"""Rules as they would be written, and read again."""

from __future__ import annotations

import io
import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from superd.config.dump import policy_tables
from superd.config.load import load
from superd.config.model import Service
from superd.config.policy_kinds import MAX_COUNT, PERIODS_NS
from superd.config.traits import traits_of
from superd.config.tuning import retune
from superd.policy.rules import NO_RATE, UNLIMITED, Access, Limits, OnExcess, ProxyProtocol, Rate

_FTP = '[services.ftp]\nlisten = ["tcp://*:21"]\nexec = ["/usr/sbin/in.ftpd"]\n'


def _service(text: str = "") -> Service:
    return load("-", stdin=io.StringIO(_FTP + text)).services["ftp"]


def _tables(service: Service, *, all_keys: bool) -> dict[str, dict[str, object]]:
    return policy_tables(service.limits, service.access, service.proxy_protocol, all_keys=all_keys)


def test_only_what_differs_from_the_defaults_is_written() -> None:
    service = _service("""
[services.ftp.limits]
max_connections = "infinity"
rate = "300/min"
on_excess = "queue"
penalty_failed = "1500ms"
max_load = 2
[services.ftp.access]
deny = ["192.0.2.66"]
hosts_access = true
""")
    assert _tables(service, all_keys=False) == {
        "limits": {
            "max_connections": "infinity",
            "rate": "300/min",
            "on_excess": "queue",
            "penalty_failed": "1s 500ms",
            "max_load": 2.0,
        },
        "access": {"deny": ["192.0.2.66"], "hosts_access": True},
        "proxy_protocol": {},
    }
    assert _tables(_service(), all_keys=False) == {"limits": {}, "access": {}, "proxy_protocol": {}}


def test_all_keys_are_those_that_can_be_written() -> None:
    tables = _tables(_service(), all_keys=True)
    assert tables == {
        "limits": {
            "max_connections": 256,
            "max_connections_per_source": 64,
            "rate": "infinity",
            "rate_per_source": "infinity",
            "source_prefix_ipv4": 32,
            "source_prefix_ipv6": 64,
            "max_sources": 100_000,
            "on_excess": "refuse",
            "penalty": "0s",
            "penalty_max": "10min",
            "penalty_failed": "0s",
            "penalty_crashed": "0s",
            "penalty_min": "15s",
            "max_load": "infinity",
        },
        "access": {"hosts_access": False},
        "proxy_protocol": {},
    }
    assert tomllib.loads(tomli_w.dumps(tables)) == tables


_COUNTS = st.integers(1, MAX_COUNT)
_OR_INFINITE = _COUNTS | st.just(UNLIMITED)
_RATES = st.just(NO_RATE) | st.builds(Rate, _COUNTS, st.sampled_from(sorted(PERIODS_NS.values())))
_MS = st.integers(0, 10**7)
_NETWORKS = st.lists(st.sampled_from(["192.0.2.0/24", "2001:db8::1", "10.0.0.0/8"]), max_size=3).map(tuple)
_HOURS = st.lists(st.sampled_from(["Mon..Fri 08:00-18:00", "22:00-06:00"]), max_size=2).map(tuple)
_PATHS = st.sampled_from(["", "/etc/x y.txt"])


@st.composite
def _rules(draw: st.DrawFn) -> tuple[Limits, Access, ProxyProtocol]:
    """Any rules that the configuration can hold."""
    longest, shorter, least = sorted(draw(st.lists(_MS, min_size=3, max_size=3)), reverse=True)
    total, each = draw(_OR_INFINITE), draw(_OR_INFINITE)
    rate, rate_per_source = draw(_RATES), draw(_RATES)
    limits = Limits(
        max_connections=total,
        max_connections_per_source=min(total, each) if total > 0 else each,
        rate=rate,
        burst=draw(_COUNTS | st.just(0)) if rate.count else 0,
        rate_per_source=rate_per_source,
        burst_per_source=draw(_COUNTS | st.just(0)) if rate_per_source.count else 0,
        source_prefix_ipv4=draw(st.integers(0, 32)),
        source_prefix_ipv6=draw(st.integers(0, 128)),
        max_sources=draw(_COUNTS),
        exempt=draw(_NETWORKS),
        on_excess=draw(st.sampled_from(OnExcess)),
        penalty_s=shorter / 1000 if rate_per_source.count else 0.0,
        penalty_max_s=longest / 1000,
        penalty_failed_s=draw(_MS) / 1000,
        penalty_crashed_s=draw(_MS) / 1000,
        penalty_min_s=least / 1000,
        max_load=draw(st.floats(0.01, 10_000) | st.just(UNLIMITED)),
        banner_limited=draw(_PATHS),
    )
    access = Access(draw(_NETWORKS), draw(_NETWORKS), draw(_HOURS), draw(st.booleans()), draw(_PATHS))
    accept_from = draw(_NETWORKS)
    return (
        limits,
        access,
        ProxyProtocol(accept_from, draw(st.integers(1, 10**6)) / 1000 if accept_from else 5.0),
    )


@pytest.mark.parametrize("all_keys", [True, False])
@given(rules=_rules())
def test_what_is_written_is_read_again(rules: tuple[Limits, Access, ProxyProtocol], all_keys: bool) -> None:
    tables = policy_tables(*rules, all_keys=all_keys)
    written = {f"{table}.{name}": value for table, names in tables.items() for name, value in names.items()}
    plain = (Limits(), Access(), ProxyProtocol())
    assert retune(*plain, traits_of(_service()), written, live=False) == rules
    text = tomli_w.dumps({"services": {"ftp": {"listen": ["tcp://*:21"], "exec": ["/x"], **tables}}})
    service = load("-", stdin=io.StringIO(text)).services["ftp"]
    assert (service.limits, service.access, service.proxy_protocol) == rules
