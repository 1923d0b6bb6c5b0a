"""``superctl replay``: what limits would have done to the traffic in a log."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from attrs import evolve, frozen

from superd.cli import plot
from superd.cli.account import Account, account_json
from superd.cli.account_text import account_text
from superd.cli.logfile import Log, read_logs, size
from superd.cli.picture import picture_of
from superd.cli.progress import counted, progress
from superd.cli.words import UsageError, parse_assignments
from superd.config.load import load
from superd.config.places import CONFIG_FILE
from superd.config.traits import traits, traits_of
from superd.config.tuning import retune
from superd.errors import ConfigError, Exit, SuperdError
from superd.policy.access import AccessList
from superd.policy.networks import parse_address
from superd.policy.replay import Replay, Rules
from superd.policy.rules import Access, Limits, ProxyProtocol
from superd.policy.suggest import Suggestion, suggest
from superd.policy.timeline import slot_length_ns
from superd.policy.traffic import Happening, Traffic

_IN_TERMINAL = "-"
_is_assignment = re.compile(r"[a-z][a-z0-9_.]*=").match
_BEHAVED = (
    "A source behaved when it was served at least once, access refused none of its connections, and fewer than half "
    "of its children failed or were ended by a signal."
)


class LogError(SuperdError):
    """The logs say nothing about the service."""

    code = Exit.DATA


def add_replay(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the command and its arguments.

    Args:
        command: adds a command, from its name and what ``--help`` says of it.
    """
    told = "what limits would have done to the traffic in a log"
    made = command("replay", told)
    made.usage = "superctl replay [options] LOG... --service SERVICE [KEY=VALUE...]"
    made.description = f"Shows {told}; no daemon is asked. {_BEHAVED}"
    made.add_argument(
        "words", metavar="LOG", nargs="*", help="a log in JSON, plain or gzip; - is standard input"
    )
    made.add_argument(
        "--service",
        metavar=("SERVICE", "KEY=VALUE"),
        nargs="+",
        required=True,
        help="whose traffic, under which limits",
    )
    made.add_argument(
        "-f", metavar="FILE", dest="file", help=f"whose limits are the base (default: {CONFIG_FILE})"
    )
    made.add_argument(
        "--suggest",
        metavar="PERCENT",
        nargs="?",
        const="1",
        help="propose limits that refuse at most that share of the sources that behaved (default: 1)",
    )
    made.add_argument(
        "--plot",
        metavar="FILE",
        nargs="?",
        const=_IN_TERMINAL,
        help="draw it, in the terminal or into a .png or .svg",
    )


