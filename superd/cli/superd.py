"""``superd``: the daemon's command line."""

from __future__ import annotations

import argparse
import linecache
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from superd import __version__
from superd.cli import terminal
from superd.cli.pidfile import PidFile, PidFileError
from superd.config.legacy.wishes import Wishes
from superd.config.load import load
from superd.config.model import Config, Service, SuperdSettings
from superd.config.places import CONFIG_FILE
from superd.errors import ConfigError, Exit, Fault
from superd.kernel import linux
from superd.kernel.identity import IdentityError
from superd.kernel.privileges import PrivilegeError
from superd.master.births import BirthError
from superd.master.grants import look_up
from superd.master.main import STEERING, Master
from superd.master.outside import inspect_settings
from superd.master.preflight import inspect
from superd.spawner.main import main as spawner_life


class _Parser(argparse.ArgumentParser):
    """argparse, but usage errors exit as sysexits.h has it."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    made = _Parser(prog="superd", description="A super-server: privileged ports for unprivileged programs.")
    made.add_argument(
        "-f", metavar="FILE", dest="file", default=CONFIG_FILE, help="configuration; - reads stdin"
    )
    made.add_argument("--check", action="store_true", help="report every fault and end")
    made.add_argument(
        "--no-system",
        action="store_true",
        help="with --check: skip what depends on this machine (users, programs, service names, owners of files)",
    )
    made.add_argument("--daemon", action="store_true", help="go to the background once everything serves")
    made.add_argument("--pid-file", metavar="PATH", help="write the master's pid there")
    made.add_argument("--version", action="version", version=f"superd {__version__}")
    return made


def main(argv: list[str] | None = None) -> int:
    """Run ``superd``; returns its exit code."""
    options = parser().parse_args(argv)
    if options.no_system and not options.check:
        parser().error("--no-system goes with --check")
    if options.check:
        return reported(lambda: terminal.run(lambda: _check(options.file, system=not options.no_system)))
    return run(options.file, pid_file=options.pid_file or "", background=options.daemon)


def run(file: str, *, pid_file: str, background: bool, wishes: Wishes = Wishes()) -> int:  # noqa: B008 - frozen
    """Be the daemon; returns its exit code when it has ended.

    Args:
        file: the configuration, superd's own or another super-server's; ``-`` reads stdin.
        pid_file: where to leave the master's pid; empty for nowhere.
        background: whether to go there once everything serves.
        wishes: how another super-server's file is read.
    """
    linecache.clearcache()  # attrs keeps there what it wrote of every class, a megabyte
    return reported(lambda: _serve(load(file, wishes=wishes), file, pid_file, wishes, background=background))


def reported(command: Callable[[], int]) -> int:
    """Run a command; what keeps it from running is said, and becomes its exit code."""
    try:
        return command()
    except ConfigError as error:
        for fault in error.faults:
            print(f"superd: {fault}", file=sys.stderr)
        return Exit.CONFIG
    except (BirthError, IdentityError, PidFileError, PrivilegeError) as error:
        print(f"superd: {error}", file=sys.stderr)
        return Exit.PERMISSION


def _check(file: str, *, system: bool) -> int:
    """All that can be said about a configuration without putting it into force.

    Raises:
        ConfigError: with what is wrong in the file and what this machine lacks, together.
    """
    try:
        config = load(file, system=system)
    except ConfigError as error:
        uid = inspect_settings(SuperdSettings(), file)[0] if system else None
        lacking = _lacking(error.services, uid) if system else []
        raise ConfigError((*error.faults, *_unsaid(lacking, error.faults))) from error
    main = config.files[0]
    for warning in config.warnings:
        print(f"superd: warning: {warning}", file=sys.stderr)
    if system:
        uid, faults = inspect_settings(config.settings, main)
        faults += _lacking(config.services.values(), uid)
        faults += look_up(config.grants)[1]
        if faults:
            raise ConfigError(faults)
    count = len(config.services)
    print(f"superd: {main}: {count} service{'' if count == 1 else 's'}, no faults")
    return Exit.OK


def _unsaid(lacking: Iterable[Fault], known: Iterable[Fault]) -> list[Fault]:
    """What the machine lacks, less what a faulty key explains. But one word of ``exec`` does not explain another."""
    keys, said = {fault.key for fault in known}, {(fault.key, fault.value) for fault in known}
    return [
        one
        for one in lacking
        if one.key not in keys or (one.key.endswith(".exec") and (one.key, one.value) not in said)
    ]


def _lacking(services: Iterable[Service], acceptor_uid: int | None) -> list[Fault]:
    """What this machine lacks for services that are enabled."""
    return [fault for service in services if service.enabled for fault in inspect(service, acceptor_uid)[1]]


def _serve(config: Config, named: str, pid_path: str, wishes: Wishes, *, background: bool) -> int:
    environ = dict(os.environ)
    file = named if named == "-" else os.path.abspath(named)
    pid_path = os.path.abspath(pid_path) if pid_path else ""
    _clean_slate()
    pid_file = PidFile(pid_path) if pid_path else None
    released = _go_to_background() if background else None
    try:
        linux.set_process_title("superd: master")
        master = Master(
            file,
            config,
            environ,
            spawner_life,
            lambda: _announce(pid_file, released),
            wishes,
        )
        master.run()
    finally:
        if pid_file:
            pid_file.close()
    return Exit.OK


def _clean_slate() -> None:
    """Nothing of whoever started us: no signal blocked or ignored (both survive exec, and would reach every
    child), a known umask, no folder held busy. What is blocked now the master lets come when it has handlers."""
    signal.pthread_sigmask(signal.SIG_SETMASK, STEERING)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    os.chdir("/")


def _go_to_background() -> int:
    """Continue in a child of its own session; the parent waits there until superd serves, or has failed.

    Returns:
        The descriptor on which to say so.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STEERING)
        os.close(writer)
        os._exit(Exit.OK if os.read(reader, 1) else Exit.CONFIG)
    os.close(reader)
    os.setsid()
    return writer


def _announce(pid_file: PidFile | None, released: int | None) -> None:
    """superd serves: leave the pid where it was asked for, and let go of the terminal."""
    if pid_file:
        pid_file.write(os.getpid())
    if released is not None:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        os.close(null)
        os.write(released, b"\n")
        os.close(released)


if __name__ == "__main__":
    sys.exit(main())
