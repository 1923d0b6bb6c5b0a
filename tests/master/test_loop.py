"""The master's loop: one thing at a time, in order, and nothing after it was forgotten or cancelled."""

from __future__ import annotations

import os
import signal

from helpers.forked import in_child

from superd.master.loop import Loop


def test_timers_call_in_order_and_not_when_cancelled() -> None:
    loop, calls = Loop(), list[str]()
    loop.after(0.02, lambda: calls.append("c"))
    loop.after(0, lambda: calls.append("a"))
    loop.after(0, lambda: calls.append("b"))
    cancelled = loop.after(0.01, lambda: calls.append("cancelled"))
    cancelled.cancel()
    loop.after(0.03, loop.stop)
    loop.run()
    assert calls == ["a", "b", "c"]


def test_a_timer_may_cancel_the_next_and_set_another() -> None:
    loop, calls = Loop(), list[str]()

    def first() -> None:
        second.cancel()
        loop.after(0, loop.stop)

    loop.after(0, first)
    second = loop.after(0, lambda: calls.append("second"))
    loop.run()
    assert calls == []


def test_a_descriptor_is_served_while_it_is_watched_and_not_after() -> None:
    loop, heard = Loop(), list[bytes]()
    reader, writer = os.pipe()
    os.write(writer, b"abc")

    def read() -> None:
        heard.append(os.read(reader, 1))
        if len(heard) == 2:
            loop.forget(reader)
            loop.forget(reader)
            loop.after(0, loop.stop)

    loop.watch(reader, read)
    loop.run()
    os.close(reader)
    os.close(writer)
    assert heard == [b"a", b"b"]


def test_writing_is_watched_only_where_it_is_wanted() -> None:
    loop, calls = Loop(), list[str]()
    reader, writer = os.pipe()

    def writable() -> None:
        calls.append("writable")
        loop.watch_writing(writer, False)
        loop.after(0.01, loop.stop)

    loop.watch(writer, writable)
    loop.watch_writing(writer, True)
    loop.run()
    loop.forget(writer)
    loop.watch_writing(writer, True)
    os.close(reader)
    os.close(writer)
    assert calls == ["writable"]


def test_signals_are_handled_in_the_loop_and_each_once_however_often_it_came() -> None:
    def run() -> list[str]:
        loop, calls = Loop(), list[str]()

        def stop() -> None:
            calls.append("stop")
            loop.stop()

        loop.on_signals(((signal.SIGHUP, lambda: calls.append("reload")), (signal.SIGTERM, stop)))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGHUP):
            os.kill(os.getpid(), number)
        assert calls == [], "nothing happens outside of the loop"
        loop.run()
        return calls

    assert in_child(run) == ["reload", "stop"]
