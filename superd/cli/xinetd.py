"""``superd-xinetd``: superd under the name of xinetd, with its options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from superd import __version__
from superd.cli import superd
from superd.config.legacy.detect import Kind
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.xinetd.attributes import FACILITIES
from superd.errors import Exit

CONFIG_FILE = "/etc/xinetd.conf"
INETD_FILE = "/etc/inetd.conf"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    made = _Parser(prog="superd-xinetd", description="superd in the place of xinetd.", allow_abbrev=False)
    made.add_argument("-d", action="store_true", help="stay in the foreground, log to standard error")
    made.add_argument("-f", metavar="FILE", dest="file", default=CONFIG_FILE, help=f"default: {CONFIG_FILE}")
    log = made.add_mutually_exclusive_group()
    log.add_argument("-filelog", metavar="FILE", help="log to that file")
    log.add_argument("-syslog", metavar="FACILITY", choices=FACILITIES, help="log to syslog(3)")
    made.add_argument("-pidfile", metavar="FILE", default="", help="where to leave the pid")
    made.add_argument("-dontfork", action="store_true", help="stay in the foreground")
    made.add_argument("-limit", metavar="N", type=_count, help="connections of all services at once")
    made.add_argument("-inetd_compat", action="store_true", help=f"read {INETD_FILE} too, where there is one")
    made.add_argument("-stayalive", "-reuse", action="store_true", help="nothing: it is always so")
    made.add_argument(
        "-logprocs", "-shutdownprocs", "-cc", metavar="N", type=_count, help="nothing: see the manual"
    )
    made.add_argument(
        "--faithful", action="store_true", help="keep the old ways where superd deliberately differs"
    )
    made.add_argument("-version", "--version", action="store_true", help="write the version and end")
    return made


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return int(text)


def wishes_of(options: argparse.Namespace) -> Wishes:
    """How the file is read under these options."""
    settings: dict[str, object] = {}
    if options.d:
        settings["log"] = "stderr"
    elif options.filelog:
        settings["log"] = options.filelog
    elif options.syslog:
        settings.update(log="syslog", syslog_facility=options.syslog)
    if options.limit:
        settings["max_connections"] = options.limit
    beside = (INETD_FILE,) if options.inetd_compat else ()
    return Wishes(usual=Kind.XINETD, faithful=options.faithful, settings=settings, beside=beside)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``superd-xinetd``; returns its exit code."""
    options = parser().parse_args(argv)
    if options.version:
        print(f"xinetd (superd {__version__}) libwrap loadavg", file=sys.stderr)  # where xinetd writes it
        return Exit.OK
    return superd.run(
        options.file,
        pid_file=options.pidfile,
        background=not (options.d or options.dontfork),
        wishes=wishes_of(options),
    )


if __name__ == "__main__":
    sys.exit(main())
