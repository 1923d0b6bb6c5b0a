"""``superctl``: asks a running superd, and checks configurations."""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from superd import __version__
from superd.cli import superd
from superd.cli.explain import explain
from superd.cli.tables import status_table
from superd.config.places import CONFIG_FILE, CONTROL_SOCKET, control_socket
from superd.errors import Exit

Answer = dict[str, Any]

_EXITS = {"permission": Exit.PERMISSION, "faults": Exit.CONFIG}


class ControlError(Exception):
    """No daemon answers, or it may not be asked; carries the exit code."""

    def __init__(self, text: str, code: Exit) -> None:
        self.code = code
        super().__init__(text)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def parser() -> argparse.ArgumentParser:
    made = _Parser(prog="superctl", description="Asks a running superd.")
    _add_common(made, None, False)
    made.add_argument("--version", action="version", version=f"superctl {__version__}")
    common = _Parser(add_help=False)  # they may stand after the command as well
    _add_common(common, argparse.SUPPRESS, argparse.SUPPRESS)
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, told: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=told, parents=[common])

    command("status", "every service: state, listeners, children, counters")
    command("reload", "read the configuration again; on any fault nothing changes")
    stop = command("stop", "stop superd; connections that are open go on")
    stop.add_argument("--children", action="store_true", help="end the open connections too")
    check = commands.add_parser("check", help="report every fault of a configuration")
    check.add_argument("file", metavar="FILE", nargs="?", default=CONFIG_FILE)
    check.add_argument("--no-system", action="store_true", help="skip what depends on this machine")
    told = command("explain", "a service in plain words")
    told.add_argument("service", metavar="SERVICE")
    return made


def _add_common(made: argparse.ArgumentParser, control: str | None, json_: bool | str) -> None:
    """The options of every command that asks, with their defaults."""
    made.add_argument("--control", metavar="PATH", default=control, help="control socket (or SUPERD_CONTROL)")
    made.add_argument("--json", action="store_true", default=json_, help="print what superd answered as JSON")


def main(argv: list[str] | None = None) -> int:
    """Run ``superctl``; returns its exit code."""
    options = parser().parse_args(argv)
    if options.command == "check":
        return superd.main(["-f", options.file, "--check", *(["--no-system"] if options.no_system else [])])
    try:
        answer = ask(_control_path(options.control), _request(options))
    except ControlError as error:
        print(f"superctl: {error}", file=sys.stderr)
        return error.code
    if options.command == "stop" and answer["ok"]:
        _await_end(answer["master"])
    if options.json:
        print(json.dumps(answer, indent=2))
    else:
        _SHOW[options.command](answer) if answer["ok"] else _complain(answer)
    return Exit.OK if answer["ok"] else _EXITS.get(answer.get("error", ""), Exit.USAGE)


def _request(options: argparse.Namespace) -> Mapping[str, Any]:
    known = ("command", "service", "children")
    return {key: value for key, value in vars(options).items() if key in known}


def _control_path(given: str | None) -> str:
    """What was named, else the socket of the user's own superd where there is one, else that of root's."""
    named = given or os.environ.get("SUPERD_CONTROL")
    if named:
        return named
    own = control_socket(CONTROL_SOCKET, os.geteuid(), os.environ)
    return own if os.path.exists(own) else CONTROL_SOCKET


def ask(path: str, request: Mapping[str, Any]) -> Answer:
    """Send one request and wait for its answer.

    Raises:
        ControlError: nobody answers, or the socket may not be opened.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.connect(path)
            sock.sendall(json.dumps(request).encode() + b"\n")
            sock.shutdown(socket.SHUT_WR)
            data = b"".join(iter(lambda: sock.recv(65536), b""))
    except PermissionError as error:
        remedy = "ask as root, or as a member of the group that [superd] control_group names"
        raise ControlError(f"{path}: permission denied; {remedy}", Exit.PERMISSION) from error
    except OSError as error:
        remedy = "is superd running? --control or SUPERD_CONTROL names another socket"
        raise ControlError(f"{path}: {error.strerror}; {remedy}", Exit.UNAVAILABLE) from error
    if not data.endswith(b"\n"):  # it ended, or was ended, while it answered
        raise ControlError(f"{path}: superd hung up without an answer", Exit.UNAVAILABLE)
    answer: Answer = json.loads(data)
    return answer


def _await_end(pid: int) -> None:
    """Wait until a process is gone, as ``systemctl stop`` does: who stops superd wants its ports."""
    try:
        master = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    waiting = select.poll()
    waiting.register(master, select.POLLIN)
    waiting.poll()
    os.close(master)


def _complain(answer: Answer) -> None:
    for line in answer["lines"]:
        print(f"superctl: {line}", file=sys.stderr)


def _show_lines(answer: Answer) -> None:
    for line in answer["lines"]:
        print(line)


def _show_status(answer: Answer) -> None:
    print(status_table(answer["services"]))


def _show_explain(answer: Answer) -> None:
    print(explain(answer["service"]))


_SHOW: Mapping[str, Callable[[Answer], None]] = {
    "status": _show_status,
    "reload": _show_lines,
    "stop": _show_lines,
    "explain": _show_explain,
}

if __name__ == "__main__":
    sys.exit(main())
