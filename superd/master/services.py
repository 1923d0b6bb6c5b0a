"""The master's view of a service: its sockets, which outlive every other process, and its spawners."""

from __future__ import annotations

import os
import socket

from attrs import define, field

from superd.config.model import Mode, Service
from superd.config.traits import traits_of
from superd.kernel.endpoints import Endpoint
from superd.kernel.identity import Identity, resolve
from superd.kernel.listen import FileId
from superd.master.loop import Timer
from superd.wire.fds import Link, pair
from superd.wire.messages import ServiceSettings
from superd.wire.policies import ServicePolicy

MOST_BY_ITSELF = 8
"""Spawners of a service whose ``spawners`` is "auto": before they are the limit, the acceptor is."""

FileVersion = tuple[int, ...]
"""What tells one version of a file from the next; empty where there is none."""


@define(eq=False)
class Listener:
    """One endpoint of a service and its socket, or why there is none yet.

    Args:
        may_come: it failed for want of its address; interfaces come and go, so that is no fault.
    """

    endpoint: Endpoint
    sock: socket.socket | None = None
    file_id: FileId | None = None
    reason: str = ""
    may_come: bool = False
    attempts: int = 0
    timer: Timer | None = None


@define(eq=False)
class Spawner:
    """A spawner's process.

    Args:
        link: the master's own link to it.
        acceptor_end: the acceptor's end of the spawner's link, kept for the next acceptor.
        retiring: it takes no more work and ends with its last child.
        ready: it has said that it takes connections. Until then the acceptor knows nothing of one that imports
            a handler, which may take longer than a sign of life.
        reason: why it is being ended, or why it said it failed.
    """

    number: int
    pid: int
    link: Link
    acceptor_end: socket.socket
    retiring: bool = False
    ready: bool = False
    reason: str = ""


@define(eq=False)
class Managed:
    """A service under the master's care.

    Args:
        id: never used twice, so a late message about a service that is gone means nothing.
        identity: whom its programs run as, as the user database had it when the service came up.
        files: which version of its environment file and its handler that was.
        fault: why it is off; empty: it is on.
        unusable: the version of them whose handler could not be imported.
        note: what the acceptor wants the next one to know.
        policy: what the present acceptor was told last, the note apart.
        work_in, work_out: the link on which connections travel: the acceptor's end and the spawners'. Both are
            kept, so that neither side's death loses what is under way.
    """

    id: int
    service: Service
    identity: Identity | None = None
    files: FileVersion = ()
    fault: str = ""
    unusable: FileVersion = ()
    retry: Timer | None = None
    listeners: list[Listener] = field(factory=list)
    spawners: dict[int, Spawner] = field(factory=dict)
    work_in: socket.socket | None = None
    work_out: socket.socket | None = None
    last_number: int = 0
    note: str = ""
    policy: ServicePolicy | None = None

    def open_work(self) -> None:
        """Open the link, unless it is open or nothing is ever sent on it."""
        if self.work_in is None and self.service.has_children:
            self.work_in, self.work_out = pair()

    def close_work(self) -> None:
        for end in (self.work_in, self.work_out):
            if end is not None:
                end.close()
        self.work_in = self.work_out = None

    @property
    def is_open(self) -> bool:
        """Whether its listeners can be given away: all of them for an instance, which gets them at its start."""
        if not self.listeners:  # it is off
            return False
        opened = [listener.sock is not None for listener in self.listeners]
        return any(opened) if self.service.mode is Mode.NOWAIT else all(opened)

    def settings(self) -> ServiceSettings:
        """What the acceptor may know."""
        service = self.service
        return ServiceSettings(
            name=service.name,
            mode=service.mode.value,
            user=user_text(service),
            program=service.exec,
            exec_path=service.exec_path,
            listen=tuple(listen.text for listen in service.listen),
            traits=tuple(sorted(traits_of(service))),
            runtime_max_s=service.runtime_max_s,
            idle_timeout_s=service.idle_timeout_s,
            timeout_stop_s=service.timeout_stop_s,
            kill_signal=service.kill_signal,
            standard_error=service.standard_error.value,
            forward=service.forward.text if service.forward else "",
            builtin=service.builtin or "",
            ident_user=service.ident_user,
            handler=service.handler.text if service.handler else "",
            most_spawners=self.most_spawners,
        )

    @property
    def most_spawners(self) -> int:
        """How many spawners may take its connections at a time, on this machine."""
        return most_spawners(self.service, len(os.sched_getaffinity(0)))


def most_spawners(service: Service, processors: int) -> int:
    """How many spawners may take a service's connections at a time.

    While one waits for its child to be executed (vfork), the others go on; so on a single processor too a second
    one is worth its memory.
    """
    if service.has_instance:
        return 1
    return service.spawners or min(MOST_BY_ITSELF, max(2, processors))


def user_text(service: Service) -> str:
    """``user`` or ``user:group``, as one would write it; who names none is served by an ordinary user's superd. A user
    that exists only for the service is "dynamic"."""
    if service.sandbox.dynamic_user:
        return "dynamic"
    user = service.user or (resolve("").user if os.geteuid() else "")
    return f"{user}:{service.group}" if service.group else user
