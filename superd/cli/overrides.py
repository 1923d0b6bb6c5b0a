"""The drop-in that ``superctl tune --save`` writes beside the configuration; no other file is touched."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Mapping
from typing import Any

import tomli_w
from attrs import evolve

from superd.config.load import load
from superd.config.places import override_file
from superd.errors import ConfigError, Fault

_HEAD = """\
# Written by superctl tune --save: what was tuned on the live system. It stands above the configuration, which reads it
# whenever it is there. Edit it or remove it as you like, then: superctl reload

"""


def save_overrides(config_file: str, service: str, values: Mapping[str, object]) -> str:
    """Add values to the drop-in, if the whole configuration is in order with them.

    Args:
        config_file: the main file.
        values: by dotted key (``limits.rate``).

    Returns:
        The drop-in's path.

    Raises:
        ConfigError: with every fault that the next start would meet; nothing was changed.
        OSError: it cannot be read or written.
    """
    if config_file == "-":
        problem = "has no file of overrides beside it"
        raise ConfigError([Fault("standard input", "", problem, "start superd with -f FILE")])
    load(config_file)  # or what is wrong already would be blamed on the values
    path = override_file(config_file)
    content = _read(path)
    for key, value in values.items():
        table = content.setdefault("override", {}).setdefault(service, {})
        *groups, name = key.split(".")
        for group in groups:
            table = table.setdefault(group, {})
        table[name] = value
    beside = f"{path}.new"
    _write(beside, _HEAD + tomli_w.dumps(content))
    try:
        load(config_file, drop_in=beside)
    except ConfigError as error:
        os.unlink(beside)
        raise ConfigError(
            [evolve(fault, file=path) if fault.file == beside else fault for fault in error.faults]
        ) from error
    os.replace(beside, path)  # after a crash the old or the new one is there, whole
    return str(path)


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}


def _write(path: str, text: str) -> None:
    """A new file, whatever was there: a pipe, or another file's second name."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o644)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
