"""The master: reads the configuration, keeps every listening socket, and brings up the others.

The only process of superd that is root. It reads no byte from the network, loads nothing but the standard
library and attrs, and does little: what it may be asked is in ``requests.py``.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping

from superd import __version__
from superd.config.legacy.detect import Kind
from superd.config.legacy.wishes import Wishes
from superd.config.load import load
from superd.config.model import INFINITY, Config
from superd.errors import ConfigError, Fault
from superd.kernel import linux
from superd.kernel.birth import SpawnerLife
from superd.kernel.identity import Identity, IdentityError, acceptor_identity
from superd.kernel.listen import inherited_listeners
from superd.kernel.notify import Notifier
from superd.log import EventName, Level, Logger
from superd.master.acceptor import AcceptorKeeper
from superd.master.births import BirthError
from superd.master.descriptors import credits, nofile, raise_nofile
from superd.master.grants import Grants
from superd.master.listeners import Adoptable
from superd.master.loop import Loop
from superd.master.outside import ControlSocket, Log, control_groups, settings_message
from superd.master.policies import HostsWatch
from superd.master.registry import Registry
from superd.master.reload import brief, compare
from superd.master.requests import ANSWERS
from superd.master.rights import Rights
from superd.master.services import Managed
from superd.master.spawners import Spawners
from superd.wire.messages import DumpState, Serve, Stop

STEERING = frozenset(
    {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2}
)
"""Signals that tell superd something. They are blocked while nobody would listen, before it serves and when it is
over, and so neither end it halfway nor change its exit code."""

MOST_STILLBORN = 3
"""After that many acceptors that never served, superd gives up: whoever started it waits for a word."""

MOST_REAPED = 256
"""Processes collected in one turn."""

STOP_MARGIN_S = 5.0
"""Longer than the longest ``timeout_stop`` by that much: then the acceptor is not waited for any more."""


class Master:
    """superd, seen from above.

    Args:
        config_file: what was given with ``-f``.
        config: what stands in it.
        environ: the environment superd was started with.
        spawner_life: what a forked spawner does.
        ready: called once, when superd serves (``--daemon`` waits for it).
        wishes: how the file is read when it is another super-server's.

    Raises:
        ConfigError: ``[superd]`` asks for what cannot be had (log, control socket, groups).
    """

    def __init__(
        self,
        config_file: str,
        config: Config,
        environ: Mapping[str, str],
        spawner_life: SpawnerLife,
        ready: Callable[[], None],
        wishes: Wishes = Wishes(),  # noqa: B008 - frozen
    ) -> None:
        self.config_file = config_file
        self._wishes = wishes
        self.config = config
        self.loop = Loop()
        self.stopping = False
        self._failure = ""
        self._ready: Callable[[], None] | None = ready
        self._rights = Rights()
        self._notifier = Notifier(environ)
        self._adoptable = Adoptable(inherited_listeners(environ, os.getpid()))
        soft_nofile = raise_nofile()
        self._log_file = Log(config.settings, config_file)
        self.log = Logger(self._log_file.sink(), time.time, immediate=True)
        self._control = ControlSocket(config.settings, config_file)
        self.spawners = Spawners(
            self.loop,
            spawner_life,
            environ,
            soft_nofile,
            self.tell,
            self._warn_of_service,
            lambda pid: pid == self.acceptor.pid,
        )
        identity = acceptor_identity(config.settings.user)
        self.acceptor = AcceptorKeeper(
            self.loop, identity, {}, self._introduce, self._heard, self._warn_of_acceptor
        )
        as_root = os.geteuid() == 0
        self._registry = Registry(
            self.loop, self.log, self.spawners, self.tell, identity.uid if as_root else None
        )
        acceptor_uid, log_file = lambda: self.acceptor.identity.uid, lambda: self._log_file
        self._grants = Grants(self.loop, config_file, acceptor_uid, log_file, self._warn_of_grants)
        self._hosts = HostsWatch(self.loop, self._registry.asking_hosts, self.tell, self._warn_of_hosts)

    @property
    def services(self) -> dict[int, Managed]:
        return self._registry.services

    @property
    def serving(self) -> int:
        """How many services listen; not those that are off or wait for a port."""
        return sum(managed.is_open for managed in self.services.values())

    def find(self, id_: int) -> Managed | None:
        """A service by its number; one that was removed too, as long as it has spawners."""
        return self._registry.find(id_)

    def run(self) -> None:
        """Serve until stopped.

        Raises:
            BirthError: no acceptor can be executed, or none comes as far as serving.
        """
        linux.set_child_subreaper()
        self.loop.on_signals(self._signals())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STEERING)
        for warning in self.config.warnings:
            self.log.log(EventName.WARNING, Level.WARNING, str(warning))
        self._registry.add(self.config.services.values(), self._adoptable)
        for address in self._adoptable.close():
            self.log.log(
                EventName.WARNING, Level.WARNING, "passed by LISTEN_FDS and not in listen", listen=address
            )
        self._hosts.look()
        self._grants.begin(self.config)
        if self._wishes.usual is None:  # whoever stands in for an inetd takes any new service at a SIGHUP
            self._rights.settle(self.config)  # all that could be opened is open, or its owner named
        self.acceptor.start()
        if self._notifier.watchdog_s:
            self._say_alive()
        self.loop.run()
        signal.pthread_sigmask(signal.SIG_BLOCK, STEERING)  # Python takes its handlers away before it ends
        if self._failure:
            raise BirthError(self._failure)

    def _signals(self) -> Iterator[tuple[int, Callable[[], object]]]:
        """What each signal does; some mean something else to those who know superd under the name of xinetd."""
        yield signal.SIGCHLD, self._reap
        yield signal.SIGHUP, self.reload
        yield signal.SIGINT, self.stop
        yield signal.SIGQUIT, self.stop  # what ends xinetd and leaves its servers alone
        yield signal.SIGUSR1, lambda: self.tell(DumpState())
        if self._wishes.usual is Kind.XINETD:
            yield signal.SIGTERM, lambda: self.stop(children=True)
            yield signal.SIGUSR2, self.reload
            yield signal.SIGABRT, self._refuse_check
        else:
            yield signal.SIGTERM, self.stop
            yield signal.SIGUSR2, self._refuse_upgrade

    def now_ready(self) -> None:
        """The acceptor serves."""
        if self._ready is None:
            return
        self.log.log(
            EventName.START,
            Level.NOTICE,
            f"superd {__version__} serves {self.serving} of {len(self.services)} services",
            config=self.config_file,
            pid=os.getpid(),
            user=self.acceptor.identity.user,
            capabilities=self._rights.kept,
        )
        self._notifier.ready(self.serving)
        ready, self._ready = self._ready, None
        ready()

    def _say_alive(self) -> None:
        """What a manager with a watchdog waits for: whoever turns this loop is not stuck."""
        self._notifier.alive()
        self.loop.after(self._notifier.watchdog_s, self._say_alive)

    # --- the acceptor ---

    def tell(self, message: object, descriptors: list[int] | None = None) -> None:
        self.acceptor.tell(message, descriptors)

    def _heard(self, message: object, descriptors: list[int]) -> None:
        ANSWERS[type(message)](self, message, descriptors)

    def _introduce(self) -> None:
        """Tell a new acceptor the world: the same messages, in the same order, at start and after a crash."""
        self._send_settings()
        if self._hosts.files is not None:
            self.tell(self._hosts.files)
        self._registry.introduce_all()
        self.tell(Serve())
        if self.stopping:
            self.tell(Stop(children=False))

    def _send_settings(self) -> None:
        message, descriptors = settings_message(
            self.acceptor.epoch,
            self.config_file,
            self.config.settings,
            self._log_file,
            self._control,
            credits(len(self.services), nofile()),
        )
        self.tell(message, descriptors)

    def _refuse_upgrade(self) -> None:
        """SIGUSR2, which would end a process that does not know it."""
        self.log.log(EventName.WARNING, Level.WARNING, "SIGUSR2 means nothing to this version; restart it")

    def _refuse_check(self) -> None:
        """SIGABRT, by which xinetd is told to look whether its tables agree."""
        self.log.log(EventName.WARNING, Level.WARNING, "SIGABRT: superd has no tables of xinetd's to check")

    def _warn_of_acceptor(self, text: str) -> None:
        self.log.log(EventName.ACCEPTOR, Level.WARNING, text)
        if self._ready is not None and self.acceptor.deaths >= MOST_STILLBORN:
            self._failure = "the acceptor ends again and again before it serves; what it said is above"
            self.finish()

    def _warn_of_hosts(self, text: str) -> None:
        self.log.log(EventName.ERROR, Level.ERR, text)

    def _warn_of_grants(self, text: str) -> None:
        self.log.log(EventName.GRANT, Level.WARNING, text)

    def _warn_of_service(self, managed: Managed, text: str) -> None:
        self.log.log(EventName.SPAWNER, Level.WARNING, text, service=managed.service.name)

    def _reap(self) -> None:
        """Collect the dead: the acceptor, spawners, and what children of dead spawners left (subreaper).

        Anybody's orphans come here, however many: no more of them at once than leave the rest its turn.
        """
        for _ in range(MOST_REAPED):
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self.acceptor.ended(pid, status) and self.stopping:
                self.finish()
            self.spawners.ended(pid, status)
            self._grants.ended(pid, status)
        self.loop.after(0, self._reap)

    # --- reload ---

    def reload(self) -> tuple[bool, list[str]]:
        """Read the configuration again and put it into force, or change nothing; returns what to tell."""
        if self.stopping:
            return False, ["superd is stopping"]
        self._notifier.reloading()
        try:
            if self.config_file == "-":
                raise ConfigError(
                    [Fault("standard input", "", "cannot be read again", "start superd with -f FILE")]
                )
            config = load(self.config_file, wishes=self._wishes)
            lines = brief(self._apply(config))
        except ConfigError as error:
            self._rotate_log()
            lines = brief([str(fault) for fault in error.faults])
            for line in lines:
                self.log.log(EventName.RELOAD, Level.ERR, f"not reloaded: {line}")
            self._notifier.ready(self.serving)
            return False, lines
        for line in lines:
            self.log.log(EventName.RELOAD, Level.NOTICE, line)
        self._notifier.ready(self.serving)
        return True, lines

    def _apply(self, config: Config) -> list[str]:
        """Prepare everything, then swap.

        Raises:
            ConfigError: something new cannot be had; nothing was changed.
        """
        change = compare(self.config.services, config.services, self._registry.outdated())
        user_changed = self.config.settings.user != config.settings.user
        identity = self._acceptor_identity(config) if user_changed else self.acceptor.identity
        old = self._registry.by_name()
        leaving = (*change.changed, *change.removed)
        retuned = [config.services[name] for name in change.retuned]
        prepared = [
            self._registry.prepare(config.services[name], old, leaving)
            for name in (*change.changed, *change.added)
        ]
        faults: list[Fault] = [fault for one in prepared for fault in one.faults]
        faults += [fault for service in retuned for fault in self._registry.inspect(service)]
        grants = self._grants.prepare(config)
        faults += grants.faults
        faults = self._rights.faults(config, faults)
        control = None
        try:
            if faults:
                raise ConfigError(faults)
            groups = control_groups(config.settings, self.config_file)
            if self.config.settings.control != config.settings.control:
                control = ControlSocket(config.settings, self.config_file)
            self._reopen_log(config)
            if control is None:
                self._control.admit(groups, self.config_file)
        except ConfigError:
            for one in prepared:
                self._registry.give_up(one)
            self._grants.give_up(grants)
            if control is not None:
                control.close()
            raise
        if control is not None:
            self._control.close()
            self._control = control
        self.config = config
        self._registry.swap(prepared, change.removed, change.changed, old)
        for service in retuned:
            old[service.name].service = service
        self._hosts.look()
        self._registry.tell_policies()
        self._registry.recheck_faulty()
        self._send_settings()
        self._grants.put_into_force(grants)
        if user_changed:
            self.acceptor.identity = identity
            self._registry.acceptor_uid = identity.uid if os.geteuid() == 0 else None
            self.acceptor.kill("its user changed")
        return [f"reloaded: {change}", *(f"warning: {warning}" for warning in config.warnings)]

    def _acceptor_identity(self, config: Config) -> Identity:
        try:
            return acceptor_identity(config.settings.user)
        except IdentityError as error:
            value = f'"{config.settings.user}"'
            fault = Fault(self.config_file, "superd.user", error.problem, error.remedy, value)
            raise ConfigError([fault]) from error

    def _reopen_log(self, config: Config) -> None:
        """Every reload opens the log anew, so that one may rotate it."""
        log = Log(config.settings, self.config_file)
        self.log.replace_sink(log.sink())
        self._log_file.close()
        self._log_file = log

    def _rotate_log(self) -> None:
        """The same for a reload that changes nothing else. A log that cannot be opened any more goes on as it is."""
        try:
            self._reopen_log(self.config)
        except ConfigError as error:
            self.log.log(EventName.RELOAD, Level.ERR, f"the log stays where it was: {error}")
        else:
            self._send_settings()
            self._grants.refresh()

    # --- stop ---

    def stop(self, children: bool = False) -> None:
        """Close the listeners, have instances ended, then go. A second request does not wait for them."""
        if self.stopping:
            self.finish()
            return
        self.stopping = True
        self.log.log(EventName.STOP, Level.NOTICE, "stopping", pid=os.getpid())
        self._notifier.stopping()
        self._registry.close_all()
        self.tell(Stop(children))
        timeouts = [managed.service.timeout_stop_s for managed in self.services.values()]
        if INFINITY not in timeouts:
            self.loop.after(max(timeouts, default=0.0) + STOP_MARGIN_S, self.finish)
        if not self.acceptor.pid:
            self.finish()

    def finish(self) -> None:
        """The end: hang up on everybody."""
        self.spawners.dismiss_all()
        self.acceptor.dismiss()
        self._control.close()
        self._grants.close()
        self.log.log(EventName.STOP, Level.NOTICE, "stopped", pid=os.getpid())
        self.loop.stop()
