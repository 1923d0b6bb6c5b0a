"""Timers call in the order of their time, once, and not after they were cancelled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from helpers.clocked import clocked

from superd.acceptor.timers import Timers


@asynccontextmanager
async def running(afters: list[float] | None = None) -> AsyncIterator[Timers]:
    timers = Timers()
    noted = afters if afters is not None else []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run, lambda: noted.append(trio.current_time()))
        yield timers
        nursery.cancel_scope.cancel()


@clocked
async def test_calls_come_when_they_are_due_and_in_order() -> None:
    calls: list[tuple[str, float]] = []

    async with running() as timers:
        begin = trio.current_time()
        for name, seconds in (("c", 3.0), ("a", 1.0), ("b1", 2.0), ("b2", 2.0)):
            timers.after(seconds, lambda name=name: calls.append((name, trio.current_time() - begin)))  # type: ignore[misc]
        await trio.sleep(10)
    assert calls == [("a", 1.0), ("b1", 2.0), ("b2", 2.0), ("c", 3.0)]


@clocked
async def test_an_earlier_timer_does_not_wait_for_a_later_one() -> None:
    calls: list[str] = []
    async with running() as timers:
        timers.after(100, lambda: calls.append("late"))
        await trio.sleep(1)
        timers.after(1, lambda: calls.append("early"))
        await trio.sleep(2)
        assert calls == ["early"]


@clocked
async def test_a_cancelled_call_never_comes() -> None:
    calls: list[str] = []
    async with running() as timers:
        timer = timers.after(1, lambda: calls.append("cancelled"))
        timers.after(2, lambda: calls.append("kept"))
        timer.cancel()
        timer.cancel()
        await trio.sleep(3)
        timer.cancel()
    assert calls == ["kept"]


@clocked
async def test_a_call_may_cancel_the_next_and_set_another() -> None:
    calls: list[str] = []
    async with running() as timers:

        def first() -> None:
            calls.append("first")
            second.cancel()
            timers.after(0, lambda: calls.append("third"))

        timers.after(1, first)
        second = timers.after(1, lambda: calls.append("second"))
        await trio.sleep(1.5)
    assert calls == ["first", "third"]


@clocked
async def test_the_log_is_flushed_after_calls_and_not_after_cancelled_ones() -> None:
    afters: list[float] = []
    async with running(afters) as timers:
        begin = trio.current_time()
        timers.after(1, lambda: None)
        timers.after(1, lambda: None)
        timers.after(2, lambda: None).cancel()
        await trio.sleep(3)
    assert [after - begin for after in afters] == [1.0]


@clocked
async def test_timers_that_were_cancelled_cost_no_memory_until_their_time() -> None:
    """Every connection of a service with runtime_max sets one for hours, and most end within milliseconds."""
    async with running() as timers:
        calls: list[int] = []
        for number in range(10_000):
            timers.after(3600, lambda: calls.append(-1)).cancel()
            if number % 1000 == 0:
                timers.after(10 + number, lambda number=number: calls.append(number))  # type: ignore[misc]
        assert len(timers) < 500
        await trio.sleep(20_000)
    assert calls == list(range(0, 10_000, 1000))
