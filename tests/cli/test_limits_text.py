"""superctl limits, bans and who-may as text."""

from __future__ import annotations

from typing import Any

from superd.cli.limits import bans_text, limits_text, who_may_text

STANDING: dict[str, Any] = {
    "limits": {"max_connections": 5, "rate": "10/s", "penalty_max": "10min", "on_excess": "refuse"},
    "access": {"deny": ["192.0.2.1", "192.0.2.2"], "hosts_access": False},
    "proxy_protocol": {},
    "use": {
        "max_connections": {"used": 2, "free": 3, "note": ""},
        "rate": {"used": 1, "free": 9, "note": "of the burst"},
    },
    "refused": {"minute": {"rate": 1}, "hour": {"rate": 2}, "total": {"rate": 3}},
    "busiest": [{"source": "192.0.2.7", "offers": 9, "open": 1}],
    "tuned": {"lasting": {"limits.rate": "10/s"}, "saved": [], "passing": {}},
}


def test_what_is_set_used_left_refused_and_who_comes_most() -> None:
    lines = [line.split() for line in limits_text({"ftp": STANDING}).splitlines()]
    assert lines[0] == ["ftp"]
    assert ["max_connections", "5", "2", "3"] in lines
    assert ["rate", "10/s", "1", "9", "of", "the", "burst,", "tuned"] in lines
    assert ["access.deny", "192.0.2.1,", "192.0.2.2"] in lines
    assert not any(line and line[0] == "access.hosts_access" for line in lines), "it is off"
    assert ["rate", "1", "2", "3"] in lines
    assert ["192.0.2.7", "9", "1"] in lines
    assert not any(line and line[0] == "penalty_max" for line in lines), (
        "how others are counted is no row of its own"
    )


def test_a_tuned_value_has_a_row_and_tells_when_it_ends() -> None:
    tuned = {"lasting": {}, "saved": [], "passing": {"limits.penalty_max": ["10min", 0.0]}}
    assert "tuned until " in limits_text({"ftp": {**STANDING, "tuned": tuned}})
    saved = {"lasting": {"limits.rate": "10/s"}, "saved": ["limits.rate"], "passing": {}}
    assert "tuned, saved" in limits_text({"ftp": {**STANDING, "tuned": saved}})


def test_bans() -> None:
    assert bans_text([]) == "nobody is penalised"
    rows = [
        {"source": "192.0.2.7", "service": "ftp", "seconds": 61.4, "strikes": 2},
        {"source": "2001:db8::/64", "service": "ftp", "seconds": 5.0, "strikes": 0},
    ]
    text = bans_text(rows)
    assert "1min 1s  over its rate, time 2" in text
    assert "5s       its children failed" in text


def test_who_may() -> None:
    answer = {
        "service": "ftp",
        "address": "192.0.2.7",
        "allowed": False,
        "reason": "address",
        "rule": 'deny "192.0.2.7"',
        "penalised": None,
    }
    assert who_may_text(answer) == 'ftp: 192.0.2.7 is refused (address) by deny "192.0.2.7"'
    allowed = {
        **answer,
        "allowed": True,
        "rule": "",
        "penalised": {"source": "192.0.2.0/24", "seconds": 30.0},
    }
    assert who_may_text(allowed).splitlines() == [
        "ftp: 192.0.2.7 is allowed",
        "but its source 192.0.2.0/24 is penalised for 30s yet",
    ]
