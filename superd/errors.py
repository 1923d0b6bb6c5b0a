"""Every error superd raises on purpose, and the exit codes of its commands.

A ``Fault`` is a finding about the configuration: it names file, key, value, what is wrong and what to do.
Faults are collected and reported all at once, never one a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from attrs import frozen


class Exit(IntEnum):
    """Exit codes of all superd commands (after sysexits.h where it has one)."""

    OK = 0
    REFUSED = 1  # who-may: refused; import --strict: carried with notes
    USAGE = 64  # EX_USAGE
    DATA = 65  # EX_DATAERR: a faulty imported file
    UNAVAILABLE = 69  # EX_UNAVAILABLE: no daemon answers
    SOFTWARE = 70  # EX_SOFTWARE: a defect of superd's own
    PERMISSION = 77  # EX_NOPERM
    CONFIG = 78  # EX_CONFIG: any fault in superd's own configuration


@frozen
class Fault:
    """One thing wrong with the configuration.

    Args:
        file: the file it stands in, as the administrator named it.
        key: dotted path of the key (``services.ftp.limits.rate``); empty when the whole file is meant.
        problem: what is wrong, in a few words.
        remedy: what to write or do instead; may be empty when the problem says it all.
        value: the offending value as TOML would spell it; None when there is none to show (or it is secret).
        service: the one service that is concerned, None when it is the file or ``[superd]``.
    """

    file: str
    key: str
    problem: str
    remedy: str = ""
    value: str | None = None
    service: str | None = None

    def __str__(self) -> str:
        place = self.key if self.value is None else f"{self.key} = {self.value}"
        return ": ".join(part for part in (self.file, place, self.advice) if part)

    @property
    def advice(self) -> str:
        """What is wrong and what to do, without the place."""
        return "; ".join(part for part in (self.problem, self.remedy) if part)


class SuperdError(Exception):
    """Base of all errors that superd raises on purpose."""


class ConfigError(SuperdError):
    """The configuration cannot be used. Carries every fault that was found.

    Args:
        faults: what is wrong.
        services: the services as far as they could be made out, so that a check can go on with what this machine
            lacks for them and report that too. Of an ``exec`` they have the first word, or an empty one.
    """

    def __init__(self, faults: Sequence[Fault], services: Sequence[Any] = ()) -> None:
        self.faults = tuple(faults)
        self.services = tuple(services)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class WireError(SuperdError):
    """A packet on a link is not one that the message table allows."""


class UnitError(SuperdError, ValueError):
    """A duration, size or number of the configuration has no meaning; the text ends with the remedy.

    Args:
        problem: what is wrong (``no unit``).
        remedy: an example of what to write (``write "90s"``).
    """

    def __init__(self, problem: str, remedy: str) -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}")
