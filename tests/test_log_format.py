"""The forms of a line: whatever a stranger puts into a field, one harmless line comes out."""

import json
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.log import Connection, End, Event, EventName, Forwarded, ForwardEnd, Level, SinkKind, Value
from superd.log.escape import MAX_VALUE_CHARS
from superd.log.lines import Lines
from superd.log.sink import lines_for

NOW = 1795559101.125  # 2026-11-24T22:25:01.125Z
DAEMON = 3

any_text = st.text(st.characters(exclude_categories=()))  # lone surrogates too: bytes that were not UTF-8
keys = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True).filter(
    lambda key: key not in {"time", "level", "event", "message"}
)
any_value = any_text | st.integers() | st.floats()
any_event = st.builds(
    Event, st.sampled_from(Level), st.sampled_from(EventName), st.dictionaries(keys, any_value), any_text
)
connections = st.builds(
    Connection, any_text, any_text, st.integers(0, 65535), st.integers(1, 2**22), any_text
)
ends = st.builds(
    End,
    any_text,
    any_text,
    st.integers(1, 2**22),
    any_text,
    st.sampled_from(["clean", "failed", "signalled"]),
    st.integers(0, 255) | st.sampled_from(["SIGTERM", "SIGKILL"]),
    st.integers(0, 10**9).map(lambda ms: ms / 1000),
    st.integers(0, 10**9).map(lambda us: us / 1000000),
    st.none() | st.integers(0, 2**40),
)

forwarded = st.builds(Forwarded, any_text, any_text, st.integers(0, 65535), any_text, any_text)
forward_ends = st.builds(
    ForwardEnd,
    any_text,
    any_text,
    any_text,
    any_text,
    any_text,
    any_text,
    st.integers(0, 2**60),
    st.integers(0, 2**60),
    st.integers(0, 10**9).map(lambda ms: ms / 1000),
)


def lines(kind: SinkKind = SinkKind.FILE, log_format: str = "text") -> Lines:
    return lines_for(kind, log_format, DAEMON, 4711)


def read_logfmt(line: str) -> dict[str, str]:
    """A line of text as a log reader would take it apart; the first two words are time and event."""
    when, event, rest = (line.rstrip("\n") + " ").split(" ", 2)
    found: dict[str, str] = {"time": when, "event": event}
    while rest:
        match = re.match(r'([a-z0-9_]+)=(?:"((?:[^"\\]|\\.)*)"|([^ "=]*)) ', rest)
        assert match, rest
        found[match[1]] = match[3] if match[2] is None else unescape(match[2])
        rest = rest[match.end() :]
    return found


