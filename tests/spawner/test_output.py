"""A child's standard error becomes lines of the log: whole, bounded, and never too many."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from helpers.forked import descriptors
from hypothesis import given
from hypothesis import strategies as st

from superd.spawner.output import BURST_LINES, LINES_PER_SECOND, YOUNG_S, LineRate, Outputs
from superd.wire.codec import Direction
from superd.wire.messages import MAX_OUTPUT_BYTES, Output
from superd.wire.table import Role

TO_ACCEPTOR = Direction.of(Role.SPAWNER, Role.ACCEPTOR)


class Pipe:
    """A child's pipe, and the outputs that read it."""

    def __init__(self) -> None:
        self.outputs = Outputs()
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.outputs.add(self.reader, 7, 4711, 4711, 0.0)

    def write(self, data: bytes, now: float = 0.0) -> list[Output]:
        """Write, and read as often as it takes."""
        told = []
        while data:
            data = data[os.write(self.writer, data) :]
            told += self.read(now)
        return told

    def read(self, now: float = 0.0) -> list[Output]:
        messages, _ = self.outputs.read(self.reader, now)
        for message in messages:
            assert TO_ACCEPTOR.decode(TO_ACCEPTOR.encode(message), 0) == message, "it fits its packet"
        return messages

    def end(self) -> list[Output]:
        os.close(self.writer)
        self.writer = -1
        return self.read()

    def close(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
        if self.reader in self.outputs:
            os.close(self.reader)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def lines(messages: list[Output]) -> list[str]:
    return [line for message in messages for line in message.lines]


def test_a_line_is_told_with_its_childs_id_and_pid(pipe: Pipe) -> None:
    assert pipe.write(b"hello\n") == [Output(7, 4711, ("hello",), 0)]


def test_a_line_in_pieces_is_one_line(pipe: Pipe) -> None:
    assert pipe.write(b"hel") == []
    assert pipe.write(b"lo\nwor") == [Output(7, 4711, ("hello",), 0)]
    assert pipe.write(b"ld\n\n\n") == [Output(7, 4711, ("world",), 0)]


def test_what_has_no_line_end_is_told_at_the_end(pipe: Pipe) -> None:
    assert pipe.write(b"last words") == []
    before = descriptors()
    assert pipe.end() == [Output(7, 4711, ("last words",), 0)]
    assert before - descriptors() >= {pipe.reader}
    assert len(pipe.outputs) == 0


def test_nothing_to_read_is_no_end(pipe: Pipe) -> None:
    assert pipe.outputs.read(pipe.reader, 0.0) == ([], False)
    assert len(pipe.outputs) == 1


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"caf\xc3\xa9\n", "caf\u00e9"),
        (b"caf\xe9\n", "caf\\xe9"),
        (b"\xff\xfe\0x\n", "\\xff\\xfe\0x"),
        (b"\xed\xa0\x80\n", "\\xed\\xa0\\x80"),  # a surrogate, which UTF-8 has not
    ],
)
def test_bytes_that_are_no_utf8_are_shown_as_such(pipe: Pipe, data: bytes, line: str) -> None:
    assert lines(pipe.write(data)) == [line]


def test_a_character_in_two_pieces_is_whole(pipe: Pipe) -> None:
    pipe.write(b"caf\xc3")
    assert lines(pipe.write(b"\xa9\n")) == ["caf\u00e9"]


@pytest.mark.parametrize("length", [MAX_OUTPUT_BYTES - 1, MAX_OUTPUT_BYTES])
def test_a_line_of_8_kib_is_kept_whole(pipe: Pipe, length: int) -> None:
    assert lines(pipe.write(b"x" * length + b"\n")) == ["x" * length]


@pytest.mark.parametrize("chunk", [1000, MAX_OUTPUT_BYTES, 60_000])
def test_a_longer_line_is_cut_into_pieces_of_8_kib_however_it_is_written(pipe: Pipe, chunk: int) -> None:
    data = b"x" * (MAX_OUTPUT_BYTES * 5 + 10) + b"\n"
    told = []
    for cut in range(0, len(data), chunk):
        told += lines(pipe.write(data[cut : cut + chunk]))
    assert [len(line) for line in told] == [MAX_OUTPUT_BYTES] * 5 + [10]


