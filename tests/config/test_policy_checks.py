"""Keys of the policy that do not fit each other."""

from __future__ import annotations

import pytest

from superd.config.load import load
from superd.config.policy_checks import MAX_LIST_BYTES

from .conftest import Faults, Write

_FTP = '[services.ftp]\nlisten = ["tcp://*:21"]\nexec = ["/usr/sbin/in.ftpd"]\n'


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("limits.burst = 5", 'limits.burst = 5: means nothing without rate; remove it, or write rate = "50/s" too'),
        (
            "limits.burst_per_source = 5",
            "limits.burst_per_source = 5: means nothing without rate_per_source; "
            'remove it, or write rate_per_source = "60/min" too',
        ),
        (
            'limits.penalty = "5s"',
            'limits.penalty = "5s": means nothing without rate_per_source; '
            'remove it, or write rate_per_source = "60/min" too',
        ),
        (
            'proxy_protocol.timeout = "5s"',
            'proxy_protocol.timeout = "5s": means nothing without accept_from; '
            'remove it, or write accept_from = ["192.0.2.1"] too',
        ),
        (
            'limits = { rate_per_source = "1/s", penalty = "1h" }',
            'limits.penalty = "1h": longer than penalty_max ("10min"); write penalty_max = "1h" or more too',
        ),
        (
            'limits = { rate_per_source = "1/s", penalty = "1h", penalty_max = "1min" }',
            'limits.penalty_max = "1min": shorter than penalty ("1h"); write at least "1h"',
        ),
        (
            'limits = { penalty_failed = "1s", penalty_max = "10s" }',
            'limits.penalty_max = "10s": shorter than penalty_min ("15s"); write at least "15s"',
        ),
        (
            'limits = { penalty_crashed = "1s", penalty_min = "11min" }',
            'limits.penalty_min = "11min": longer than penalty_max ("10min"); write penalty_max = "11min" or more too',
        ),
        (
            "limits = { max_connections = 10, max_connections_per_source = 11 }",
            "limits.max_connections_per_source = 11: above max_connections; "
            "write at most 10, or a larger max_connections",
        ),
    ],
)  # fmt: skip
def test_a_key_that_does_not_fit_another(faults: Faults, line: str, fault: str) -> None:
    assert faults(_FTP + line) == [f"services.ftp.{fault}"]


@pytest.mark.parametrize(
    "limits",
    [
        "max_connections = 10",  # fewer than the default for one source
        'max_connections = "infinity", max_connections_per_source = 5',
        'max_connections = 5, max_connections_per_source = "infinity"',
        "max_connections = 5, max_connections_per_source = 5",
        'rate = "infinity", burst = 5',
        'penalty = "0s"',
        'penalty_max = "1s"',
    ],
)
def test_keys_that_fit_each_other(write: Write, limits: str) -> None:
    assert load(write("superd.toml", f"{_FTP}limits = {{ {limits} }}")).services


def test_a_default_is_not_blamed_for_what_a_service_lacks(write: Write) -> None:
    above = (
        "[defaults]\nlimits = { burst = 5, max_connections_per_source = 50 }\nproxy_protocol.timeout = '9s'\n"
    )
    config = load(write("superd.toml", f"{above}{_FTP}limits.max_connections = 10"))
    assert config.services["ftp"].limits.burst == 5


def test_defaults_that_do_not_fit_each_other_are_reported_once(faults: Faults) -> None:
    above = "[defaults]\nlimits = { max_connections = 5, max_connections_per_source = 50 }\n"
    assert faults(above + _FTP + _FTP.replace("ftp]", "b]").replace("21", "22")) == [
        "defaults.limits.max_connections_per_source = 50: above max_connections; "
        "write at most 5, or a larger max_connections"
    ]


def test_one_faulty_key_brings_no_second_fault(faults: Faults) -> None:
    assert faults(f'{_FTP}limits = {{ rate = "5", burst = 5, penalty = "x", rate_per_source = 9 }}') == [
        'services.ftp.limits.rate = "5": no unit; write "5/s"',
        'services.ftp.limits.penalty = "x": not a duration; write "90s" or "1h 30min"',
        'services.ftp.limits.rate_per_source = 9: no unit; write "9/s"',
    ]
    assert faults(f'{_FTP}limits = {{ rate_per_source = "1/s", penalty = "1h", penalty_max = 9 }}') == [
        'services.ftp.limits.penalty_max = 9: no unit; write "9s"'
    ]


def test_a_key_that_a_service_cannot_use_brings_no_second_fault(faults: Faults) -> None:
    assert faults(f'{_FTP}mode = "wait"\nlimits.burst_per_source = 5') == [
        'services.ftp.limits.burst_per_source = 5: only for mode = "nowait", and "wait" with datagrams alone; '
        'remove it, or use mode = "nowait"'
    ]


def test_the_lists_of_a_service_have_a_bound_together(faults: Faults, write: Write) -> None:
    networks = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(65_536)]
    size_bytes = len("".join(networks))
    fitting = f"{_FTP}access.allow = {networks}\n"
    assert load(write("superd.toml", fitting)).services
    more = networks[: len(networks) // 5]
    assert size_bytes + len("".join(more)) > MAX_LIST_BYTES
    (fault,) = faults(f"{fitting}limits.exempt = {more}")
    problem = f"the lists of the service are {size_bytes + len(''.join(more))} bytes in all"
    assert fault.startswith("services.ftp.access.allow = [")
    assert fault.endswith(f": {problem}; write larger networks, 1MiB at most")
