"""The keeper of the acceptor, against acceptors that somebody has taken over: whatever they do, the master goes on."""

from __future__ import annotations

import os
import select
import signal
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from helpers.forked import public_folder

from superd.kernel.identity import Identity, acceptor_identity
from superd.master import acceptor, births
from superd.master.acceptor import AcceptorKeeper
from superd.master.loop import Loop
from superd.wire.messages import Ping, ReloadWanted, SpawnerWanted
from superd.wire.table import Phase

PATIENCE_S = 30.0

PRELUDE = """
    import json, os, socket, sys, time
    link = socket.socket(fileno=3)
    PONG, SPAWNER_WANTED, RELOAD_WANTED = 27, 21, 24

    def say(kind, *fields):
        link.send(b"\\0" + bytes([kind]) + json.dumps(fields, separators=(",", ":")).encode())

    def main():
"""


@define
class Stage:
    """A master's loop with one acceptor, whose program is the test's."""

    loop: Loop
    keeper: AcceptorKeeper
    folder: Path
    heard: list[Any] = field(factory=list)
    warned: list[str] = field(factory=list)
    answer: Callable[[Any], None] = lambda _: None

    def start(self, program: str) -> None:
        """Execute an acceptor that runs the lines of ``program``, and take it for one that serves."""
        body = textwrap.indent(textwrap.dedent(program).strip(), "    ")
        path = self.folder / "superd" / "acceptor" / "main.py"
        path.write_text(textwrap.dedent(PRELUDE) + body + "\n")
        self.keeper.start()
        self.keeper.set_phase(Phase.SERVING)

    def run_to_its_end(self) -> str:
        """Run the loop until the acceptor has ended; what the administrator is told about it."""
        deadline = time.monotonic() + PATIENCE_S

        def look() -> None:
            assert time.monotonic() < deadline, "the acceptor lives on"
            pid, status = os.waitpid(self.keeper.pid, os.WNOHANG)
            if self.keeper.ended(pid, status):
                self.loop.stop()
            else:
                self.loop.after(0.01, look)

        look()
        self.loop.run()
        return self.warned[-1]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with public_folder() as folder:
        for package in ("superd", "superd/acceptor"):
            (folder / package).mkdir()
            (folder / package / "__init__.py").touch()
        monkeypatch.setattr(births, "PACKAGE_PARENT", str(folder))
        made: Stage

        def heard(message: Any, _: list[int]) -> None:
            made.heard.append(message)
            made.answer(message)

        loop = Loop()
        identity: Identity = acceptor_identity("")
        keeper = AcceptorKeeper(
            loop, identity, {}, lambda: None, heard, lambda text: made.warned.append(text)
        )
        made = Stage(loop, keeper, folder)
        yield made
        keeper.dismiss()
        if keeper.pid:
            os.kill(keeper.pid, signal.SIGKILL)
            os.waitpid(keeper.pid, 0)


def test_one_that_never_stops_talking_leaves_the_others_their_turn(stage: Stage) -> None:
    def work(_: Any) -> None:
        time.sleep(0.001)  # longer than it takes to say the next
        if len(stage.heard) == 10:
            stage.loop.stop()
        if len(stage.heard) == 1_000:
            stage.keeper.kill("it would never end")

    stage.answer = work
    stage.start("while True: say(SPAWNER_WANTED, 1)")
    stage.loop.run()
    assert len(stage.heard) < 1_000, "there is always more to read, and the stop is obeyed"


def test_one_that_reads_no_answers_is_not_heard_until_it_does(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "PING_S", 0.1)
    monkeypatch.setattr(acceptor, "PONG_S", 0.9)
    requests = 3_000
    stage.answer = lambda message: stage.keeper.tell(Ping(1))
    stage.start(f"""
        for number in range({requests}): say(RELOAD_WANTED, number)
        time.sleep(1000)
    """)
    assert "did not answer" in stage.run_to_its_end()
    assert 0 < len(stage.heard) < requests, "answers would have piled up in the master"


def test_one_that_reads_late_is_heard_to_the_end(stage: Stage) -> None:
    requests = 2_000
    stage.answer = lambda message: stage.keeper.tell(Ping(1))
    stage.start(f"""
        link.setblocking(False)
        sent = received = 0
        while received < {requests}:
            try:
                while sent < {requests}:
                    say(RELOAD_WANTED, sent)
                    sent += 1
            except BlockingIOError:
                pass
            link.setblocking(True)
            link.recv(100)
            received += 1
            link.setblocking(False)
    """)
    stage.run_to_its_end()
    assert stage.heard == [ReloadWanted(number) for number in range(requests)]


def test_one_that_answers_pings_before_they_come_is_ended(stage: Stage) -> None:
    stage.answer = lambda pong: stage.keeper.answered(pong.number)
    stage.start("say(PONG, 2**60); time.sleep(1000)")
    assert "broke the rules of the wire: Pong 1152921504606846976 before its Ping" in stage.run_to_its_end()


def test_one_that_hangs_up_and_lives_on_is_ended(stage: Stage) -> None:
    stage.start("link.close(); os.close(2); time.sleep(1000)")
    assert "(SIGKILL)" in stage.run_to_its_end()


def test_a_real_time_signal_is_a_death_like_any_other(stage: Stage) -> None:
    stage.start("os.kill(os.getpid(), 40)")
    assert "(SIG40)" in stage.run_to_its_end()


def test_one_whose_words_are_still_to_be_read_is_not_taken_for_dead(stage: Stage) -> None:
    stage.start("""
        say(SPAWNER_WANTED, 1)
        time.sleep(3600)
    """)
    keeper = stage.keeper
    assert keeper._conversation is not None
    keeper._pinged = 1
    assert select.select([keeper._conversation.link], [], [], PATIENCE_S)[0]
    keeper._expect(keeper.pid, 1)
    keeper._conversation._readable()
    assert stage.heard == [SpawnerWanted(1)]
    assert os.waitpid(keeper.pid, os.WNOHANG) == (0, 0)
    keeper._expect(keeper.pid, 1)
    assert "did not answer" in stage.run_to_its_end()
