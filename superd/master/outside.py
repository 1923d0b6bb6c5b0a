"""What the master opens for the acceptor besides listeners: the log and the control socket."""

from __future__ import annotations

import os
import socket
import stat

from attrs import frozen

from superd.config.model import Listen, Scheme, SocketOptions, SuperdSettings
from superd.config.places import control_socket
from superd.errors import ConfigError, Fault
from superd.kernel.endpoints import Endpoint
from superd.kernel.identity import IdentityError, acceptor_identity, group_id
from superd.kernel.listen import FileId, open_listener, remove_socket_file, socket_file_id
from superd.kernel.owners import port_owner
from superd.kernel.sockopts import refuse_descriptors
from superd.log import Sink, SinkKind, obstacle, open_sink
from superd.wire.messages import Settings


class Log:
    """The log's descriptor, of which every acceptor gets a copy.

    Raises:
        ConfigError: the log cannot be opened.
    """

    def __init__(self, settings: SuperdSettings, file: str) -> None:
        try:
            kind, self.descriptor = open_sink(settings.log)
        except OSError as error:
            raise ConfigError([_log_fault(settings, file, f"cannot open it: {error.strerror}")]) from error
        self.kind = SinkKind(kind)
        self.settings = settings

    def sink(self) -> Sink:
        """A sink on a descriptor of its own."""
        copy = os.dup(self.descriptor)
        return Sink(self.kind, copy, self.settings.log_format, self.settings.syslog_facility)

    def close(self) -> None:
        os.close(self.descriptor)


def _log_fault(settings: SuperdSettings, file: str, problem: str) -> Fault:
    remedy = 'name a file in a folder that exists, or write "stderr"'
    return Fault(file, "superd.log", problem, remedy, f'"{settings.log}"')


@frozen
class Groups:
    """Who besides root may speak to the control socket: gids that may read, and that may change."""

    readers: tuple[int, ...]
    admins: tuple[int, ...]

    @property
    def owner(self) -> int | None:
        """The group that the file belongs to; None where that would leave somebody out, or nobody needs it."""
        gids = {*self.readers, *self.admins}
        return gids.pop() if len(gids) == 1 else None

    @property
    def mode(self) -> int:
        """The file's mode. It only keeps those out who may never: with no group root alone reaches it, with one
        its members, with two different ones everybody may connect and most are refused."""
        return {0: 0o600, 1: 0o660}.get(len({*self.readers, *self.admins}), 0o666)


def control_groups(settings: SuperdSettings, file: str) -> Groups:
    """The groups that ``[superd]`` names. Raises ConfigError: one does not exist."""
    return Groups(
        _gids(file, "control_group", settings.control_group),
        _gids(file, "control_admin_group", settings.control_admin_group),
    )


class ControlSocket:
    """The socket that superctl speaks to.

    Who may speak is decided by the acceptor, from the peer's credentials.

    Raises:
        ConfigError: it cannot be bound, or a group does not exist.
    """

    def __init__(self, settings: SuperdSettings, file: str) -> None:
        self.path = control_socket(settings.control, os.geteuid(), os.environ)
        self.groups = control_groups(settings, file)
        options = SocketOptions(
            socket_mode=self.groups.mode,
            socket_group=None if self.groups.owner is None else str(self.groups.owner),
            directory_mode=0o755 if os.geteuid() == 0 else 0o700,
        )
        self._endpoint = Endpoint(
            "control",
            Listen(self.path, Scheme.UNIX, path=self.path),
            int(socket.AF_UNIX),
            int(socket.SOCK_STREAM),
            self.path,
            None,
        )
        try:
            self.sock = open_listener(self._endpoint, options, nonblocking=True)
            refuse_descriptors(self.sock)
            require_private_folder(os.path.dirname(self.path))
        except OSError as error:
            raise ConfigError([self._fault(file, error)]) from error
        self._file_id: FileId | None = socket_file_id(self._endpoint)

    def admit(self, groups: Groups, file: str) -> None:
        """Let other groups speak; the socket stays. Its folder is private, so the path still means its file.

        Raises:
            ConfigError: the file's group or mode cannot be changed, or it is gone.
        """
        if groups == self.groups:
            return
        try:
            os.chown(self.path, -1, os.getegid() if groups.owner is None else groups.owner)
            os.chmod(self.path, groups.mode)
        except OSError as error:
            raise ConfigError([self._fault(file, error)]) from error
        self.groups = groups

    def _fault(self, file: str, error: OSError) -> Fault:
        owner = port_owner(self._endpoint)
        if owner:
            remedy = f"{owner} answers there: stop it, or name another path in [superd] control"
        else:
            remedy = "name a path in [superd] control that can be bound"
        return Fault(file, "superd.control", error.strerror or str(error), remedy, f'"{self.path}"')

    def close(self) -> None:
        if self._file_id is not None:
            try:
                remove_socket_file(self._endpoint, self._file_id)
            except OSError:
                pass  # the folder is gone
        self.sock.close()


def require_private_folder(folder: str) -> None:
    """Refuse a folder in which somebody else could put a socket of his own in the place of ours."""
    status = os.stat(folder)
    if status.st_uid not in (0, os.geteuid()) or (
        status.st_mode & 0o002 and not status.st_mode & stat.S_ISVTX
    ):
        raise OSError(1, f"{folder} belongs to somebody else, or everybody may write there")


def _gids(file: str, key: str, group: str) -> tuple[int, ...]:
    if not group:
        return ()
    try:
        return (group_id(group),)
    except IdentityError as error:
        raise ConfigError(
            [Fault(file, f"superd.{key}", error.problem, error.remedy, f'"{group}"')]
        ) from error


def inspect_settings(settings: SuperdSettings, file: str) -> tuple[int | None, list[Fault]]:
    """Whether this machine has what ``[superd]`` needs; nothing is opened.

    Returns:
        The uid of the acceptor (None where superd runs as an ordinary user, or it cannot be told) and every fault.
    """
    uid, faults = None, []
    try:
        uid = acceptor_identity(settings.user).uid if os.geteuid() == 0 else None
    except IdentityError as error:
        faults.append(Fault(file, "superd.user", error.problem, error.remedy, f'"{settings.user}"'))
    for key, group in (
        ("control_group", settings.control_group),
        ("control_admin_group", settings.control_admin_group),
    ):
        try:
            _gids(file, key, group)
        except ConfigError as error:
            faults += error.faults
    problem = obstacle(settings.log)
    if problem:
        faults.append(_log_fault(settings, file, problem))
    return uid, faults


def settings_message(
    epoch: int, config_file: str, settings: SuperdSettings, log: Log, control: ControlSocket, credits: int
) -> tuple[Settings, list[int]]:
    """``Settings`` for an acceptor, and the descriptors that go with it."""
    message = Settings(
        epoch=epoch,
        log_kind=log.kind.value,
        log_format=settings.log_format,
        syslog_facility=settings.syslog_facility,
        admin_uids=tuple({0, os.geteuid()}),
        reader_gids=control.groups.readers,
        admin_gids=control.groups.admins,
        credits=credits,
        max_connections=settings.max_connections,
        config_file=config_file,
        control=True,
        log=True,
    )
    return message, [control.sock.fileno(), log.descriptor]
