"""Every message that superd's processes exchange: what is said, not who may say it (that is ``table.py``).

Messages carry ids, never power: the acceptor says "service 3", and the master alone knows which program, user
and address that is.
"""

from __future__ import annotations

from attrs import frozen

MAX_DESCRIPTORS = 253
"""SCM_MAX_FD of the kernel: descriptors that fit one message (unix(7))."""

EPOCH_SHIFT = 40
"""An id is the number of the acceptor that gave it, shifted by so many bits, and a count."""

MAX_BATCH = 32
"""Connections that travel in one packet."""

MAX_CREDITS = 64
"""Connections of one service that may be sent and not yet acknowledged with a pid."""

MAX_EVENTS = 256
"""Events in one ``Report``."""

MAX_OUTPUT_BYTES = 8192
"""Longest line of a child's standard error that is kept whole."""


# --- master -> acceptor ------------------------------------------------------------------------------------


@frozen
class Settings:
    """First message to a new acceptor, and again when ``[superd]`` or the log changes.

    Descriptors: the control socket's listener (none when ``control`` could not be bound), then the log's (none
    when the log is standard error).
    """

    epoch: int
    log_kind: str
    log_format: str
    syslog_facility: str
    admin_uids: tuple[int, ...]
    reader_gids: tuple[int, ...]
    admin_gids: tuple[int, ...]
    credits: int
    max_connections: int
    config_file: str
    control: bool
    log: bool


@frozen
class ServiceSettings:
    """What the acceptor may know of a service: nothing of environment, files or privileges that it must not name.

    ``traits`` (of ``config.drafts``) say which keys mean something to it; ``builtin``, or ``forward``, a target to
    connect to, is what the acceptor itself serves.
    ``user``, ``program``, ``exec_path`` and ``handler`` are words to show; no request can carry them back.
    """

    name: str
    mode: str
    user: str
    program: tuple[str, ...]
    exec_path: str
    listen: tuple[str, ...]
    traits: tuple[str, ...]
    runtime_max_s: float
    idle_timeout_s: float
    timeout_stop_s: float
    kill_signal: int
    standard_error: str
    builtin: str = ""
    ident_user: str = ""
    forward: str = ""
    handler: str = ""
    most_spawners: int = 1


@frozen
class ServiceUp:
    """A service, new or changed: what was known of it and of its listeners is replaced, its children are not.

    Descriptors: the acceptor's end of its work link, when the service is new.
    """

    service: int
    settings: ServiceSettings


@frozen
class ListenerUp:
    """One listener of a service: its place in ``listen``, its name, and (the descriptor) the socket itself."""

    service: int
    listener: int
    name: str
    datagram: bool


@frozen
class ListenerDown:
    """A listener that could not be opened yet, why, and is tried again."""

    service: int
    listener: int
    name: str
    reason: str


@frozen
class ServiceDown:
    """A service that is gone: its listeners are closed, its instances ended, its connections go on."""

    service: int


@frozen
class ServiceFaulty:
    """A service that is off, and why (``enabled = false`` included); shown by status, nothing else."""

    service: int
    settings: ServiceSettings
    reason: str


@frozen
class SpawnerUp:
    """A spawner was born, or a new acceptor hears of it. Descriptors: the acceptor's end of its own link."""

    service: int
    spawner: int
    pid: int
    retiring: bool


@frozen
class SpawnerDown:
    """A spawner ended. ``reason`` is empty when it was retired, else why it died or could not start."""

    service: int
    spawner: int
    reason: str


@frozen
class Serve:
    """All services have been told: the acceptor may begin."""


@frozen
class ReloadResult:
    """The answer to ``ReloadWanted``: what the administrator is to read."""

    request: int
    ok: bool
    lines: tuple[str, ...]


@frozen
class Stop:
    """Stop accepting, end wait and always instances (with ``children`` every child), then say ``Stopped``."""

    children: bool


@frozen
class DumpState:
    """Log the state of every service (SIGUSR1)."""


# --- acceptor -> master ------------------------------------------------------------------------------------


@frozen
class Ready:
    """The acceptor has dropped its privileges and serves."""


@frozen
class SpawnerWanted:
    """A service has work and no spawner."""

    service: int