def test_a_child_that_never_ends_its_line_costs_bounded_memory(pipe: Pipe) -> None:
    for _ in range(100):
        told = lines(pipe.write(b"x" * MAX_OUTPUT_BYTES))
        assert sum(map(len, told)) <= 2 * MAX_OUTPUT_BYTES
    assert sum(map(len, lines(pipe.end()))) <= MAX_OUTPUT_BYTES


@given(
    st.lists(
        st.one_of(
            st.tuples(st.binary(max_size=60), st.just(1)),
            # more lines at once than the burst would be counted instead of told
            st.tuples(
                st.binary(min_size=1, max_size=4).map(lambda data: data.replace(b"\n", b"n")), st.just(3000)
            ),
        ),
        max_size=12,
    )
)
def test_every_byte_is_told_in_order_and_every_message_fits_its_packet(
    pieces: list[tuple[bytes, int]],
) -> None:
    written = [data * times for data, times in pieces]
    pipe = Pipe()
    told = [line for data in written for line in lines(pipe.write(data))]
    told += lines(pipe.end())
    expected = "".join(piece.decode("utf-8", "backslashreplace") for piece in b"".join(written).split(b"\n"))
    assert all(0 < len(line.encode()) <= 4 * MAX_OUTPUT_BYTES for line in told)
    if "\\x" not in expected:  # a cut may fall within a character, whose bytes are then shown as such
        assert "".join(told) == expected


@pytest.mark.parametrize("data", [b"\x01" * 60_000, b"\xff" * 60_000, b'"' * 60_000, b"\\\n" * 900])
def test_output_that_grows_in_json_still_fits(pipe: Pipe, data: bytes) -> None:
    told = pipe.write(data) + pipe.end()
    assert sum(message.lost for message in told) == 0
    assert told


# --- too much of it ---


def test_lines_beyond_the_burst_are_counted_and_not_told(pipe: Pipe) -> None:
    told = pipe.write(b"x\n" * (BURST_LINES + 50))
    assert len(lines(told)) == BURST_LINES
    assert sum(message.lost for message in told) == 50
    assert pipe.write(b"x\n" * 3) == [Output(7, 4711, (), 3)]


def test_the_rate_comes_back_with_time(pipe: Pipe) -> None:
    pipe.write(b"x\n" * BURST_LINES)
    assert len(lines(pipe.write(b"y\n" * LINES_PER_SECOND, now=0.5))) == LINES_PER_SECOND // 2
    assert len(lines(pipe.write(b"z\n" * BURST_LINES, now=1000.0))) == BURST_LINES


@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 2000)), max_size=30),
    st.floats(0, 1e6),
)
def test_in_any_time_no_more_lines_pass_than_burst_and_rate_allow(
    steps: list[tuple[float, int]], start: float
) -> None:
    rate, now, passed = LineRate(), start, []
    for pause, wanted in steps:
        now += pause
        passing = rate.take(wanted, now)
        assert 0 <= passing <= wanted
        passed.append((now, passing))
    for first, (since, _) in enumerate(passed):
        for last in range(first, len(passed)):
            total = sum(count for _, count in passed[first : last + 1])
            assert total <= BURST_LINES + LINES_PER_SECOND * (passed[last][0] - since) + 1


# --- which pipes are worth watching ---


def test_a_pipe_is_watched_once_it_is_no_longer_young(pipe: Pipe) -> None:
    assert pipe.outputs.next_grown() == YOUNG_S
    assert pipe.outputs.grown(YOUNG_S / 2) == []
    assert pipe.outputs.grown(YOUNG_S) == [pipe.reader]
    assert pipe.outputs.grown(YOUNG_S * 2) == [], "once"
    assert pipe.outputs.next_grown() is None
    assert pipe.outputs.ended(4711) is None, "it is watched: its end will be seen there"


def test_the_pipe_of_a_child_that_ended_young_is_read_at_once(pipe: Pipe) -> None:
    assert pipe.outputs.ended(4711) == pipe.reader
    assert pipe.outputs.grown(YOUNG_S * 2) == []
    assert pipe.outputs.ended(4711) is None
