"""Children, as their spawners report them: counted, logged, and ended when their time is over."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable
from time import monotonic_ns

from superd.acceptor.dispatch import Dispatch
from superd.acceptor.services import Child, Service, SpawnerLink
from superd.acceptor.timers import Timers
from superd.log import Connection, End, EventName, Level, Logger
from superd.policy.outcome import Outcome, of_status, status_word
from superd.wire.messages import Ended, Event, Failed, Kill, Output, Started

_HINTS = {
    errno.ENOENT: " (or the interpreter or loader that the file names)",
    errno.ENOEXEC: " (a script begins with #! and its interpreter)",
}
"""What exec's words for a program that is plainly there may mean: execve(2), ENOENT and ENOEXEC."""

INSTANCE = "-"
"""What stands for the source in the log of an instance, which serves many."""

UNKNOWN = "unknown"
"""What stands for the source of a connection that was given up as lost, or that an earlier acceptor took."""


class Children:
    """Keeps every service's children.

    Args:
        instance_ended: told (service, seconds it lasted, outcome) when an instance ended.
        poll: asked to look again at whether a service is to be polled.
    """

    def __init__(
        self,
        log: Logger,
        timers: Timers,
        dispatch: Dispatch,
        instance_ended: Callable[[Service, float, Outcome], None],
        poll: Callable[[Service], None],
    ) -> None:
        self._log = log
        self._timers = timers
        self._dispatch = dispatch
        self._instance_ended = instance_ended
        self._poll = poll

    def reported(self, service: Service, spawner: SpawnerLink, events: Iterable[Event]) -> None:
        """Take one report."""
        for event in events:
            if isinstance(event, Started):
                self._started(service, spawner, event)
            elif isinstance(event, Ended):
                self._ended(service, event)
            else:
                self._failed(service, event)
        self._poll(service)

    def _started(self, service: Service, spawner: SpawnerLink, event: Started) -> None:
        child = service.children.get(event.id)
        if child is None:  # replayed by a spawner that knew an earlier acceptor; Known named the others
            source = INSTANCE if service.has_instance else UNKNOWN
            child = service.children[event.id] = Child(event.id, source, 0)
            if source is INSTANCE:
                service.instance = event.id
        elif not child.known:
            self._dispatch.acknowledged(service, event.id)
            service.failures = 0
            self._log_start(service, child, event)
        child.pid, child.spawner = event.pid, spawner.number
        if child.ending:  # while it was still under way
            self._signal(service, child, service.settings.kill_signal)
        if service.settings.runtime_max_s >= 0 and child.timer is None:
            child.timer = self._timers.after(
                service.settings.runtime_max_s, lambda: self.end(service, child, Outcome.TIMED_OUT)
            )

    def _log_start(self, service: Service, child: Child, event: Started) -> None:
        name, id_ = service.settings.name, format(event.id, "x")
        if child.source == INSTANCE:
            self._log.log(EventName.START, Level.INFO, service=name, pid=event.pid, id=id_)
        else:
            self._log.connection(Connection(name, child.source, child.port, event.pid, id_))

    def _ended(self, service: Service, event: Ended) -> None:
        child = self._forget(service, event.id)
        if child is None:
            return
        lasted = event.ended - event.started
        outcome = Outcome(child.ending) if child.ending else of_status(event.status)
        self._log.end(
            End(
                service.settings.name,
                child.source,
                event.pid,
                format(event.id, "x"),
                outcome.value,
                status_word(event.status),
                lasted,
                event.cpu,
                event.max_rss or None,
            )
        )
        self._after_end(service, child, lasted, outcome)

    def _failed(self, service: Service, event: Failed) -> None:
        child = self._forget(service, event.id)
        source = child.source if child is not None else UNKNOWN
        self._dispatch.acknowledged(service, event.id)
        self._log.log(
            EventName.ERROR,
            Level.ERR,
            f"cannot start {_program(service)}: {os.strerror(event.errno)}{_HINTS.get(event.errno, '')}",
            service=service.settings.name,
            source=source,
            outcome=Outcome.NEVER_STARTED.value,
        )
        if child is not None:
            self._after_end(service, child, 0.0, Outcome.NEVER_STARTED)

    def lost(self, service: Service, ids: Iterable[int]) -> None:
        """Children whose spawner died: they may run on, but nobody will see them end."""
        ended = [child for child in (self._forget(service, id_) for id_ in ids) if child is not None]
        if ended:
            self._log.log(
                EventName.WARNING,
                Level.WARNING,
                f"{len(ended)} connections lost sight of, their spawner died",
                service=service.settings.name,
                outcome=Outcome.LOST.value,
            )
        for child in ended:
            self._after_end(service, child, 0.0, Outcome.LOST)

    def _forget(self, service: Service, id_: int) -> Child | None:
        child = service.children.pop(id_, None)
        if child is not None and child.timer is not None:
            child.timer.cancel()
        return child

    def _after_end(self, service: Service, child: Child, lasted: float, outcome: Outcome) -> None:
        service.engine.ended(child.id, outcome, monotonic_ns())
        if service.instance == child.id:
            service.instance = 0
            self._instance_ended(service, lasted, outcome)

    def end(self, service: Service, child: Child, why: Outcome) -> None:
        """End a child: its kill signal now, SIGKILL after ``timeout_stop``."""
        if child.ending:
            return
        child.ending = why.value
        if child.timer is not None:
            child.timer.cancel()
        self._signal(service, child, service.settings.kill_signal)
        if service.settings.timeout_stop_s >= 0:
            child.timer = self._timers.after(
                service.settings.timeout_stop_s, lambda: self._signal(service, child, signal.SIGKILL)
            )

    def _signal(self, service: Service, child: Child, number: int) -> None:
        spawner = service.spawners.get(child.spawner)
        if spawner is not None and child.pid:
            spawner.tell(Kill(child.id, number))

    def wrote(self, service: Service, output: Output) -> None:
        """Lines of a child's standard error."""
        name = service.settings.name
        for line in output.lines:
            self._log.log(EventName.OUTPUT, Level.INFO, line, service=name, pid=output.pid)
        if output.lost:
            self._log.log(
                EventName.WARNING,
                Level.WARNING,
                "lines of standard error left out, they came too fast",
                service=name,
                pid=output.pid,
                lines=output.lost,
            )


def _program(service: Service) -> str:
    """The file that is executed, and what it is called where that is something else."""
    if service.settings.handler:
        return service.settings.handler
    file, name = service.settings.exec_path, service.settings.program[0]
    return f"{file} (as {name})" if file not in ("", name) else name
