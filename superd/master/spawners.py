"""Spawners: born when the acceptor has work for them, ended when idle, replaced when they die or stand still."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence

from attrs import evolve

from superd.config.model import Mode
from superd.config.sandbox import Feature, effective, features
from superd.errors import WireError
from superd.kernel import cgroups
from superd.kernel.birth import Birth, SpawnerLife
from superd.kernel.identity import Identity
from superd.kernel.namespaces import children_in_new_pids
from superd.kernel.sockopts import refuse_descriptors
from superd.master.births import fork
from superd.master.loop import Loop
from superd.master.orphans import Orphans
from superd.master.sandboxes import lacking_features
from superd.master.services import Managed, Spawner
from superd.policy.outcome import status_word
from superd.wire.fds import Link, close_all, pair
from superd.wire.handlers import HandlerFailed
from superd.wire.messages import Retire, SpawnerDown, SpawnerFailed, SpawnerReady, SpawnerUp
from superd.wire.table import Phase, Role

MAX_REASON_CHARS = 600
"""Of what a spawner says: the acceptor is told in a ``SpawnerDown``, whatever JSON makes of it."""

IMPORT_S = 60.0
"""How long a handler may take to be imported."""

CANNOT_IMPORT, UNWANTED = "its handler cannot be imported", "another version of its handler is wanted"
"""Why a spawner ended that was importing; of both nothing more needs to be said."""


def _nobody(managed: Managed, lines: Sequence[str]) -> None:
    """Whom it concerns says so by ``Spawners.broken``."""


class Spawners:
    """Keeps the spawners of all services. ``broken`` is told that a handler cannot be imported, and why.

    Args:
        life: what the forked process does.
        caller: the environment superd was started with.
        soft_nofile: the limit on descriptors it was started with.
        tell: sends a message to the acceptor.
        warn: logs (service, what happened).
        is_acceptor: whether a pid is the acceptor's.
    """

    def __init__(
        self,
        loop: Loop,
        life: SpawnerLife,
        caller: Mapping[str, str],
        soft_nofile: int,
        tell: Callable[..., None],
        warn: Callable[[Managed, str], None],
        is_acceptor: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._loop = loop
        self._life = life
        self._caller = caller
        self._soft_nofile = soft_nofile
        self._tell = tell
        self._warn = warn
        self.broken: Callable[[Managed, Sequence[str]], None] = _nobody
        self._by_pid: dict[int, tuple[Managed, Spawner]] = {}
        self._told: dict[int, frozenset[Feature]] = {}  # what was said that a service does without
        self._orphans = Orphans(loop, lambda pid: pid in self._by_pid or is_acceptor(pid))

    def __len__(self) -> int:
        return len(self._by_pid)

    def start(self, managed: Managed) -> None:
        """Fork a spawner for a service, unless it has as many as may take work at a time."""
        active = sum(not spawner.retiring for spawner in managed.spawners.values())
        importing = managed.service.handler is not None and any(
            not (spawner.ready or spawner.retiring) for spawner in managed.spawners.values()
        )
        if importing or active >= managed.most_spawners:
            return
        if managed.identity is None or managed.work_out is None:
            return  # the service was switched off while the acceptor asked
        managed.last_number += 1
        number = managed.last_number
        ends: list[socket.socket] = []
        try:
            ends += pair()
            ends += pair()
            ours, theirs, acceptor_end, own = ends
            for end in (ours, acceptor_end):
                refuse_descriptors(end)  # a spawner never sends any
            pid = self._fork(managed, managed.identity, theirs, own, managed.work_out)
        except OSError as error:
            for end in ends:
                end.close()
            self._warn(managed, f"cannot start a spawner: {error.strerror}")
            self._tell(SpawnerDown(managed.id, number, "cannot be started"))
            return
        theirs.close()
        own.close()
        link = Link(ours, Role.MASTER, Role.SPAWNER)
        link.phase = Phase.STARTING
        spawner = managed.spawners[number] = Spawner(number, pid, link, acceptor_end)
        self._by_pid[pid] = managed, spawner
        self._loop.watch(link.fileno(), lambda: self._heard(managed, spawner))
        if managed.service.handler is not None:
            self._loop.after(IMPORT_S, lambda: self._import_is_over(managed, spawner))
        self.introduce(managed, spawner)

    def _fork(
        self,
        managed: Managed,
        identity: Identity,
        master: socket.socket,
        own: socket.socket,
        work: socket.socket,
    ) -> int:
        """Fork the process, into a pid namespace of its own where the sandbox says so; returns its pid here."""
        service = managed.service
        is_instance = service.mode is not Mode.NOWAIT
        listeners = [listener.sock for listener in managed.listeners if listener.sock] if is_instance else []
        sandbox = effective(service.sandbox, identity.uid == 0)
        lacking = lacking_features(service, sandbox)
        if lacking and self._told.get(managed.id) != lacking:
            self._told[managed.id] = lacking
            self._warn(managed, f"this machine lacks {', '.join(sorted(lacking))}: its sandbox does without")
        if Feature.CGROUP in features(sandbox, identity.uid == 0).keys() - lacking:
            cgroups.prepare(sandbox, cgroups.own_group())
        birth = Birth(
            service, identity, self._caller, self._soft_nofile, master, own, work, listeners, sandbox, lacking
        )
        if not sandbox.private_pids or Feature.PID_NAMESPACE in lacking:
            return fork(lambda: self._life(birth))
        with children_in_new_pids() as outer:
            return fork(lambda: self._life(evolve(birth, outer_pids=outer)))

    def introduce(self, managed: Managed, spawner: Spawner) -> None:
        """Tell the acceptor of a spawner (again, when the acceptor is new)."""
        if managed.service.handler is not None and not spawner.ready:
            return
        news = SpawnerUp(managed.id, spawner.number, spawner.pid, spawner.retiring)
        self._tell(news, [spawner.acceptor_end.fileno()])

    def _heard(self, managed: Managed, spawner: Spawner) -> None:
        """A spawner may say that it is ready, and its last words; whatever ends it, ends it for certain."""
        if not self._keeps_the_rules(managed, spawner):
            self.replace(managed, spawner.number, spawner.reason)

    def _keeps_the_rules(self, managed: Managed, spawner: Spawner) -> bool:
        """Take what a spawner said; False, and the reason noted, after last words or a breach of the table."""
        try:
            for received in spawner.link.receive():
                close_all(received.descriptors)
                spawner.link.phase = Phase.SERVING  # where the table allows it no more than last words
                if isinstance(received.message, SpawnerFailed):
                    spawner.reason = received.message.reason[:MAX_REASON_CHARS]
                    return False
                if isinstance(received.message, HandlerFailed):
                    self._cannot_import(managed, spawner, received.message.lines)
                    return False
                assert isinstance(received.message, SpawnerReady)  # noqa: S101  the table has no other
                self._is_ready(managed, spawner)
        except (EOFError, OSError):
            self._loop.forget(spawner.link.fileno())  # it ends; SIGCHLD tells how
        except WireError as error:
            spawner.reason = f"broke the rules of the wire: {error}"
            return False
        return True

    def _is_ready(self, managed: Managed, spawner: Spawner) -> None:
        spawner.ready = True
        if managed.service.handler is not None and not spawner.retiring:
            self.introduce(managed, spawner)

    def _cannot_import(self, managed: Managed, spawner: Spawner, lines: Sequence[str]) -> None:
        spawner.reason = CANNOT_IMPORT
        if not spawner.retiring:  # else it is about code that has been replaced
            self.broken(managed, [line[:MAX_REASON_CHARS] for line in lines] or [CANNOT_IMPORT])

    def _import_is_over(self, managed: Managed, spawner: Spawner) -> None:
        """A module that never comes to an end is one that cannot be imported."""
        if not spawner.ready and spawner.number in managed.spawners and not spawner.reason:
            self._cannot_import(managed, spawner, [f"still being imported after {IMPORT_S:g} s"])
            self.replace(managed, spawner.number, spawner.reason)

    def retire(self, managed: Managed) -> None:
        """Have a service's spawners take no more work and end with their last child."""
        for spawner in managed.spawners.values():
            self.retire_one(managed, spawner)

    def retire_one(self, managed: Managed, spawner: Spawner) -> None:
        if not spawner.retiring:
            spawner.retiring = True
            if not spawner.ready and managed.service.handler is not None:
                self.replace(managed, spawner.number, UNWANTED)
                return
            try:
                spawner.link.post(Retire())
            except OSError:
                pass  # it is dead already; SIGCHLD tells

    def replace(self, managed: Managed, number: int, reason: str) -> None:
        """SIGKILL a spawner; the acceptor asks for another when it needs one."""
        spawner = managed.spawners.get(number)
        if spawner is not None:
            spawner.reason = reason
            os.kill(spawner.pid, signal.SIGKILL)

    def ended(self, pid: int, status: int) -> bool:
        """A process ended; True when it was a spawner. Its pid may be another's already: it is not signalled."""
        managed, spawner = self._by_pid.pop(pid, (None, None))
        if managed is None or spawner is None:
            return False
        if not spawner.reason:
            self._keeps_the_rules(managed, spawner)
        del managed.spawners[spawner.number]
        self._loop.forget(spawner.link.fileno())
        spawner.link.close()
        spawner.acceptor_end.close()
        expected = os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
        reason = "" if expected and not spawner.reason else spawner.reason or _describe(status)
        if reason and managed.identity is not None:
            self._orphans.spawner_died(managed.service, managed.identity.uid)
        if reason not in ("", CANNOT_IMPORT, UNWANTED):
            self._warn(managed, f"its spawner (pid {pid}) {'failed: ' if spawner.reason else ''}{reason}")
        self._tell(SpawnerDown(managed.id, spawner.number, "" if reason == UNWANTED else reason))
        return True

    def kill_all(self) -> None:
        for pid in self._by_pid:
            os.kill(pid, signal.SIGKILL)

    def dismiss_all(self) -> None:
        """superd ends: hang up, so that each ends its instances if it has any, and goes."""
        for _, spawner in self._by_pid.values():
            self._loop.forget(spawner.link.fileno())
            spawner.link.close()


def _describe(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by {status_word(status)}"
    return f"ended with status {status_word(status)}"
