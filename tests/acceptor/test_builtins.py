"""The protocols of builtins, without a connection."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superd.acceptor.builtins.answers import answering_ports, cut, echoed, unanswered
from superd.acceptor.builtins.conversations import Chargen, Conversation, Echo, Once
from superd.acceptor.builtins.ident import MAX_LINE_BYTES, MAX_QUESTIONS, Ident, answer, login_name
from superd.acceptor.builtins.tcpmux import MAX_LINE_BYTES as MAX_NAME_BYTES
from superd.acceptor.builtins.tcpmux import parse_line, targets
from superd.acceptor.builtins.texts import LINE_CHARS, PATTERN, daytime, seconds_since_1900
from superd.acceptor.services import Listener, Service

from .workshop import engine, settings

# --- texts ---


def test_the_date_is_written_as_inetd_writes_it() -> None:
    assert daytime(time.gmtime(1_795_576_456)) == b"Wed Nov 25 03:14:16 2026\r\n"
    assert daytime(time.gmtime(0)) == b"Thu Jan  1 00:00:00 1970\r\n"


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        (0, 2_208_988_800),  # the examples of RFC 868 …
        (-1, 2_208_988_799),
        (631_152_000 - 315_619_200, 2_524_521_600),
        (2_085_978_495.9, 2**32 - 1),  # … and the end, on 7 February 2036
        (2_085_978_496, 0),
    ],
)
def test_the_time_is_counted_from_1900_in_32_bits(now: float, seconds: int) -> None:
    assert seconds_since_1900(now) == seconds.to_bytes(4, "big")


def test_the_pattern_moves_by_one_character_a_line_and_begins_again() -> None:
    lines = PATTERN.split(b"\r\n")[:-1]
    assert len(lines) == 95
    assert {len(line) for line in lines} == {LINE_CHARS}
    assert all(
        after.startswith(before[1:]) for before, after in zip(lines, lines[1:] + lines[:1], strict=True)
    )


# --- conversations ---


@given(st.lists(st.binary(min_size=1)))
def test_echo_says_what_it_hears(parts: list[bytes]) -> None:
    talk = Echo()
    assert [talk.heard(part) for part in parts] == parts
    assert talk.more() == b""
    talk.heard_end()
    assert talk.is_over


def test_discard_says_nothing() -> None:
    talk = Conversation()
    assert talk.heard(b"anything") == b""
    assert talk.more() == b""
    assert not talk.is_over


@given(st.lists(st.integers(0, 20_000), max_size=50))
def test_chargen_misses_nothing_however_much_is_taken_at_a_time(counts: list[int]) -> None:
    talk, read = Chargen(), b""
    for count in counts:
        block = talk.more()
        read += block[:count]
        talk.sent(min(count, len(block)))
    assert read == (PATTERN * (len(read) // len(PATTERN) + 1))[: len(read)]
    talk.heard_end()
    assert not talk.is_over
    assert talk.heard(b"x") == b""


def test_one_text_is_said_once() -> None:
    talk = Once(b"text")
    assert talk.more() == b"text"
    assert talk.is_over
    assert talk.more() == b""


# --- answers to datagrams ---


@given(st.binary(), st.binary())
def test_no_answer_is_longer_than_its_question(text: bytes, question: bytes) -> None:
    found = cut(text)(question)
    assert found is None or len(found) <= len(question)
    assert found is None or text.startswith(found)
    assert echoed(question) == question
    unanswered(question)


def test_the_ports_that_answer_are_those_of_builtins_and_low_ones() -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        program, own = Service(1, settings(), engine()), Service(2, settings(builtin="echo"), engine())
        for service in (program, own):
            service.listeners[0] = Listener(service, 0, "udp://*:1", sock, True, None)
        assert answering_ports([program]) == frozenset()
        assert answering_ports([program, own]) == {sock.getsockname()[1]}


# --- ident ---


def owner(here: int, there: int) -> str:
    if there == 13:
        raise OSError("no such module")
    return "root" if (here, there) == (6191, 23) else ""


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (b"6191, 23", "6191 , 23 : USERID : UNIX : root"),
        (b" \t6191\t,23 ", "6191 , 23 : USERID : UNIX : root"),
        (b"006191,23", "0 , 0 : ERROR : INVALID-PORT"),
        (b"23, 6191", "23 , 6191 : ERROR : NO-USER"),
        (b"0, 23", "0 , 23 : ERROR : INVALID-PORT"),
        (b"6191, 65536", "6191 , 65536 : ERROR : INVALID-PORT"),
        (b"6191, 13", "6191 , 13 : ERROR : UNKNOWN-ERROR"),
        (b"6191 23", "0 , 0 : ERROR : INVALID-PORT"),
        (b"-1, 23", "0 , 0 : ERROR : INVALID-PORT"),
        (b"6191, 23 x", "0 , 0 : ERROR : INVALID-PORT"),
        (b"", "0 , 0 : ERROR : INVALID-PORT"),
        ("٣, ٣".encode(), "0 , 0 : ERROR : INVALID-PORT"),
    ],
)
def test_ident_answers_a_question(question: bytes, said: str) -> None:
    assert answer(question, owner) == f"{said}\r\n".encode()


@given(st.binary())
def test_ident_answers_any_line_with_one_line(question: bytes) -> None:
    said = answer(question, owner)
    assert said.endswith(b"\r\n") and said.count(b"\n") == 1 and said.isascii()


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_how_ident_is_asked_in_pieces_makes_no_difference(pieces: list[bytes]) -> None:
    slowly, at_once = Ident(owner), Ident(owner)
    assert b"".join(map(slowly.heard, pieces)) == at_once.heard(b"".join(pieces))


@pytest.mark.parametrize("data", [b"1" * (MAX_LINE_BYTES + 1), b"1" * (MAX_LINE_BYTES + 1) + b"\n"])
def test_ident_has_no_patience_for_long_lines(data: bytes) -> None:
    talk = Ident(owner)
    assert talk.heard(data) == b""
    assert talk.is_over and talk.failed


def test_ident_answers_so_many_questions_of_a_connection() -> None:
    talk = Ident(owner)
    said = talk.heard(b"6191,23\r\n" * (MAX_QUESTIONS + 1))
    assert said.count(b"root") == MAX_QUESTIONS
    assert talk.is_over


def test_a_name_comes_from_the_file_of_users(tmp_path: Path) -> None:
    passwd = tmp_path / "passwd"
    passwd.write_text("broken\nroot:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:\nagain:x:1000:1::/:\n")
    assert login_name(1000, str(passwd)) == "alice"
    assert login_name(1001, str(passwd)) == "1001"
    assert login_name(0, str(tmp_path / "none")) == "0"


# --- tcpmux ---


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"cat\r\n", "cat"),
        (b"CAT\n", "cat"),
        (b"cat\r\nmore", "cat"),
        (b"\r\n", ""),
        (b"cat ", None),
        (b"", None),
    ],
)
def test_a_name_is_whole_with_its_line(data: bytes, name: str | None) -> None:
    line = parse_line(data)
    assert (line.name if line else None) == name


@given(st.binary())
def test_any_line_is_taken_to_its_end_and_no_further(data: bytes) -> None:
    end = data.find(b"\n") + 1
    try:
        line = parse_line(data)
    except ValueError:
        assert end > MAX_NAME_BYTES or (not end and len(data) >= MAX_NAME_BYTES)
        return
    assert (line.length if line else 0) == end
    assert line is None or line.length <= MAX_NAME_BYTES


def test_a_line_has_a_longest() -> None:
    assert parse_line(b"x" * (MAX_NAME_BYTES - 1)) is None
    assert parse_line(b"x" * (MAX_NAME_BYTES - 1) + b"\n") is not None
    for data in (b"x" * MAX_NAME_BYTES, b"x" * MAX_NAME_BYTES + b"\n"):
        with pytest.raises(ValueError, match="too long"):
            parse_line(data)


def test_who_can_be_asked_for_is_who_listens_there_and_is_on() -> None:
    listens = ("tcp://*:21", "tcpmux://+Ftp", "tcpmux://raw")
    on = Service(1, settings(listen=listens), engine())
    itself = Service(2, settings(listen=("tcpmux://now",), builtin="daytime"), engine())
    off = Service(3, settings(listen=("tcpmux://off",)), engine(), fault="disabled")
    gone = Service(4, settings(listen=("tcpmux://gone",)), engine(), retired=True)
    found = targets([on, itself, off, gone])
    assert {name: (target.service, target.greets) for name, target in found.items()} == {
        "ftp": (on, True),
        "raw": (on, False),
        "now": (itself, True),
    }
