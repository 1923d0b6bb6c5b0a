"""Reading files that a root process believes: opened once, checked on the descriptor, decoded, parsed as TOML."""

from __future__ import annotations

import ast
import errno
import os
import re
import shlex
import stat
import tomllib
from typing import TextIO

from superd.config.findings import RejectedError, reject, toml_key
from superd.config.ways import check_way, is_trusted

MAX_BYTES = 16 * 1024 * 1024
"""A configuration file is never larger; a device or a runaway generator may be."""

_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK  # a fifo must not block the master
_TOO_LARGE = ("larger than 16 MiB", "split it")

_UNREADABLE = {
    errno.ENOENT: ("no such file", "check the path"),
    errno.ENOTDIR: ("no such file", "check the path"),
    errno.EACCES: ("permission denied", "read it as root"),
    errno.EPERM: ("permission denied", "read it as root"),
    errno.ELOOP: ("a loop of symbolic links", "name the file itself"),
}

_POSITION = re.compile(
    r"(?P<problem>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.S
)
_TUPLE = re.compile(r"\('.*',?\)", re.S)
# In what tomllib says of keys and tables that stand there already.
_REPEATED = ("twice", "overwrite", "redefine", "mutate", "duplicate")
_KEY = r"\s*[A-Za-z0-9_.\"'-]+\s*"

# What the faulty line looks like -> what its author should do. The first fitting row answers.
_HINTS = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (_KEY + r"=\s*(yes|no|on|off|True|False|YES|NO)\b.*", "write true or false"),
        (_KEY + r"=\s*0[0-7]+\s*(#.*)?", 'write octal in quotes: "022"'),
        (_KEY + r"=\s*[^\s\"'\[{#].*", 'put strings in quotes: KEY = "value"'),
        (_KEY + r"=\s*(#.*)?", 'write a value: KEY = "value"'),
        (_KEY + r"=\s*\[.*", 'write a list as ["one", "two"]'),
        (_KEY + r"=\s*\{.*", 'write a table as { NAME = "value" }, on one line'),
        (_KEY + r"=\s*\".*", 'close the quotes, and write \\" and \\\\ for " and \\ inside them'),
        (r"\s*\[.*", "write [services.NAME]"),
        (r".*", 'write KEY = "value", one a line'),
    )
)


def read_trusted(path: str, *, system: bool = True) -> str:
    """The text of a file that nobody but root and the caller can have written.

    Args:
        path, system: as ``read_trusted_bytes`` takes them.

    Raises:
        RejectedError: as ``read_trusted_bytes`` says; not UTF-8.
    """
    return decoded(read_trusted_bytes(path, system=system))


def read_trusted_bytes(path: str, *, system: bool = True) -> bytes:
    """The content of a file that nobody but root and the caller can have written.

    Args:
        path: the file; symbolic links are followed, and what they lead to is checked.
        system: False leaves out the checks of owner and permissions, which depend on this machine.

    Raises:
        RejectedError: missing, not readable, not a regular file, writable by others, in a folder where others may
            put something else in its place, too large.
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except (OSError, ValueError) as error:
        raise _unreadable(error) from None
    try:
        _check_status(os.fstat(descriptor), path, system=system)
        if system:
            check_way(path)
        content = _read_all(descriptor)
    except OSError as error:
        raise _unreadable(error) from None
    finally:
        os.close(descriptor)
    if len(content) > MAX_BYTES:
        raise reject(*_TOO_LARGE)
    return content


def decoded(content: bytes) -> str:
    """The text of a file.

    Raises:
        RejectedError: not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise reject(f"line {line}: not UTF-8", "save the file as UTF-8") from None


def read_stream(stream: TextIO) -> str:
    """The text of standard input.

    Raises:
        RejectedError: too large, or not UTF-8.
    """
    try:
        text = stream.read(MAX_BYTES + 1)
        size_bytes = len(text.encode())  # undecodable bytes arrive as surrogates, which do not encode
    except UnicodeError:
        raise reject("not UTF-8", "send UTF-8") from None
    if size_bytes > MAX_BYTES:
        raise reject(*_TOO_LARGE)
    return text


def parse_toml(text: str) -> dict[str, object]:
    """The tables of a TOML text.

    Raises:
        RejectedError: a syntax error; the problem names line and column, the remedy guesses what was meant.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_fault(str(error), text) from None
    except RecursionError:
        raise reject("nested too deeply", "write lists and tables flat") from None
    except ValueError:
        raise reject("a number of thousands of digits", "write a smaller one") from None


def _read_all(descriptor: int) -> bytes:
    """What the file holds, one byte past MAX_BYTES at most."""
    parts, left = [], MAX_BYTES + 1
    while left and (part := os.read(descriptor, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _unreadable(error: OSError | ValueError) -> RejectedError:
    if isinstance(error, ValueError):
        return reject("not a path", "check the path")
    problem, remedy = _UNREADABLE.get(error.errno or 0, (os.strerror(error.errno or 0).lower(), ""))
    return reject(problem, remedy)


def _check_status(status: os.stat_result, path: str, *, system: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise reject("not a regular file", "name a file")
    if not system:
        return
    if not is_trusted(status.st_uid):
        raise reject(f"owned by uid {status.st_uid}, who could change it", f"chown root {shlex.quote(path)}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise reject("writable by others", f"chmod go-w {shlex.quote(path)}")


def _as_table(match: re.Match[str]) -> str:
    """A path of keys, which tomllib spells as Python does: ``('services', 'ftp')``."""
    return f"[{'.'.join(map(toml_key, ast.literal_eval(match[0])))}]"


def _syntax_fault(message: str, text: str) -> RejectedError:
    match = _POSITION.fullmatch(message)
    problem, line, column = match.group("problem", "line", "column") if match else (message, None, None)
    problem = _TUPLE.sub(_as_table, problem[:1].lower() + problem[1:])
    where = f"line {line}" if line else "end of the file"
    if any(word in problem for word in _REPEATED):
        return reject(f"{where}: {problem}", "write each key and each [table] once")
    if line is None:
        return reject(f"{where}: {problem}", "close every bracket and quote")
    written = text.split("\n")[int(line) - 1].rstrip("\r")
    hint = next(hint for pattern, hint in _HINTS if pattern.fullmatch(written))
    return reject(f"{where}, column {column}: {problem}", hint)
