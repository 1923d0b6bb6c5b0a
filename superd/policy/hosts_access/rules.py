"""The rules of a file, with what is wrong with each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from attrs import frozen

from superd.config.findings import toml_text
from superd.errors import Fault
from superd.policy.hosts_access.daemons import DaemonGroups, foresee
from superd.policy.hosts_access.hosts import HostPattern, Masked

Ports = Collection[int] | None


@frozen
class NameUse:
    """A host name in a rule.

    Args:
        name: in small letters.
        file, line: where the rule stands.
        admits: whether having the name lets a client in, and not keeps it out.
    """

    name: str
    file: str
    line: int
    admits: bool


@frozen
class Rule:
    """One rule.

    Args:
        file, line, text: where it stands, and what stands there.
        grants: whether who matches is granted access.
        daemons, clients: the lists, cut at each EXCEPT.
        faults: what superd cannot do for it. A rule that has any refuses everyone.
        warnings: what may not be meant.
        names: the host names in it.
    """

    file: str
    line: int
    text: str
    grants: bool
    daemons: DaemonGroups
    clients: tuple[tuple[HostPattern, ...], ...]
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    names: tuple[NameUse, ...] = ()

    def __str__(self) -> str:
        """File, line and text, for whoever asks why."""
        return f"{self.file}:{self.line} {toml_text(' '.join(self.text.split()))}"

    def nets(self) -> list[Masked] | None:
        """The clients, if they are addresses and networks and nothing else."""
        nets = [pattern for pattern in self.clients[0] if isinstance(pattern, Masked)]
        return nets if len(self.clients) == 1 and len(nets) == len(self.clients[0]) else None


@frozen
class Rules:
    """What a file says.

    Args:
        file: as the administrator named it.
        rules: in their order.
        skipped: what is no rule, as warnings.
    """

    file: str
    rules: tuple[Rule, ...] = ()
    skipped: tuple[Fault, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every host name in it, for looking up its addresses."""
        return tuple(dict.fromkeys(use.name for rule in self.rules for use in rule.names))

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """Everything that may not be meant."""
        return self.skipped + tuple(warning for rule in self.rules for warning in rule.warnings)

    def uses_for(self, daemons: Collection[str], ports: Ports = None) -> Iterator[NameUse]:
        """Where and what for there are host names in the rules that may concern a daemon."""
        return (use for rule in self.concerning(daemons, ports) for use in rule.names)

    def warnings_for(self, daemons: Collection[str], ports: Ports = None) -> tuple[Fault, ...]:
        """What may not be meant in the rules that may concern a daemon, and outside of all rules."""
        found = (warning for rule in self.concerning(daemons, ports) for warning in rule.warnings)
        return self.skipped + tuple(found)

    def faults_for(self, daemons: Collection[str], ports: Ports = None) -> tuple[Fault, ...]:
        """What superd cannot do in the rules that may concern a daemon.

        Args:
            daemons: the names that it is known by; a pattern matches it if it matches one of them.
            ports: the ports that it can be reached at, for patterns that are numbers; None: any.
        """
        return tuple(fault for rule in self.concerning(daemons, ports) for fault in rule.faults)

    def concerning(self, daemons: Collection[str], ports: Ports = None) -> Iterator[Rule]:
        """The rules that may concern a daemon."""
        return (rule for rule, _ in self.foreseen(daemons, ports))

    def foreseen(self, daemons: Collection[str], ports: Ports = None) -> Iterator[tuple[Rule, bool]]:
        """The rules that may concern a daemon, with whether they do wherever a client connects to."""
        known: dict[DaemonGroups, tuple[bool, bool]] = {}  # most rules of a file have one list
        for rule in self.rules:
            if rule.daemons not in known:
                known[rule.daemons] = foresee(rule.daemons, daemons, ports)
            may, must = known[rule.daemons]
            if may:
                yield rule, must
