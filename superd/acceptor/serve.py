"""The acceptor at work: the master's orders in, requests out, and all its parts put together."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import trio

from superd.acceptor.accept import Accepting
from superd.acceptor.backends import Backends
from superd.acceptor.builtins.serving import Builtins
from superd.acceptor.children import Children
from superd.acceptor.commands import Commands
from superd.acceptor.control import Admission, Control, told_of
from superd.acceptor.datagrams import Datagrams
from superd.acceptor.dispatch import Dispatch
from superd.acceptor.entrances import Entrances
from superd.acceptor.forward import Forwards
from superd.acceptor.idle import Idle
from superd.acceptor.instances import Instances
from superd.acceptor.names import Answer, Resolver
from superd.acceptor.pipes import Pipes
from superd.acceptor.policies import Policies
from superd.acceptor.policy_commands import PolicyCommands
from superd.acceptor.poller import Poller
from superd.acceptor.refusals import Refusals
from superd.acceptor.report import state_lines
from superd.acceptor.reserve import Reserve
from superd.acceptor.roster import Roster
from superd.acceptor.servers import Servers
from superd.acceptor.services import Listener, Service
from superd.acceptor.sessions import Sessions
from superd.acceptor.spawners import Requests, Spawners
from superd.acceptor.stopping import Stopping
from superd.acceptor.timers import Timers
from superd.errors import WireError
from superd.log import EventName, Level, Logger, Sink, SinkKind
from superd.policy.outcome import Outcome
from superd.wire.datagrams import PeerSocket
from superd.wire.fds import Link, Received, close_all
from superd.wire.messages import (
    DumpState,
    Ping,
    Pong,
    Ready,
    ReloadResult,
    Serve,
    Settings,
    SpawnerDown,
    SpawnerIdle,
    SpawnerStuck,
    SpawnerUp,
    SpawnerWanted,
    Stop,
)
from superd.wire.policies import HostsFiles
from superd.wire.table import Role

TEND_S = 1.0
"""How often the acceptor looks after what nothing else brings up: so much of its counts dies with it."""


class Acceptor:
    """One acceptor's life.

    Args:
        link: to the master.
        clock: wall clock for the log, seconds since the epoch.
        resolver: looks host names up.
        reserve: descriptors for what the master sends, and for who asks for the state.
        warnings: what is to be logged as soon as there is a log.
    """

    def __init__(
        self,
        link: Link,
        clock: Callable[[], float],
        resolver: Resolver,
        reserve: Reserve,
        warnings: Sequence[str] = (),
    ) -> None:
        self.resolver = resolver
        self.reserve = reserve
        self._warnings = warnings
        self.link = link
        self.clock = clock
        self.services: dict[int, Service] = {}
        self.poller = Poller(self._crowded)
        self.timers = Timers()
        self.serving = False
        self._control_scope = trio.CancelScope()
        self._nursery: trio.Nursery
        self._orders: Mapping[type, Callable[[Any, list[int]], None]]

    async def serve(self) -> None:
        """Serve until the master is gone or ends us."""
        self._token = trio.lowlevel.current_trio_token()
        settings = await self._first_settings()
        self._assemble(settings.message)
        async with trio.open_nursery() as self._nursery:
            self._settings(settings.message, settings.descriptors)
            for warning in self._warnings:
                self.log.log(EventName.WARNING, Level.WARNING, warning)
            self.poller.watch(self.link.fileno(), self._from_master)
            self._nursery.start_soon(self.poller.run, self._after)
            self._nursery.start_soon(self.timers.run, self._after)
            self._nursery.start_soon(self.spawners.keep)
            self._nursery.start_soon(self._tend)
            self.say(Ready())

    async def _first_settings(self) -> Received:
        while True:
            await trio.lowlevel.wait_readable(self.link.fileno())
            for received in self.link.receive():  # with nobody accepted yet
                if not isinstance(received.message, Settings):
                    raise WireError(f"{type(received.message).__name__} before Settings")
                return received

    def _assemble(self, settings: Settings) -> None:
        self.log = Logger(Sink(SinkKind.STDERR, os.dup(2)), self.clock)
        self.dispatch = Dispatch(settings.credits, self.timers, self._want_spawner, self._lost, self.poll)
        self.policies = Policies(
            self.log, self.timers, self.clock, self._ask_name, self.say, self._look_again
        )
        refusals = Refusals(self.log)
        self.accepting = Accepting(
            settings.epoch,
            self.dispatch,
            self.timers,
            self.poller,
            refusals,
            self.poll,
            self._exhausted,
            self._took,
        )
        self.datagrams = Datagrams(
            self.log, self.timers, self.poller, self.dispatch, self.accepting, refusals, self.say, self.poll
        )
        self.instances = Instances(self.log, self.timers, self.dispatch, self.accepting, refusals, self.poll)
        self.children = Children(self.log, self.timers, self.dispatch, self._instance_ended, self.poll)
        self.idle = Idle(
            self.poller, self.timers, lambda service: self.roster.end_instance(service, Outcome.IDLE)
        )
        self.entrances = Entrances(
            self.poller,
            self.timers,
            self.dispatch,
            self.accepting,
            self.datagrams,
            self.instances,
            self.idle,
            lambda: self.serving and not self.stopping.has_begun,
        )
        self.builtins = Builtins(
            self.log,
            self.clock,
            self.timers,
            self.poller,
            self.dispatch,
            self.accepting,
            refusals,
            self.services.values,
            self._served_one_less,
        )
        backends = Backends(self.log, self.timers, self._ask_name, self._targets)
        forwards = Forwards(
            self.log,
            self.timers,
            self.poller,
            backends,
            Pipes(),
            self.instances.demand,
            self._served_one_less,
        )
        sessions = Sessions(
            self.log,
            self.timers,
            self.poller,
            backends,
            self.accepting,
            refusals,
            self._served_one_less,
        )
        self.stopping = Stopping(self.services, self.children, self.dispatch, self.entrances, self.say)
        self.roster = Roster(
            self.services,
            self.policies,
            self.dispatch,
            self.children,
            self.instances,
            self.entrances,
            Servers(self.builtins, forwards, sessions, backends),
            lambda: self.serving,
            self._look_again,
        )
        requests = Requests(
            stuck=lambda service, spawner: self.say(SpawnerStuck(service.id, spawner.number)),
            idle=lambda service, spawner: self.say(SpawnerIdle(service.id, spawner.number)),
            told=lambda service, _: self._look_again(service),
        )
        self.spawners = Spawners(settings.epoch, self.poller, self.children, requests)
        self.commands = Commands(self.services, settings.config_file, self.say)
        about_policy = PolicyCommands(
            self.policies, self.commands.shown, self.commands.find, self.commands.unknown
        )
        table = {**self.commands.table(), **about_policy.table()}
        self.control = Control(table, _admission(settings), self._audit, self.reserve)
        self._orders = {
            **self.roster.orders(),
            Settings: self._settings,
            HostsFiles: lambda message, _: self.policies.hosts_told(message),
            PeerSocket: self.datagrams.answered,
            SpawnerUp: self._spawner_up,
            SpawnerDown: self._spawner_down,
            Serve: self._serve,
            ReloadResult: lambda result, _: self.commands.reloaded(result),
            Stop: lambda order, _: self._stop(order),
            DumpState: self._dump_state,
            Ping: lambda ping, _: self.say(Pong(ping.number)),
        }

    # --- the master ---

    def say(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Tell the master something. If it is gone, so are we, at the next turn. Descriptors are closed."""
        try:
            self.link.post(message, descriptors, close=True)
        except OSError:
            return
        if self.link.wants_write:
            self.poller.watch_writing(self.link.fileno(), True)

    def _from_master(self) -> None:
        try:
            if self.link.wants_write:
                self.link.flush()
                self.poller.watch_writing(self.link.fileno(), self.link.wants_write)
            with self.reserve:
                for received in self.link.receive():
                    self._orders[type(received.message)](received.message, received.descriptors)
        except (EOFError, OSError):
            self.log.flush()
            self._nursery.cancel_scope.cancel()

    def _settings(self, message: Settings, descriptors: list[int]) -> None:
        self.control.admission = _admission(message)
        self.dispatch.credits = message.credits
        self.policies.total.most = message.max_connections
        if message.log:
            log = descriptors.pop()
            self.log.replace_sink(
                Sink(SinkKind(message.log_kind), log, message.log_format, message.syslog_facility)
            )
        self._control_scope.cancel()
        if message.control:
            self._control_scope = trio.CancelScope()
            self._nursery.start_soon(
                self._serve_control, socket.socket(fileno=descriptors.pop()), self._control_scope
            )
        close_all(descriptors)

    async def _serve_control(self, listener: socket.socket, scope: trio.CancelScope) -> None:
        with listener, scope:
            await self.control.serve(listener, self._nursery)

    def _spawner_up(self, message: SpawnerUp, descriptors: list[int]) -> None:
        link = Link(socket.socket(fileno=descriptors[0]), Role.ACCEPTOR, Role.SPAWNER)
        self.spawners.up(self.services[message.service], message, link)

    def _spawner_down(self, message: SpawnerDown, _: list[int]) -> None:
        service = self.services.get(message.service)
        if service is None:
            return  # gone, and this was still importing its handler
        spawner = self.spawners.down(service, message.spawner)
        service.asked_for_spawner = False
        orphans = [
            child.id for child in service.children.values() if spawner and child.spawner == spawner.number
        ]
        self.children.lost(service, orphans)
        if message.reason:
            self.dispatch.spawner_died(service)
            if service.spawner is not None:
                self.dispatch.further_spawner_failed(service)
            elif not self.stopping.has_begun:
                trouble = f"its spawner failed: {message.reason}"
                self.dispatch.retry_later(service, lambda: self._look_again(service), trouble)
        self._look_again(service)
        self.roster.bury(service)
        self.stopping.consider()

    def _serve(self, _: Serve, __: list[int]) -> None:
        self.serving = True
        self.spawners.taking_over = False
        for service in self.services.values():
            self._look_again(service)

    def _look_again(self, service: Service) -> None:
        """Start what is due, and poll what may be polled."""
        if not self.serving or self.stopping.has_begun or service.retired:
            return
        if service.sent:
            self.dispatch.ensure_spawner(service)
        self.instances.consider(service)
        self.poll(service)

    def poll(self, service: Service) -> None:
        self.entrances.poll(service)

    # --- what its parts ask for ---

    def _want_spawner(self, service: Service) -> None:
        self.say(SpawnerWanted(service.id))

    def _lost(self, service: Service, ids: list[int]) -> None:
        self.children.lost(service, ids)
        self.poll(service)

    def _instance_ended(self, service: Service, lasted_s: float, outcome: Outcome) -> None:
        self.instances.ended(service, lasted_s, outcome)
        self.stopping.consider()

    def _served_one_less(self, service: Service) -> None:
        if service.engine.queues:
            self.poll(service)
        self.idle.left(service)
        self.roster.bury(service)

    def _targets(self) -> Iterable[str]:
        return [service.settings.forward for service in self.services.values() if service.settings.forward]

    def _ask_name(self, name: str, answer: Answer) -> None:
        """Have a name looked up; the answer comes back from the resolver's threads into trio."""
        self.resolver.ask(name, lambda *found: self._token.run_sync_soon(answer, *found))

    def _took(self, connections: int) -> None:
        self.poller.taken += connections

    def _exhausted(self, listener: Listener, error: OSError) -> None:
        self.log.log(
            EventName.ERROR,
            Level.ERR,
            f"cannot accept: {os.strerror(error.errno or errno.EIO)}; tried again",
            service=listener.service.settings.name,
            listen=listener.name,
        )

    def _crowded(self, error: OSError) -> None:
        self.log.log(
            EventName.ERROR,
            Level.ERR,
            f"the kernel watches no more descriptors: {os.strerror(error.errno or errno.ENOSPC)}; tried again",
        )

    def _after(self) -> None:
        self.log.flush()

    async def _tend(self) -> None:
        """What waits for a slow sink, or to be said as repeated, goes out even if nothing else happens; and counts are
        left with the master, here rather than for each connection."""
        while True:
            await trio.sleep(TEND_S)
            if self.log.pending:
                self.log.flush()
            self.policies.leave_counts()

    # --- the administrator ---

    def _stop(self, order: Stop) -> None:
        self.instances.stopping = True
        self.stopping.begin(order)

    def _audit(self, command: str, uid: int, request: Mapping[str, Any]) -> None:
        self.log.log(EventName.CONTROL, Level.NOTICE, command=command, uid=uid, **told_of(request))

    def _dump_state(self, _: DumpState, __: list[int]) -> None:
        for fields in state_lines(self.services.values()):
            self.log.log(EventName.STATE, Level.NOTICE, **fields)


def _admission(settings: Settings) -> Admission:
    return Admission(
        frozenset(settings.admin_uids), frozenset(settings.reader_gids), frozenset(settings.admin_gids)
    )
