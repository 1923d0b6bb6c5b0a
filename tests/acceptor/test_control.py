"""The control socket: who may ask what, and no client in the way of another."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from helpers.clocked import clocked
from helpers.forked import NOBODY, needs_root, public_folder

from superd.acceptor.control import (
    MAX_CLIENTS,
    REQUEST_S,
    Admission,
    Answer,
    Command,
    Control,
    Right,
)
from superd.config.places import MAX_REQUEST_BYTES
from superd.kernel.peers import credentials

ME = Admission(frozenset({os.geteuid()}), frozenset(), frozenset())
NOT_A_REQUEST = {"ok": False, "error": "bad-request", "lines": ["not a request that this superd knows"]}


async def _echo(request: Mapping[str, Any]) -> Answer:
    return {"ok": True, "request": dict(request)}


COMMANDS = {"read": Command(Right.READ, _echo), "change": Command(Right.CHANGE, _echo)}


def bound(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(100)
    sock.setblocking(False)
    path.chmod(0o666)
    return sock


@asynccontextmanager
async def serving(path: Path, admission: Admission = ME) -> AsyncIterator[Control]:
    control = Control(COMMANDS, admission, lambda *_: None)
    with bound(path) as listener:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(control.serve, listener, nursery)
            yield control
            nursery.cancel_scope.cancel()


async def connect(path: Path) -> trio.SocketStream:
    return await trio.open_unix_socket(str(path))


async def answer(stream: trio.SocketStream) -> Any:
    """The whole answer, after which the server hangs up."""
    return json.loads(b"".join([part async for part in stream]))


async def ask(path: Path, request: bytes) -> Any:
    async with await connect(path) as stream:
        await stream.send_all(request)
        return await answer(stream)


# --- requests ---


@clocked
async def test_a_request_is_one_line_and_so_is_its_answer(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"), await connect(tmp_path / "s") as stream:
        await stream.send_all(b'{"command": "read", "service": "f')
        await stream.send_all(b'tp"}\n')
        raw = b"".join([part async for part in stream])
    assert raw.endswith(b"\n") and raw.count(b"\n") == 1
    assert json.loads(raw) == {"ok": True, "request": {"command": "read", "service": "ftp"}}


@clocked
async def test_a_client_may_hang_up_its_half_instead_of_ending_the_line(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"), await connect(tmp_path / "s") as stream:
        await stream.send_all(b'{"command": "read"}')
        await stream.send_eof()
        assert (await answer(stream))["ok"]


@pytest.mark.parametrize(
    "request_line",
    [
        b"\n",
        b"status\n",
        b"[]\n",
        b'"read"\n',
        b"{}\n",
        b"null\n",
        b'{"command": "unknown"}\n',
        b'{"command": ["read"]}\n',
        b'{"command": null}\n',
        b"\xff\xfe\n",
        b"[" * 60_000 + b"\n",
        b"1" * 5000 + b"\n",
        b'{"command": "read", "at": NaN}\n',
        b'{"command": "read", "at": 1e999}\n',
        b'{"command": "read", "service": "\\ud800"}\n',
    ],
)
@clocked
async def test_what_is_no_request_is_told_so(tmp_path: Path, request_line: bytes) -> None:
    async with serving(tmp_path / "s"):
        assert await ask(tmp_path / "s", request_line) == NOT_A_REQUEST


@clocked
async def test_an_oversized_request_is_not_read_to_its_end(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"):
        began = trio.current_time()
        told = await ask(tmp_path / "s", b"x" * (MAX_REQUEST_BYTES + 1))
        assert told["lines"] == ["more than 65536 bytes"]
        assert trio.current_time() == began


# --- clients that are slow, many, or gone ---


@clocked
async def test_a_slow_client_is_in_nobodys_way_and_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"), await connect(tmp_path / "s") as slow:
        await slow.send_all(b'{"command": ')
        began = trio.current_time()
        assert (await ask(tmp_path / "s", b'{"command": "read"}\n'))["ok"]
        assert trio.current_time() == began
        assert await answer(slow) == NOT_A_REQUEST
        assert trio.current_time() == began + REQUEST_S


@clocked
async def test_a_client_that_leaves_does_no_harm(tmp_path: Path) -> None:
    async with serving(tmp_path / "s"):
        for request in (b"", b'{"comm', b'{"command": "read"}\n'):
            async with await connect(tmp_path / "s") as stream:
                if request:
                    await stream.send_all(request)
        assert (await ask(tmp_path / "s", b'{"command": "read"}\n'))["ok"]


@clocked
async def test_strangers_cannot_keep_the_administrator_out(tmp_path: Path) -> None:
    """They may connect where two groups are admitted, and are refused soon, whatever they (do not) say."""
    nobody = Admission(frozenset(), frozenset(), frozenset())
    async with serving(tmp_path / "s", nobody) as control:
        began = trio.current_time()
        strangers = [await connect(tmp_path / "s") for _ in range(MAX_CLIENTS * 2)]
        for stranger in strangers:
            assert (await answer(stranger))["error"] == "permission"
            await stranger.aclose()
        control.admission = ME
        assert (await ask(tmp_path / "s", b'{"command": "change"}\n'))["ok"]
        assert trio.current_time() - began < 1.0


@clocked
async def test_who_says_nothing_makes_room_for_who_asks(tmp_path: Path) -> None:
    """A member of control_group has ten seconds to ask, but not all places for as long."""
    async with serving(tmp_path / "s"):
        began = trio.current_time()
        slow = [await connect(tmp_path / "s") for _ in range(MAX_CLIENTS * 3)]
        assert (await ask(tmp_path / "s", b'{"command": "change"}\n'))["ok"]
        assert trio.current_time() == began
        assert await answer(slow[0]) == NOT_A_REQUEST
        await slow[-1].send_all(b'{"command": "read"}\n')
        assert (await answer(slow[-1]))["ok"], "those who came last still have their time"
        for stream in slow:
            await stream.aclose()


@clocked
async def test_clients_beyond_the_most_wait_in_the_kernel_and_take_none_of_our_descriptors(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path / "s"):
        slow = [await connect(tmp_path / "s") for _ in range(MAX_CLIENTS)]
        await trio.testing.wait_all_tasks_blocked()
        before = len(os.listdir("/proc/self/fd"))
        waiting = [await connect(tmp_path / "s") for _ in range(10)]
        await trio.testing.wait_all_tasks_blocked()
        assert len(os.listdir("/proc/self/fd")) == before + 10, "the clients' own ends"
        for stream in slow:
            await stream.aclose()
        await waiting[0].send_all(b'{"command": "read"}\n')
        assert (await answer(waiting[0]))["ok"]
        for stream in waiting:
            await stream.aclose()


# --- who may ---


@pytest.mark.parametrize(
    ("uid", "gids", "right"),
    [
        (0, {0}, Right.CHANGE),
        (1000, {1000}, Right.NOTHING),
        (1000, {1000, 4}, Right.READ),
        (1000, {1000, 50}, Right.CHANGE),
        (1000, {4, 50}, Right.CHANGE),
    ],
)
def test_rights_come_from_uid_and_groups(uid: int, gids: set[int], right: Right) -> None:
    admission = Admission(frozenset({0}), frozenset({4}), frozenset({50}))
    assert admission.right(uid, frozenset(gids)) is right


@pytest.mark.parametrize(
    ("admission", "group"),
    [
        (
            Admission(frozenset(), frozenset([*os.getgroups(), os.getegid()]), frozenset()),
            "control_admin_group",
        ),
        (Admission(frozenset(), frozenset(), frozenset()), "control_group"),
    ],
)
@clocked
async def test_who_may_not_is_told_who_may(tmp_path: Path, admission: Admission, group: str) -> None:
    async with serving(tmp_path / "s", admission):
        refused = await ask(tmp_path / "s", b'{"command": "change"}\n')
    assert (refused["ok"], refused["error"]) == (False, "permission")
    assert refused["lines"] == [
        f"not allowed; root may, and members of the group that [superd] {group} names"
    ]


@needs_root
def test_the_kernel_says_who_asks_whatever_the_client_says() -> None:
    """Uid and every group are those of the process that connected."""
    with public_folder() as folder, bound(path := folder / "s") as listener:
        ready, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.setgroups([4711, 4712])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(path))
            os.write(go, b"x")
            client.recv(1)
            os._exit(0)
        os.read(ready, 1)
        peer, _ = listener.accept()
        with peer:
            assert credentials(peer)[1:] == (NOBODY, frozenset({NOBODY, 4711, 4712}))
        assert os.waitpid(child, 0)[1] == 0
        os.close(ready)
        os.close(go)
