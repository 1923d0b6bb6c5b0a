"""``superctl import``: other super-servers' files as a superd.toml."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Callable, Mapping

from superd.cli.words import UsageError
from superd.config.legacy.carried import Carried, LegacyError
from superd.config.legacy.detect import Kind, detect, is_authbind
from superd.config.legacy.folders import sorted_out
from superd.config.legacy.guarded import GuardedFiles
from superd.config.legacy.importers import left_out_of_folder, read_all
from superd.config.legacy.inetd.dialects import DIALECTS
from superd.config.legacy.report import has_faults, has_notes, shown, to_json, to_text
from superd.config.legacy.surroundings import Surroundings, this_machine
from superd.config.legacy.wishes import Wishes
from superd.config.legacy.write import to_toml
from superd.errors import Exit

_STDOUT = "-"


def add_import(command: Callable[[str, str], argparse.ArgumentParser]) -> None:
    """Add the command and its arguments.

    Args:
        command: adds a command, from its name and what ``--help`` says of it.
    """
    made = command("import", "a superd.toml out of other super-servers' files")
    made.add_argument(
        "files", metavar="FILE-OR-FOLDER", nargs="+", help="what to import; - is standard input"
    )
    made.add_argument(
        "-o", metavar="FILE", dest="output", default=_STDOUT, help="where to write (default: stdout)"
    )
    made.add_argument(
        "--dialect", choices=tuple(DIALECTS), help="whose inetd.conf it is, if its content does not tell"
    )
    made.add_argument(
        "--port",
        metavar="NAME=NUMBER",
        action="append",
        default=[],
        help="the port of a name that is not known here",
    )
    made.add_argument(
        "--faithful", action="store_true", help="keep the old ways where superd deliberately differs"
    )
    made.add_argument(
        "--strict", action="store_true", help="exit with 1 when a line is carried with a difference"
    )
    made.add_argument(
        "--report",
        choices=("text", "json"),
        default="text",
        help="how to tell what became of each line, on stderr",
    )


def run_import(options: argparse.Namespace, machine: Surroundings | None = None) -> int:
    """Run the command; returns its exit code.

    Args:
        options: the command line.
        machine: what there is beside the files; None: this machine.
    """
    collects = gc.isenabled()
    gc.disable()  # of thousands of services nothing is garbage before all is written, and looking takes as long again
    try:
        files = GuardedFiles()
        return _import(options, files, machine or this_machine(files.read, files.entries, ask_network=True))
    finally:
        if collects:
            gc.enable()


def _import(options: argparse.Namespace, files: GuardedFiles, machine: Surroundings) -> int:
    try:
        wishes = Wishes(dialect=options.dialect or "", faithful=options.faithful, ports=_ports(options.port))
        carried = read_all(_contents(options.files, options.dialect or "", files), machine, wishes)
        _write(options.output, to_toml(carried))
    except UsageError as error:
        print(f"superctl: {error}", file=sys.stderr)
        return Exit.USAGE
    except LegacyError as error:
        print(f"superctl: {shown(str(error))}", file=sys.stderr)
        return Exit.DATA
    except OSError as error:
        print(f"superctl: {options.output}: {error.strerror}", file=sys.stderr)
        return Exit.PERMISSION
    _report(carried, as_json=options.json or options.report == "json")
    if has_faults(carried):
        return Exit.DATA
    return Exit.REFUSED if options.strict and has_notes(carried) else Exit.OK


def _ports(words: list[str]) -> dict[str, int]:
    ports = {}
    for word in words:
        name, _, number = word.partition("=")
        if not name or not (number.isascii() and number.isdigit() and 1 <= int(number[:6]) <= 65535):
            raise UsageError(f"--port {word}: write NAME=NUMBER, as --port stockfish=4711")
        ports[name] = int(number)
    return ports


def _contents(paths: list[str], dialect: str, files: GuardedFiles) -> Mapping[str, bytes]:
    """The files that are named, and those of folders; authbind's folder is one by itself, without content.

    Raises:
        LegacyError: one cannot be read, or a folder holds none.
    """
    found: dict[str, bytes] = {}
    for path in paths:
        if path == "-":
            found["standard input"] = files.stream(sys.stdin.buffer)
        elif not os.path.isdir(path):
            found[path] = files.named(path)
        elif is_authbind(files.entries(path)):
            found[path] = b""
        else:
            found.update(_of_folder(path, dialect, files))
    return found


def _of_folder(folder: str, dialect: str, reader: GuardedFiles) -> dict[str, bytes]:
    """What is to be imported of a folder; what is left out of it is said."""
    files, leftovers = sorted_out(folder, reader.entries(folder))
    for path in leftovers:
        _leave_out(path, "")
    contents = {path: reader.read(path) for path in files}
    kinds = {path: Kind.INETD if dialect else detect(content) for path, content in contents.items()}
    left_out = left_out_of_folder(kinds)
    for path, reason in left_out.items():
        _leave_out(path, reason)
    found = {path: content for path, content in contents.items() if path not in left_out}
    if not found:
        raise LegacyError(folder, "no file in it", "name the files")
    return found


def _leave_out(path: str, reason: str) -> None:
    told = f", {reason}" if reason else ""
    print(f"superctl: {shown(path)}: left out{told}; name it if it is meant", file=sys.stderr)


def _write(target: str, text: str) -> None:
    if target == _STDOUT:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    with open(target, "w", encoding="utf-8") as file:
        file.write(text)


def _report(carried: Carried, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(to_json(carried), indent=2), file=sys.stderr)
        return
    for line in to_text(carried):
        print(line, file=sys.stderr)