def unescape(text: str) -> str:
    short = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}

    def char(match: re.Match[str]) -> str:
        code = match[1]
        return short[code] if code in short else chr(int(code[1:], 16))

    return re.sub(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", char, text)


def test_text_line_reads_as_documented() -> None:
    record = lines().connection(NOW, Connection("ssh", "192.0.2.1", 5022, 4711, "1-8"))
    assert record == (
        b"2026-11-24T22:25:01.125Z connection service=ssh source=192.0.2.1 port=5022 pid=4711 id=1-8\n"
    )


def test_end_tells_status_duration_and_cost() -> None:
    ended = End("ssh", "2001:db8::1", 4711, "1-8", "clean", 0, 1.5, 0.0025, 2097152)
    assert lines().end(NOW, ended) == (
        b"2026-11-24T22:25:01.125Z end service=ssh source=2001:db8::1 pid=4711 id=1-8 outcome=clean status=0"
        b" duration=1.500 cpu=0.002500 memory=2097152\n"
    )


def test_a_forward_tells_its_backend_and_who_broke_it_off() -> None:
    began = Forwarded("web", "192.0.2.1", 5022, "tcp://192.0.2.7:80", "1-8")
    assert lines().forwarded(NOW, began) == (
        b"2026-11-24T22:25:01.125Z connection service=web source=192.0.2.1 port=5022"
        b" backend=tcp://192.0.2.7:80 id=1-8\n"
    )
    ended = ForwardEnd("web", "192.0.2.1", "1-8", "reset", "backend", "Broken pipe", 5, 8, 1.5)
    assert lines().forward_end(NOW, ended) == (
        b"2026-11-24T22:25:01.125Z end service=web source=192.0.2.1 id=1-8 outcome=reset by=backend"
        b' error="Broken pipe" received=5 sent=8 duration=1.500\n'
    )


def test_end_by_signal_names_it_and_leaves_out_what_is_unknown() -> None:
    ended = End("ssh", "192.0.2.1", 4711, "1-8", "signalled", "SIGKILL", 1.5, 0.0025)
    record = lines().end(NOW, ended).decode()
    assert " signal=SIGKILL " in record
    assert "status=" not in record
    assert "memory=" not in record


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("a\nb\tc\r", r'"a\nb\tc\r"'),
        ("\x1b[31mred", r'"\x1b[31mred"'),
        ("\x9b31m", r'"\u009b31m"'),
        ("\u202egnp.exe", r'"\u202egnp.exe"'),
        ("\U000e0001", r'"\U000e0001"'),
        (b"\xffraw".decode("utf-8", "surrogateescape"), r'"\xffraw"'),
        ("\ud800", r'"\ud800"'),
        ("größer", "größer"),
        (5, "5"),
        (0.25, "0.25"),
    ],
)
def test_text_escapes_what_could_mislead(value: Value, shown: str) -> None:
    record = lines().event(NOW, Event(Level.INFO, EventName.OUTPUT, {"line": value}))
    assert record.decode() == f"2026-11-24T22:25:01.125Z output line={shown}\n"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (Level.ERR, " level=err"),
        (Level.WARNING, " level=warning"),
        (Level.NOTICE, ""),
        (Level.INFO, ""),
        (Level.DEBUG, " level=debug"),
    ],
)
def test_text_shows_an_unusual_level(level: Level, shown: str) -> None:
    assert lines().event(NOW, Event(level, EventName.STATE)).decode().endswith(f"Z state{shown}\n")


@pytest.mark.parametrize("key", ["time", "level", "event", "message", "a b", "a=b", "A", "", "a\n", "ä"])
def test_key_that_could_forge_is_an_error(key: str) -> None:
    with pytest.raises(ValueError, match="log field"):
        Event(Level.INFO, EventName.STATE, {key: 1})


@pytest.mark.parametrize("log_format", ["text", "json"])
@given(event=any_event)
def test_any_event_is_one_harmless_line(log_format: str, event: Event) -> None:
    line = lines(log_format=log_format).event(NOW, event).decode()
    assert line.endswith("\n")
    assert line[:-1].isprintable()


@given(fields=st.dictionaries(keys, st.text()), message=st.text(min_size=1))
def test_text_gives_back_what_was_said(fields: dict[str, str], message: str) -> None:
    record = lines().event(NOW, Event(Level.INFO, EventName.OUTPUT, fields, message))
    fixed = {"time": "2026-11-24T22:25:01.125Z", "event": "output"}
    assert read_logfmt(record.decode()) == fixed | fields | {"message": message}


