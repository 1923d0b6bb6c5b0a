"""``superctl``: asks a running superd, and checks configurations."""

from __future__ import annotations

import argparse
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from superd import __version__
from superd.cli import superd, terminal
from superd.cli.explain import explain
from superd.cli.grants import add_grants, run_grants
from superd.cli.importing import add_import, run_import
from superd.cli.limits import bans_text, limits_text, who_may_text
from superd.cli.overrides import save_overrides
from superd.cli.replay import add_replay, replay
from superd.cli.security import add_security, run_security
from superd.cli.tables import status_table
from superd.cli.words import UsageError, parse_time, tune_request
from superd.config.places import CONFIG_FILE, CONTROL_SOCKET, MAX_REQUEST_BYTES, control_socket
from superd.errors import ConfigError, Exit

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
    _add_policy_commands(command)
    add_grants(command)
    add_replay(command)
    add_import(command)
    add_security(command)
    return made


def _add_policy_commands(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """What asks and changes limits and access."""
    limits = command("limits", "what is set, used and left, what was refused, and who comes most")
    limits.add_argument("service", metavar="SERVICE", nargs="?")
    tune = command("tune", "other limits at once, without a reload")
    tune.add_argument("service", metavar="SERVICE")
    tune.add_argument(
        "values", metavar="KEY=VALUE", nargs="*", help="rate=10/s, access.deny='[\"192.0.2.1\"]'"
    )
    tune.add_argument("--for", metavar="DURATION", dest="span", help="take it back after that long")
    tune.add_argument(
        "--save", action="store_true", help="write it into the configuration too, in a file of its own"
    )
    tune.add_argument("--reset", action="store_true", help="take back first all that was tuned")
    command("bans", "sources that are refused for what they did")
    unban = command("unban", "forgive a source, or all of a network")
    unban.add_argument("source", metavar="SOURCE")
    who_may = command("who-may", "whether an address is admitted, and by which line")
    who_may.add_argument("service", metavar="SERVICE")
    who_may.add_argument("address", metavar="ADDRESS")
    who_may.add_argument("--at", metavar="TIME", help='at another time: "18:30", "2026-12-24 09:00"')


def _add_common(made: argparse.ArgumentParser, control: str | None, json_: bool | str) -> None:
    """The options of every command that asks, with their defaults."""
    made.add_argument("--control", metavar="PATH", default=control, help="control socket (or SUPERD_CONTROL)")
    made.add_argument("--json", action="store_true", default=json_, help="print what superd answered as JSON")


def main(argv: list[str] | None = None) -> int:
    """Run ``superctl``; returns its exit code."""
    return terminal.run(lambda: _run(argv))


def _run(argv: list[str] | None) -> int:
    options = parser().parse_args(argv)
    if options.command == "check":
        return superd.main(["-f", options.file, "--check", *(["--no-system"] if options.no_system else [])])
    if options.command == "replay":
        return replay(options)
    if options.command == "grants":
        return run_grants(options)
    if options.command == "import":
        return run_import(options)
    if options.command == "security":
        return run_security(options)
    try:
        path, request = _control_path(options.control), _request(options)
        answer = ask(path, request)
        if options.command == "tune" and options.save and answer["ok"]:
            answer["lines"] = [_save(path, request)]
    except (ControlError, UsageError) as error:
        print(f"superctl: {error}", file=sys.stderr)
        return error.code
    if options.command == "stop" and answer["ok"]:
        _await_end(answer["master"])
    if options.json:
        print(json.dumps(answer, indent=2))
    else:
        _SHOW[options.command](answer) if answer["ok"] else _complain(answer)
    if answer["ok"] and answer.get("allowed") is False:
        return Exit.REFUSED
    return Exit.OK if answer["ok"] else _EXITS.get(answer.get("error", ""), Exit.USAGE)


def _request(options: argparse.Namespace) -> dict[str, Any]:
    """What is sent.

    Raises:
        UsageError: a word of the command line cannot be understood.
    """
    known = ("command", "service", "children", "source", "address", "reset")
    request = {key: value for key, value in vars(options).items() if key in known}
    if options.command == "tune":
        request |= tune_request(options.values, options.span, save=options.save, reset=options.reset)
    elif options.command == "who-may" and options.at is not None:
        request["at"] = parse_time(options.at, time.time())
    return request


def _save(path: str, request: Mapping[str, Any]) -> str:
    """Write what was tuned into the drop-in beside the configuration; returns what to say.

    Raises:
        ControlError: it cannot be written, or the configuration would not be in order with it.
    """
    config_file = str(ask(path, {"command": "status"})["superd"]["config"])
    try:
        return f"saved in {save_overrides(config_file, request['service'], request['values'])}"
    except (OSError, ConfigError) as error:
        ask(path, {**request, "saved": False})  # what no file holds is not given up at the next reload
        code = Exit.CONFIG if isinstance(error, ConfigError) else Exit.PERMISSION
        raise ControlError(f"in force, but not saved: {error}", code) from error


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
        ControlError: nobody answers, the socket may not be opened, or it is more than superd listens to.
    """
    line = json.dumps(request).encode() + b"\n"
    if len(line) > MAX_REQUEST_BYTES:
        remedy = "write it in the configuration and reload"
        raise ControlError(
            f"{len(line)} bytes, of which superd takes {MAX_REQUEST_BYTES}; {remedy}", Exit.USAGE
        )
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.connect(path)
            sock.sendall(line)
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


def _show_limits(answer: Answer) -> None:
    print(limits_text(answer["services"]))
    _show_lines({"lines": answer.get("lines", ())})


def _show_bans(answer: Answer) -> None:
    print(bans_text(answer["bans"], answer["more"]))


def _show_unban(answer: Answer) -> None:
    for one in answer["freed"]:
        print(f"{one['service']}: {one['source']} is forgiven")
    if not answer["freed"]:
        print("it was not penalised")


def _show_who_may(answer: Answer) -> None:
    print(who_may_text(answer))


def _show_explain(answer: Answer) -> None:
    print(explain(answer["service"]))


_SHOW: Mapping[str, Callable[[Answer], None]] = {
    "status": _show_status,
    "reload": _show_lines,
    "stop": _show_lines,
    "explain": _show_explain,
    "limits": _show_limits,
    "tune": _show_limits,
    "bans": _show_bans,
    "unban": _show_unban,
    "who-may": _show_who_may,
}

if __name__ == "__main__":
    sys.exit(main())