@frozen
class SpawnerIdle:
    """A spawner has had nothing to do for long: retire it."""

    service: int
    spawner: int


@frozen
class SpawnerStuck:
    """A spawner does not answer its pings: replace it."""

    service: int
    spawner: int


@frozen
class ReloadWanted:
    """Read the configuration again; answered by ``ReloadResult`` with the same number."""

    request: int


@frozen
class StopWanted:
    """Stop superd; with ``children`` end every child too."""

    children: bool


@frozen
class Stopped:
    """The answer to ``Stop``: every instance has ended."""


# --- both ways ---------------------------------------------------------------------------------------------


@frozen
class Ping:
    """Are you alive? ``logged`` is the number of the last ``Report`` whose events are in the log."""

    number: int
    logged: int = 0


@frozen
class Pong:
    """The answer to ``Ping``, with its number."""

    number: int


# --- spawner -> master, and back ---------------------------------------------------------------------------


@frozen
class SpawnerReady:
    """Privileges are dropped, limits set: the spawner takes connections."""


@frozen
class SpawnerFailed:
    """A spawner's last words: which step of taking its user's place failed and why, or a defect of ours."""

    reason: str


@frozen
class Retire:
    """Take no more work; end when the last child has."""


# --- acceptor -> spawner -----------------------------------------------------------------------------------


@frozen
class Hello:
    """First message of every acceptor: replay what I cannot know."""

    epoch: int


@frozen
class Peer:
    """Who is at the other end of a connection, as numbers: a spawner makes the text itself.

    Args:
        family: AF_INET, AF_INET6 or AF_UNIX.
        remote, local: packed addresses (4 or 16 bytes); for AF_UNIX empty.
        remote_port, local_port: port numbers; 0 for AF_UNIX.
        scope: interface index of a link-local IPv6 address.
        pid, uid, gid: credentials of an AF_UNIX peer, else 0.
        datagram: the connection is a connected datagram socket.
    """

    family: int
    remote: bytes = b""
    remote_port: int = 0
    local: bytes = b""
    local_port: int = 0
    scope: int = 0
    pid: int = 0
    uid: int = 0
    gid: int = 0
    datagram: bool = False


@frozen
class Connections:
    """A batch of connections to serve: (id, peer) each. Descriptors: one a connection, in the same order."""

    batch: tuple[tuple[int, Peer], ...]


@frozen
class StartInstance:
    """Start the wait or always instance, with listener ``listener`` (an index) as its descriptor 0."""

    id: int
    listener: int


@frozen
class Kill:
    """Send a signal to the process group of child ``id``."""

    id: int
    signal: int


# --- spawner -> acceptor -----------------------------------------------------------------------------------


@frozen
class Welcome:
    """The answer to ``Hello``: ``Known``, replayed reports and ``Told`` follow, then what is new."""

    epoch: int


@frozen
class Told:
    """All that there was to replay has been said."""


@frozen
class Known:
    """Connections of which a new acceptor has never heard: between ``Welcome`` and ``Told`` those whose children
    live or whose end was not logged yet, later those that an earlier acceptor sent and nobody had taken."""

    batch: tuple[tuple[int, Peer], ...]


@frozen
class Started:
    """Child ``id`` runs as ``pid``; times are CLOCK_MONOTONIC seconds, the same in every process."""

    id: int
    pid: int
    started: float


@frozen
class Failed:
    """Child ``id`` could not be started: an errno."""

    id: int
    errno: int
    started: float


@frozen
class Ended:
    """Child ``id`` ended.

    Args:
        status: wait status as wait4(2) gives it.
        cpu: seconds of user and system time.
        max_rss: peak resident memory in bytes; 0 when it cannot be told from the spawner's own.
        started, ended: CLOCK_MONOTONIC seconds.
    """

    id: int
    pid: int
    status: int
    cpu: float
    max_rss: int
    started: float
    ended: float


Event = Started | Failed | Ended


@frozen
class Report:
    """What happened to children since the last report. ``number`` counts up by one a report."""

    number: int
    events: tuple[Event, ...]


@frozen
class Output:
    """Lines that child ``id`` wrote on its standard error; ``lost`` more were over the service's rate."""

    id: int
    pid: int
    lines: tuple[str, ...]
    lost: int