@given(
    fields=st.dictionaries(keys, st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
)
def test_json_gives_back_what_was_said(fields: dict[str, Value]) -> None:
    record = lines(log_format="json").event(NOW, Event(Level.WARNING, EventName.OUTPUT, fields, "hi"))
    fixed = {"time": "2026-11-24T22:25:01.125Z", "level": "warning", "event": "output"}
    assert json.loads(record) == fixed | fields | {"message": "hi"}


@given(event=any_event)
def test_json_is_strict(event: Event) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(lines(log_format="json").event(NOW, event), parse_constant=refuse)
    for value in found.values():
        assert not re.search("[\ud800-\udfff]", str(value))


@given(began=connections, ended=ends)
def test_hot_json_lines_equal_those_of_any_event(began: Connection, ended: End) -> None:
    layout = lines(log_format="json")
    assert layout.connection(NOW, began) == layout.event(NOW, began.event())
    assert json.loads(layout.end(NOW, ended)) == json.loads(layout.event(NOW, ended.event()))


@given(began=forwarded, ended=forward_ends)
def test_hot_lines_of_forwards_equal_those_of_any_event(began: Forwarded, ended: ForwardEnd) -> None:
    text, as_json = lines(), lines(log_format="json")
    for layout in (text, as_json):
        assert layout.forwarded(NOW, began) == layout.event(NOW, began.event())
    assert json.loads(as_json.forward_end(NOW, ended)) == json.loads(as_json.event(NOW, ended.event()))
    hot, usual = (
        read_logfmt(record.decode())
        for record in (text.forward_end(NOW, ended), text.event(NOW, ended.event()))
    )
    assert float(hot.pop("duration")) == float(usual.pop("duration"))
    assert list(hot.items()) == list(usual.items())


@given(began=connections, ended=ends)
def test_hot_text_lines_equal_those_of_any_event(began: Connection, ended: End) -> None:
    layout = lines()
    assert layout.connection(NOW, began) == layout.event(NOW, began.event())
    hot, usual = read_logfmt(layout.end(NOW, ended).decode()), ended.event().fields
    assert {key: hot[key] for key in ("pid", "outcome")} == {
        key: str(usual[key]) for key in ("pid", "outcome")
    }
    assert float(hot["duration"]) == usual["duration"]
    assert float(hot["cpu"]) == usual["cpu"]
    assert list(hot) == ["time", "event", *usual]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_endless_text_is_cut(log_format: str) -> None:
    event = Event(Level.INFO, EventName.OUTPUT, {"line": "x" * 100_000}, "y" * 100_000)
    assert len(lines(log_format=log_format).event(NOW, event)) < 2 * MAX_VALUE_CHARS + 200
    began = Connection("x" * 100_000, "y" * 100_000, 1, 2, "1-1")
    assert len(lines(log_format=log_format).connection(NOW, began)) < 2 * MAX_VALUE_CHARS + 200


def test_longest_line_of_a_child_is_not_cut() -> None:
    text = "x" * 8192
    record = lines().event(NOW, Event(Level.INFO, EventName.OUTPUT, {}, text))
    assert record.decode().endswith(f"message={text}\n")


def test_time_follows_the_clock_across_seconds() -> None:
    layout = lines()
    event = Event(Level.INFO, EventName.STATE)
    shown = [layout.event(now, event).split(b" ")[0] for now in (NOW, NOW + 0.5, NOW + 1, NOW - 3600)]
    assert shown == [
        b"2026-11-24T22:25:01.125Z",
        b"2026-11-24T22:25:01.625Z",
        b"2026-11-24T22:25:02.125Z",
        b"2026-11-24T21:25:01.125Z",
    ]


def test_stream_of_the_journal_gets_priority_and_no_time() -> None:
    record = lines(SinkKind.JOURNAL_STREAM).event(NOW, Event(Level.ERR, EventName.ERROR, {"fault": 1}))
    assert record == b"<3>error level=err fault=1\n"


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_syslog_head() -> None:
    event = Event(Level.NOTICE, EventName.START)
    assert lines(SinkKind.SYSLOG).event(NOW, event) == b"<29>Nov 24 22:25:01 superd[4711]: start"
    early = NOW - 22 * 86400
    assert lines(SinkKind.SYSLOG).event(early, event) == b"<29>Nov  2 22:25:01 superd[4711]: start"
    assert lines(SinkKind.SYSLOG_STREAM).event(NOW, event).endswith(b"start\0")


def test_syslog_facility() -> None:
    layout = lines_for(SinkKind.SYSLOG, "text", 16, 1)
    assert layout.event(NOW, Event(Level.INFO, EventName.START)).startswith(b"<134>")


def test_syslog_takes_json_after_the_head() -> None:
    record = lines(SinkKind.SYSLOG, "json").event(NOW, Event(Level.INFO, EventName.START, {"a": 1}))
    assert json.loads(record.split(b": ", 1)[1])["a"] == 1