def replay(options: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    try:
        return _replay(options)
    except ConfigError as error:
        for fault in error.faults:
            print(f"superctl: {fault}", file=sys.stderr)
        return Exit.CONFIG
    except OSError as error:
        print(f"superctl: {error.filename or 'the log'}: {error.strerror}", file=sys.stderr)
        return Exit.PERMISSION if isinstance(error, PermissionError) else Exit.USAGE
    except (UsageError, LogError, plot.MissingError) as error:
        print(f"superctl: {error}", file=sys.stderr)
        return error.code


@frozen
class _Wish:
    """The command line, understood.

    Args:
        percent: of ``--suggest``; None without it.
        figure: of ``--plot``: a path, ``-`` for the terminal, None without it.
    """

    logs: tuple[str, ...]
    service: str
    assignments: Mapping[str, object]
    percent: Fraction | None
    figure: str | None


def _wish(options: argparse.Namespace) -> _Wish:
    """What the command line asks for.

    Raises:
        UsageError: a word cannot be understood.
    """
    service, *others = options.service
    words = [*options.words, *others]
    logs = tuple(word for word in words if not _is_assignment(word))
    if not logs:
        raise UsageError("no LOG; name the files to read, or - for standard input")
    percent = None if options.suggest is None else _percent(options.suggest)
    if options.plot not in (None, _IN_TERMINAL) and not options.plot.endswith(plot.SUFFIXES):
        raise UsageError(f"--plot {options.plot}: write FILE.png or FILE.svg, or only --plot")
    if options.plot == _IN_TERMINAL and options.json:
        raise UsageError("--plot draws between the JSON; write --plot FILE.png or FILE.svg")
    return _Wish(logs, service, parse_assignments(filter(_is_assignment, words)), percent, options.plot)


def _percent(text: str) -> Fraction:
    try:
        percent = Fraction(text.removesuffix("%"))
    except (ValueError, ZeroDivisionError):
        percent = Fraction(-1)
    if not 0 <= percent <= 100:
        raise UsageError(f"--suggest {text}: write a percentage, 0 to 100")
    return percent


def _replay(options: argparse.Namespace) -> int:
    wish = _wish(options)
    if wish.figure is not None:
        plot.require("plotext" if wish.figure == _IN_TERMINAL else "matplotlib")  # before the long part
    notes: list[str] = []
    rules = _rules(options.file, wish, notes)
    log = _read(wish)
    rules = evolve(rules, stay_ns=log.traffic.stay_ns)
    begin, end = log.traffic.period
    slot_ns = slot_length_ns(end - begin)
    with progress("replaying", len(log.traffic)) as done:
        result = Replay(rules, slot_ns).run(counted(log.traffic, done))
    suggestion = None if wish.percent is None else _suggest(log.traffic, rules, wish.percent, slot_ns)
    account = Account(wish.service, log, rules, result, tuple(notes), wish.percent, suggestion)
    print(json.dumps(account_json(account), indent=2) if options.json else account_text(account))
    if wish.figure is not None:
        _draw(wish.figure, account)
    return Exit.OK


def _read(wish: _Wish) -> Log:
    with progress("reading", size(wish.logs)) as done:
        log = read_logs(wish.logs, wish.service, done)
    if len(log.traffic):
        return log
    if not log.lines or log.faulty == log.lines:
        told = f": {log.told[0]}" if log.told else ""
        raise LogError(f'no line in the form of log_format = "json"{told}')
    known = ", ".join(sorted(log.services)) or "none"
    raise LogError(f"{wish.service}: nothing about this service; the log has {known}")


def _suggest(traffic: Traffic, rules: Rules, percent: Fraction, slot_ns: int) -> Suggestion | None:
    with progress("suggesting", 3 * len(traffic)) as done:
        runs = iter(range(3))

        def run() -> Iterable[Happening]:
            before = next(runs) * len(traffic)
            return counted(traffic, lambda count: done(before + count))

        return suggest(run, rules, percent, slot_ns)


# --- the rules ---


def _rules(file: str | None, wish: _Wish, notes: list[str]) -> Rules:
    """The rules to try; what they leave out is put into the notes.

    Raises:
        ConfigError: the configuration or an assignment is faulty.
    """
    base, kind = _base(file, wish.service, notes)
    limits, access, proxy_protocol = retune(*base, kind, wish.assignments, live=False)
    return Rules(limits, access, proxy_protocol, _weekday_and_minute, _resolved(access, notes))


def _base(
    file: str | None, service: str, notes: list[str]
) -> tuple[tuple[Limits, Access, ProxyProtocol], frozenset[str]]:
    """The rules of a service as they are configured, and its traits."""
    path = file or CONFIG_FILE
    if file is None and not os.path.exists(path):
        notes.append(f"There is no {path}: the defaults are the base.")
    else:
        found = load(path, system=False).services.get(service)
        if found is not None:
            return (found.limits, found.access, found.proxy_protocol), traits_of(found)
        notes.append(f"{path} has no service {service}: the defaults are the base.")
    return (Limits(), Access(), ProxyProtocol()), traits(None, None, None)


def _weekday_and_minute(second: int) -> tuple[int, int]:
    local = time.localtime(second)
    return local.tm_wday, local.tm_hour * 60 + local.tm_min


def _resolved(access: Access, notes: list[str]) -> Mapping[str, Iterable[tuple[int, int]]]:
    """The addresses that the names in access have now, since nobody knows which they had then."""
    names = {name: _addresses(name) for name in AccessList(access.allow, access.deny).names}
    for name, addresses in names.items():
        have = f"the {len(addresses)} that it has now are" if addresses else "it has none now, so nobody is"
        notes.append(f"Addresses of {name}: {have} taken for it.")
    return names


def _addresses(name: str) -> frozenset[tuple[int, int]]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(parse_address(str(address[0])) for *_, address in found)


def _draw(target: str, account: Account) -> None:
    picture = picture_of(account)
    if target != _IN_TERMINAL:
        plot.write(picture, target)
        return
    width, height = shutil.get_terminal_size((100, 30))
    print()
    print(plot.terminal_text(picture, width, height, color=sys.stdout.isatty()))
