"""What is written: TOML that superd takes, with each remark where it belongs."""

from __future__ import annotations

import tomllib

from superd.config.legacy.carried import Carried, Comment, Fate, Origin, Remark, ServiceTable
from superd.config.legacy.fitting import fit
from superd.config.legacy.joining import join
from superd.config.legacy.write import to_toml


def port_of(name: str, transport: str) -> int | None:
    return {"ftp": 21, "ssh": 22}.get(name)


def service(name: str, line: int, **keys: object) -> ServiceTable:
    tables = {"exec": ["/bin/cat"], "user": "nobody", "listen": [f"tcp://*:{line}"], **keys}
    return ServiceTable(name, tables, Origin("old.conf", line, f"line {line}"))


def remark(line: int, fate: Fate, reason: str, of: str = "", key: str = "") -> Remark:
    return Remark(Origin("old.conf", line, f"line {line}"), fate, reason, of, key)


def carried(*services: ServiceTable, **parts: object) -> Carried:
    return Carried("somebody", services=services, files=("old.conf",), **parts)  # type: ignore[arg-type]


def test_what_is_written_is_read_back_as_it_was() -> None:
    odd = ["/bin/a b", '"', "\\", "\x1b[2J", "\x7f", "\u202e", "é"]
    made = carried(
        service("one", 1, exec=odd, limits={"rate": "50/s"}, environment={"A": "x", "B": "\t"}),
        service("two", 2, enabled=False, nice=5),
        settings={"log": "syslog"},
        defaults={"standard_error": "log", "limits": {"rate": "256/min"}},
    )
    assert tomllib.loads(to_toml(made)) == made.as_toml()


def test_keys_stand_in_the_order_of_the_manual() -> None:
    text = to_toml(carried(service("one", 1, access={"deny": ["::1"]}, limits={"burst": 3, "rate": "1/s"})))
    keys = [line.split(" =")[0] for line in text.splitlines() if " = " in line]
    assert keys == ["listen", "exec", "user", "rate", "burst", "deny"]


def test_a_remark_stands_above_its_key() -> None:
    made = carried(
        service("one", 1, limits={"rate": "1/s"}),
        remarks=(remark(1, Fate.NOTED, "it is slow", "one", "limits.rate"),),
    )
    assert "# it is slow\nrate = " in to_toml(made)


def test_comments_and_lost_lines_stand_where_they_stood() -> None:
    made = carried(
        service("one", 3),
        service("two", 7),
        comments=(Comment(Origin("old.conf", 2), " mine"), Comment(Origin("old.conf", 9), " last")),
        remarks=(remark(5, Fate.FAULT, "too short"),),
    )
    lines = [line for line in to_toml(made).splitlines()[2:] if line.startswith(("#", "["))]
    assert lines == [
        "# mine",
        "[services.one]",
        "# fault: too short",
        "#  line 5",
        "[services.two]",
        "# last",
    ]


def test_a_comment_cannot_break_out_of_its_line() -> None:
    made = carried(service("one", 1), comments=(Comment(Origin("old.conf", 1), "a\x0bb\x1b[2J\x85"),))
    assert tomllib.loads(to_toml(made)) == made.as_toml()
    assert "\x1b" not in to_toml(made)


def test_a_key_that_superd_does_not_know_is_reported() -> None:
    made = fit(carried(service("one", 1, frobnicate=3, limits={"rate": "1/s", "odd": 1})), port_of)
    assert [(one.fate, one.key) for one in made.remarks] == [
        (Fate.NOT_CARRIED, "frobnicate"),
        (Fate.NOT_CARRIED, "limits.odd"),
    ]
    assert dict(made.services[0].tables) == dict(service("one", 1, limits={"rate": "1/s"}).tables)


def test_a_service_with_a_fault_remains_as_a_comment() -> None:
    made = fit(carried(service("one", 1, nice=99), service("two", 2)), port_of)
    assert [one.name for one in made.served] == ["two"]
    assert [(one.fate, one.service, one.key) for one in made.remarks] == [(Fate.FAULT, "one", "nice")]
    text = to_toml(made)
    assert list(tomllib.loads(text)["services"]) == ["two"]
    assert "#  [services.one]" in text


def test_the_second_service_on_a_port_is_switched_off() -> None:
    made = fit(carried(service("one", 1), service("two", 2, listen=["tcp4://*:1"])), port_of)
    assert [one.tables.get("enabled", True) for one in made.services] == [True, False]
    assert made.remarks[0].fate is Fate.FAULT
    assert made.remarks[0].reason.startswith('listen = "tcp4://*:1": services.one listens there too')


def test_a_service_that_forwards_to_itself_is_switched_off() -> None:
    tables = {"listen": ["tcp://127.0.0.1:80"], "forward": "tcp://127.0.0.1:80"}
    made = fit(carried(ServiceTable("loop", tables, Origin("old.conf", 1))), port_of)
    assert made.services[0].tables["enabled"] is False
    assert "leads back" in made.remarks[0].reason


def test_files_that_name_a_service_alike_both_have_it() -> None:
    first = carried(service("ftp", 1), defaults={"nice": 1})
    other = carried(service("ftp", 2), remarks=(remark(2, Fate.NOTED, "odd", "ftp"),), defaults={"nice": 2})
    both = join([first, other])
    assert {one.name: one.tables["nice"] for one in both.services} == {"ftp": 1, "ftp-2": 2}
    assert both.remarks[0].service == "ftp-2"


def test_a_default_moves_only_into_services_that_can_use_it() -> None:
    defaults = {"limits": {"rate_per_source": "1/s", "rate": "9/min"}}
    first = carried(service("one", 1, mode="wait"), service("two", 2), defaults=defaults)
    both = join([first, carried(service("three", 3))])
    assert [dict(one.tables).get("limits") for one in both.services] == [
        {"rate": "9/min"},
        {"rate_per_source": "1/s", "rate": "9/min"},
        None,
    ]
    assert not fit(both, port_of).remarks
