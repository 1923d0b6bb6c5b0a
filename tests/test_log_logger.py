"""The logger on a real file, with a clock made of numbers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from superd.log import Connection, End, EventName, Level, Logger, Sink, open_sink

NOW = 1795559101.125


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def noted(tmp_path: Path) -> Iterator[tuple[Logger, Clock, Callable[[], list[str]]]]:
    """A logger on a file, its clock, and what it wrote so far without the time."""
    path = tmp_path / "log"
    clock = Clock()
    logger = Logger(Sink(*open_sink(str(path))), clock, {"process": "acceptor"}, immediate=True)
    yield (
        logger,
        clock,
        lambda: [line.split(" ", 1)[1] for line in path.read_text().splitlines()],
    )
    logger.close()


Noted = tuple[Logger, Clock, Callable[[], list[str]]]


def test_identity_stands_before_the_fields(noted: Noted) -> None:
    logger, _, said = noted
    logger.log(EventName.START, Level.NOTICE, version="1.0")
    assert said() == ["start process=acceptor version=1.0"]


def test_refusals_for_one_reason_are_damped_whatever_the_source(noted: Noted) -> None:
    logger, clock, said = noted
    for number in range(100):
        source = f"192.0.2.{number}"
        logger.log(EventName.REFUSED, Level.NOTICE, service="ssh", source=source, reason="rate")
    logger.log(EventName.REFUSED, Level.NOTICE, service="ftp", source="192.0.2.1", reason="rate")
    assert len(said()) == 6
    assert logger.pending
    clock.now += 10
    logger.flush()
    assert said()[6:] == [
        'refused process=acceptor service=ssh reason=rate repeated=95 message="repeated 95 times"'
    ]
    assert not logger.pending


def test_repeated_error_is_named_before_it_is_said_again(noted: Noted) -> None:
    logger, clock, said = noted
    for _ in range(6):
        logger.log(EventName.ERROR, Level.ERR, "no memory")
    clock.now += 11
    logger.log(EventName.ERROR, Level.ERR, "no memory")
    assert said()[5:] == [
        'error level=err process=acceptor repeated=1 message="once more: no memory"',
        'error level=err process=acceptor message="no memory"',
    ]


def test_connections_ends_and_listeners_are_never_damped(noted: Noted) -> None:
    logger, _, said = noted
    for _ in range(20):
        logger.connection(Connection("ssh", "192.0.2.1", 5022, 4711, "1-8"))
        logger.end(End("ssh", "192.0.2.1", 4711, "1-8", "clean", 0, 1.5, 0.25))
        logger.log(EventName.LISTEN, Level.NOTICE, service="ssh")
    assert len(said()) == 60
