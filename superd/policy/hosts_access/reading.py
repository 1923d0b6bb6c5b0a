"""Reading a file: its rules, and what there is to say about each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from superd.config.findings import toml_text
from superd.errors import ConfigError, Fault
from superd.policy.hosts_access.daemons import DaemonPattern, daemon_pattern
from superd.policy.hosts_access.hosts import (
    EVERYONE,
    HostPattern,
    Named,
    Note,
    Weight,
    client_pattern,
    comment_pattern,
)
from superd.policy.hosts_access.lines import Line, list_groups, read_lines, split_at
from superd.policy.hosts_access.options import read_options
from superd.policy.hosts_access.rules import NameUse, Rule, Rules

P = TypeVar("P", DaemonPattern, HostPattern)
_Read = Callable[[str], tuple[P, Note | None]]

_EVERY_DAEMON = daemon_pattern("ALL")[0]
_NO_CLIENTS = Note(
    Weight.REMARK, "no clients: it matches nobody, in tcpd neither", 'write "ALL" for everyone'
)


def parse_rules(text: str, file: str, *, grants: bool) -> Rules:
    """Read hosts.allow or hosts.deny.

    Args:
        text: all of it; bytes that were not UTF-8 are lone surrogates (``surrogateescape``).
        file: its name, for messages.
        grants: what a rule does without options: True for hosts.allow.

    Raises:
        ConfigError: it is no text.

    Source: table_match in hosts_access.c, xgets in misc.c.
    """
    if "\0" in text:
        number = text.count("\n", 0, text.index("\0")) + 1
        raise ConfigError([Fault(file, f"line {number}", "a NUL in it", "write plain text")])
    rules, skipped = [], []
    for line in read_lines(text):
        if line.problem:
            skipped.append(_cut(file, line, grants))
            rules += [] if grants else [_refusal(file, line)]
        elif line.is_rule:
            rule = _read_rule(file, line, grants)
            if rule is None:
                problem = 'no ":" outside of brackets: tcpd skips it'
                skipped.append(_fault(file, line, line.text, problem, 'write "daemons: clients"'))
            else:
                rules.append(rule)
    return Rules(file, tuple(rules), tuple(skipped))


def _fault(file: str, line: Line, value: str, problem: str, remedy: str) -> Fault:
    return Fault(file, f"line {line.number}", problem, remedy, toml_text(value))


def _cut(file: str, line: Line, grants: bool) -> Fault:
    problem = line.problem if grants else f"{line.problem}, and refuses everyone whom no rule before matches"
    return _fault(file, line, line.text, problem, line.remedy)


def _refusal(file: str, line: Line) -> Rule:
    """To libwrap a hosts.deny that it cannot read to the end is one that refuses."""
    return Rule(file, line.number, line.text, False, ((_EVERY_DAEMON,),), ((EVERYONE,),))


def _read_rule(file: str, line: Line, grants: bool) -> Rule | None:
    """The rule of a line; None when it is none."""
    daemons, rest = split_at(line.text, ":")
    if rest is None:
        return None
    clients, options = split_at(rest, ":")
    notes: list[tuple[str, Note]] = []
    if options is not None:
        grants, notes = read_options(options, grants=grants)
    judge = _Judge(file, line, grants)
    for option, note in notes:
        judge.hear(option, note, admits=grants)
    daemon_groups = judge.read(daemons, daemon_pattern, daemon_pattern)
    client_groups = judge.read(clients, client_pattern, comment_pattern)
    if not client_groups[0]:
        judge.hear(clients, _NO_CLIENTS, admits=grants)
    if judge.faults:
        grants, client_groups = False, ((EVERYONE,),)
    found = tuple(judge.faults), tuple(judge.warnings), tuple(judge.names)
    return Rule(file, line.number, line.text, grants, daemon_groups, client_groups, *found)


class _Judge:
    """Reads the lists of one rule, and collects what there is to say about it."""

    def __init__(self, file: str, line: Line, grants: bool) -> None:
        self._file, self._line, self._grants = file, line, grants
        self.faults: list[Fault] = []
        self.warnings: list[Fault] = []
        self.names: list[NameUse] = []

    def read(self, text: str, read: _Read[P], read_comment: _Read[P]) -> tuple[tuple[P, ...], ...]:
        """A list, cut at each EXCEPT.

        Args:
            text: the list.
            read: reads one word.
            read_comment: reads one behind a ``#``.
        """
        groups: list[tuple[P, ...]] = []
        for depth, words in enumerate(list_groups(text)):
            admits = self._grants == (depth % 2 == 0)  # each EXCEPT turns the meaning of the next round
            patterns = []
            for word in words:
                if word.startswith("#") and read is not read_comment:
                    self._warn_of_comment(text)
                    read = read_comment
                pattern, note = read(word)
                patterns.append(pattern)
                self._hear_name(pattern, admits)
                if note is not None:
                    self.hear(word, note, admits=admits)
            groups.append(tuple(patterns))
        return tuple(groups)

    def hear(self, word: str, note: Note, *, admits: bool) -> None:
        """Take a note of a word.

        Args:
            admits: whether matching it lets people in, so that not matching it keeps them out.
        """
        harmless = note.weight is Weight.REMARK or (note.weight is Weight.NAME and admits)
        problem = note.problem
        if note.weight is Weight.NAME:
            problem += ": it admits nobody by name" if admits else ": it keeps nobody out by name"
        found = self.warnings if harmless else self.faults
        found.append(_fault(self._file, self._line, word, problem, note.remedy))

    def _hear_name(self, pattern: DaemonPattern | HostPattern, admits: bool) -> None:
        host = pattern.host if isinstance(pattern, DaemonPattern) else pattern
        if isinstance(host, Named):
            self.names.append(NameUse(host.name, self._file, self._line.number, admits))

    def _warn_of_comment(self, text: str) -> None:
        comment = text[text.index("#") :].strip()
        problem = "no comment, but patterns to tcpd"
        remedy = "write comments in lines of their own"
        self.warnings.append(_fault(self._file, self._line, comment, problem, remedy))
