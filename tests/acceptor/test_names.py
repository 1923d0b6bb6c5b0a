"""Host names: looked up once, kept fresh, and never lost because a name server is away."""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from attrs import define, field
from helpers.clocked import clocked

from superd.acceptor.names import REFRESH_S, RETRY_S, THREADS, Addresses, Answer, Names, Resolver, look_up
from superd.acceptor.timers import Timers

from .pairs import PATIENCE_S
from .workshop import Workshop

ONE, OTHER = (4, 1), (4, 2)


@define(eq=False)
class Place:
    """Names with a scripted resolver."""

    shop: Workshop
    wanted: list[str] = field(factory=list)
    asked: list[str] = field(factory=list)
    changes: list[tuple[str, Addresses]] = field(factory=list)
    names: Names = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.names = Names(
            self.shop.log,
            self.shop.timers,
            self._ask,
            lambda: self.wanted,
            lambda name, addresses: self.changes.append((name, addresses)),
        )

    def _ask(self, name: str, answer: Answer) -> None:
        self.asked.append(name)


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    with Workshop(timers=Timers()) as shop:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(shop.timers.run, lambda: None)
            yield Place(shop)
            nursery.cancel_scope.cancel()


@clocked
async def test_a_name_is_settled_once_it_is_answered_well_or_in_vain() -> None:
    async with place() as at:
        at.wanted = ["a.example", "b.example"]
        at.names.update()
        at.names.update()
        assert sorted(at.asked) == ["a.example", "b.example"], "asked once"
        assert not at.names.is_settled(at.wanted)
        at.names.answered("a.example", (ONE,), "")
        at.names.answered("b.example", (), "Name or service not known")
        assert at.names.is_settled(at.wanted)
        assert at.names.known("a.example") == (ONE,)
        assert at.changes == [("a.example", (ONE,)), ("b.example", ())]
        assert "cannot look up b.example: Name or service not known" in at.shop.logged()


@clocked
async def test_names_are_looked_up_again_and_sooner_when_it_failed() -> None:
    async with place() as at:
        at.wanted = ["a.example", "b.example"]
        at.names.update()
        at.names.answered("a.example", (ONE,), "")
        at.names.answered("b.example", (), "away")
        at.asked.clear()
        await trio.sleep(RETRY_S + 1)
        assert at.asked == ["b.example"]
        await trio.sleep(REFRESH_S - RETRY_S)
        assert "a.example" in at.asked


@clocked
async def test_what_was_known_holds_while_the_name_server_is_away() -> None:
    async with place() as at:
        at.wanted = ["a.example"]
        at.names.update()
        at.names.answered("a.example", (ONE,), "")
        at.names.answered("a.example", (), "away")
        assert at.names.known("a.example") == (ONE,)
        assert len(at.changes) == 1
        assert "what was known holds" in at.shop.logged()
        at.names.answered("a.example", (OTHER,), "")
        assert at.changes[-1] == ("a.example", (OTHER,))


@clocked
async def test_what_nobody_wants_any_more_is_forgotten() -> None:
    async with place() as at:
        at.wanted = ["a.example"]
        at.names.update()
        at.wanted = []
        at.names.update()
        at.names.answered("a.example", (ONE,), "")  # it was under way
        assert at.names.known("a.example") == () and at.changes == []


@clocked
async def test_a_name_that_is_wanted_again_before_it_was_answered_is_kept_fresh_once() -> None:
    async with place() as at:
        for wanted in (["a.example"], [], ["a.example"]):
            at.wanted = wanted
            at.names.update()
        at.names.answered("a.example", (ONE,), "")
        at.names.answered("a.example", (ONE,), "")
        at.asked.clear()
        await trio.sleep(REFRESH_S + 1)
        assert at.asked == ["a.example"]


def test_every_address_of_a_name_in_a_fixed_order() -> None:
    assert (4, 0x7F000001) in look_up("localhost")
    assert look_up("localhost") == tuple(sorted(look_up("localhost")))


def test_names_whose_server_is_away_hold_up_no_other() -> None:
    """Until every thread waits for one, and then each waits its turn."""
    back, answers = threading.Event(), queue.SimpleQueue[tuple[str, Addresses, str]]()

    def look(name: str) -> Addresses:
        if name.startswith("dead"):
            assert back.wait(PATIENCE_S)
            raise OSError(0, "away")
        return (ONE,)

    resolver = Resolver(look)
    dead = [f"dead{number}.example" for number in range(THREADS - 1)]
    for name in (*dead, "a.example", "b.example"):
        resolver.ask(name, lambda *answer: answers.put(answer))
    assert [answers.get(timeout=PATIENCE_S) for _ in range(2)] == [
        ("a.example", (ONE,), ""),
        ("b.example", (ONE,), ""),
    ]
    back.set()
    assert sorted(answers.get(timeout=PATIENCE_S) for _ in dead) == [(name, (), "away") for name in dead]


def test_a_name_that_cannot_be_asked_is_answered_in_vain_and_the_next_is_looked_up() -> None:
    answers = queue.SimpleQueue[tuple[str, Addresses, str]]()
    resolver = Resolver(threads=1)
    for name in ("a" * 64, "127.0.0.1"):
        resolver.ask(name, lambda *answer: answers.put(answer))
    name, addresses, failure = answers.get(timeout=PATIENCE_S)
    assert (name, addresses, bool(failure)) == ("a" * 64, (), True)
    assert answers.get(timeout=PATIENCE_S) == ("127.0.0.1", ((4, 0x7F000001),), "")
