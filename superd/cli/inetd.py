"""``superd-inetd``: superd under the name of inetd, with the options of the inetds."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Sequence
from typing import NoReturn

from superd import __version__
from superd.cli import superd
from superd.config.legacy.detect import Kind
from superd.config.legacy.inetd.dialects import DIALECTS
from superd.config.legacy.wishes import Wishes
from superd.errors import Exit
from superd.log.opening import JOURNAL_SOCKET, open_sink

CONFIG_FILE = "/etc/inetd.conf"
CONFIG_FOLDER = "/etc/inetd.d"
PID_FILE = "/run/inetd.pid"

_LOGGING_L = ("freebsd", "netbsd", "openbsd")
"""Whose ``-l`` asks for a line of the log for each connection, which superd writes anyway."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    made = _Parser(prog="superd-inetd", description="superd in the place of inetd.", allow_abbrev=False)
    made.add_argument(
        "files",
        metavar="FILE-OR-FOLDER",
        nargs="*",
        help=f"default: {CONFIG_FILE}, and {CONFIG_FOLDER} where it exists",
    )
    made.add_argument(
        "-d", "--debug", action="store_true", help="stay in the foreground, log to standard error"
    )
    made.add_argument("-i", "-f", dest="foreground", action="store_true", help="stay in the foreground")
    made.add_argument("-p", "--pidfile", metavar="PID", help=f"where to leave the pid (default: {PID_FILE})")
    made.add_argument(
        "-R", "--rate", metavar="N", type=_count, help="starts of a service in a minute; 0: any number"
    )
    made.add_argument("-c", metavar="N", type=_count, help="connections of a service at once")
    made.add_argument("-s", metavar="N", type=_count, help="connections of one source to a service at once")
    made.add_argument(
        "-C", metavar="N", type=_count, help="connections of one source to a service in a minute"
    )
    made.add_argument("-a", metavar="ADDRESS", help="where to listen, unless the file says it")
    made.add_argument("-q", metavar="N", type=_count, help="how many connections may wait in the kernel")
    made.add_argument("-l", action="store_true", help="ask hosts.allow and hosts.deny (BSD: log connections)")
    made.add_argument("-w", action="store_true", help="ask hosts.allow and hosts.deny for programs")
    made.add_argument("-W", action="store_true", help="the same for built-in services")
    made.add_argument(
        "-E", "-e", "--environment", "--resolve", action="store_true", help="nothing: see the manual"
    )
    made.add_argument("--dialect", choices=tuple(DIALECTS), default="", help="whose inetd.conf it is")
    made.add_argument(
        "--faithful", action="store_true", help="keep the old ways where superd deliberately differs"
    )
    made.add_argument("--version", action="version", version=f"superd-inetd (superd {__version__})")
    return made


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return int(text)


def wishes_of(options: argparse.Namespace) -> Wishes:
    """How the file is read under these options."""
    logs = options.l and options.dialect in _LOGGING_L
    files = files_of(options)
    together = () if len(files) == 1 and not os.path.isdir(files[0]) else files
    return Wishes(
        dialect=options.dialect or ("gnu" if len(options.files) > 1 else ""),
        usual=Kind.INETD,
        faithful=options.faithful,
        tcpd_asked=options.w or (options.l and not logs),
        rate_per_min=options.rate,
        children=options.c,
        children_per_source=options.s,
        per_source_per_min=options.C,
        hosts=(options.a,) if options.a else (),
        backlog=options.q or None,
        settings=_settings(options),
        files=together,
        beside=() if options.files else (CONFIG_FOLDER,),
        folder=folder_of(options),
    )


def files_of(options: argparse.Namespace) -> tuple[str, ...]:
    """What is read; by their whole paths, since a daemon leaves its folder."""
    if options.files:
        return tuple(map(os.path.abspath, options.files))
    alone = os.path.isdir(CONFIG_FOLDER) and not os.path.exists(CONFIG_FILE)
    return (CONFIG_FOLDER if alone else CONFIG_FILE,)


def folder_of(options: argparse.Namespace) -> str:
    """Where programs run: where inetd stays when it stays in the foreground, if everybody may go there."""
    folder = os.getcwd()
    if not _in_foreground(options):
        return "/"
    way = [folder[:end] for end, character in enumerate(folder) if character == "/" and end] + [folder]
    return folder if all(os.stat(step).st_mode & stat.S_IXOTH for step in way) else "/"


def _in_foreground(options: argparse.Namespace) -> bool:
    """Whether it stays there: Debian's inetd does so too for a service manager that waits for its word."""
    return bool(options.debug or options.foreground or os.environ.get("NOTIFY_SOCKET"))


def _settings(options: argparse.Namespace) -> dict[str, object]:
    """``[superd]``: a daemon in the background has no terminal to log to, and inetd had syslog."""
    if options.debug:
        return {"log": "stderr"}
    return {"log": "syslog"} if not _in_foreground(options) and _wants_syslog() else {}


def _wants_syslog() -> bool:
    """Whether syslog answers, on a machine without a journal."""
    if os.path.exists(JOURNAL_SOCKET):
        return False
    try:
        os.close(open_sink("syslog")[1])
    except OSError:
        return False
    return True


def pid_file_of(options: argparse.Namespace) -> str:
    """Where the pid is left: as named, else where inetd leaves it, unless this is no system's inetd."""
    if options.pidfile:
        return str(options.pidfile)
    return "" if options.debug or os.geteuid() != 0 else PID_FILE


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``superd-inetd``; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args([f"{word}={PID_FILE}" if word == "--pidfile" else word for word in words])
    return superd.run(
        files_of(options)[0],
        pid_file=pid_file_of(options),
        background=not _in_foreground(options),
        wishes=wishes_of(options),
    )


if __name__ == "__main__":
    sys.exit(main())
