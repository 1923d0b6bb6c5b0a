"""The control socket: one JSON object a line, asked by superctl and answered here.

Who may ask is decided by the kernel's word about the peer (SO_PEERCRED, SO_PEERGROUPS; unix(7)), never by what
the peer says.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from enum import IntEnum
from typing import Any

import trio
from attrs import Factory, define, field, frozen

from superd.config.places import MAX_REQUEST_BYTES
from superd.kernel.peers import credentials

REQUEST_S = 10.0
STRANGER_S = 0.1
"""For who may nothing: enough for superctl, which says all at once, and too little to be in others' way."""
MAX_CLIENTS = 32

Answer = dict[str, Any]


class Right(IntEnum):
    """What a peer may do; each includes those before it."""

    NOTHING = 0
    READ = 1
    CHANGE = 2


@frozen
class Admission:
    """Who may do what: uids that may do all, groups that may read, groups that may change."""

    admin_uids: frozenset[int]
    reader_gids: frozenset[int]
    admin_gids: frozenset[int]

    def right(self, uid: int, gids: frozenset[int]) -> Right:
        if uid in self.admin_uids or gids & self.admin_gids:
            return Right.CHANGE
        return Right.READ if gids & self.reader_gids else Right.NOTHING


@frozen
class Command:
    """One command of the socket: the right it takes, and what answers it (given the request)."""

    right: Right
    answer: Callable[[Mapping[str, Any]], Awaitable[Answer]]


@define
class Control:
    """Serves the control socket.

    Args:
        commands: by name.
        admission: who may ask; may be replaced while serving.
        audit: told (command, uid, request) of every change that is asked for and allowed.
        spare: within it there are descriptors even when connections have taken all others.
    """

    commands: Mapping[str, Command]
    admission: Admission
    audit: Callable[[str, int, Mapping[str, Any]], None]
    spare: AbstractContextManager[None] = Factory(nullcontext)
    # who has yet to say what they ask, the oldest first
    _asking: dict[trio.CancelScope, None] = field(factory=dict, init=False)

    async def serve(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        """Accept clients until cancelled. Their conversations live in ``nursery``: a listener that is replaced
        on reload takes with it neither them nor the answer to that very reload."""
        listener.setblocking(False)
        clients = trio.Semaphore(MAX_CLIENTS)
        while True:
            await trio.lowlevel.wait_readable(listener)
            if clients.value == 0 and self._asking:  # who says nothing makes room for who might
                next(iter(self._asking)).cancel()
            await clients.acquire()  # before accepting: those beyond the most wait in the kernel
            nursery.start_soon(self._converse, await self._accept(listener), clients)

    async def _accept(self, listener: socket.socket) -> trio.socket.SocketType:
        while True:
            await trio.lowlevel.wait_readable(listener)
            try:
                with self.spare:
                    return trio.socket.from_stdlib_socket(listener.accept()[0])
            except OSError:
                await trio.sleep(0.1)  # out of descriptors all the same: the clients that are here will leave

    async def _converse(self, peer: trio.socket.SocketType, clients: trio.Semaphore) -> None:
        try:
            with peer:
                _, uid, gids = credentials(peer)
                await self._answer(trio.SocketStream(peer), uid, gids)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            return  # the client left
        finally:
            clients.release()

    async def _answer(self, stream: trio.SocketStream, uid: int, gids: frozenset[int]) -> None:
        right = self.admission.right(uid, gids)
        line = await self._request(stream, REQUEST_S if right else STRANGER_S)
        answer = await self._execute(line, right, uid)
        with trio.move_on_after(REQUEST_S):
            await stream.send_all(json.dumps(answer).encode() + b"\n")

    async def _request(self, stream: trio.SocketStream, patience_s: float) -> bytes:
        """What the client asks, as far as it came in time, or before another needed the room."""
        line = b""
        with trio.move_on_after(patience_s) as asking:
            self._asking[asking] = None
            try:
                while not line.endswith(b"\n"):
                    part = await stream.receive_some(4096)
                    line += part
                    if not part or len(line) > MAX_REQUEST_BYTES:
                        break
            finally:
                del self._asking[asking]
        return line

    async def _execute(self, line: bytes, right: Right, uid: int) -> Answer:
        if right is Right.NOTHING:
            return _refusal(right)
        if len(line) > MAX_REQUEST_BYTES:
            return _bad_request(f"more than {MAX_REQUEST_BYTES} bytes")
        try:
            request = json.loads(line)
            # neither NaN nor half of a surrogate pair
            json.dumps(request, allow_nan=False, ensure_ascii=False).encode()
            name = request["command"]
            command = self.commands[name]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _bad_request("not a request that this superd knows")
        if right < command.right:
            return _refusal(right)
        if command.right is Right.CHANGE:
            self.audit(name, uid, request)
        return await command.answer(request)


def told_of(request: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a request that the log shows: what was changed, where, and for how long."""
    told = {}
    for key in ("service", "source", "values", "seconds", "saved", "reset", "children"):
        value = request.get(key)
        if value:
            told[key] = value if isinstance(value, str) else json.dumps(value)
    return told


def _bad_request(line: str) -> Answer:
    return {"ok": False, "error": "bad-request", "lines": [line]}


def _refusal(right: Right) -> Answer:
    groups = "control_admin_group" if right is Right.READ else "control_group"
    remedy = f"not allowed; root may, and members of the group that [superd] {groups} names"
    return {"ok": False, "error": "permission", "lines": [remedy]}
